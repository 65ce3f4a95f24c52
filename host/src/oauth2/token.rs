//! The token endpoint (RFC 6749 §3.2): who asks, by what grant, and what they get for it.

use http::{HeaderMap, Method, Request, Response, header};
use token_plugin_api::Client;
use zeroize::Zeroizing;

use super::{
    AUTHORIZATION_CODE, AuthorizationServer, CLIENT_CREDENTIALS, MAX_BODY_BYTES, PASSWORD, REFRESH_TOKEN,
    authenticate::Credentials,
    form::Form,
    issue::{Issued, Wanted},
    problem::Problem,
    scope,
};

impl AuthorizationServer {
    /// Answers a request for a token.
    pub async fn token(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.granted(request).await {
            Ok(issued) => issued.response(),
            Err(problem) => problem.response(),
        }
    }

    async fn granted(&self, request: &Request<Vec<u8>>) -> Result<Issued, Problem> {
        let form = read_form(request)?;
        let credentials = Credentials::read(request.headers(), &form)?;
        let grant_type = required(&form, "grant_type", "expected grant_type")?;
        let client = self.authenticated(credentials).await?;
        let is_known = match grant_type {
            AUTHORIZATION_CODE | CLIENT_CREDENTIALS | REFRESH_TOKEN => true,
            PASSWORD => self.takes_passwords(),
            _ => false,
        };
        match grant_type {
            _ if !is_known => Err(Problem::GrantType),
            _ if !client.may_use_grant(grant_type) => Err(Problem::Unauthorized),
            AUTHORIZATION_CODE => self.code_grant(client, &form).await,
            REFRESH_TOKEN => self.refresh_grant(client, &form).await,
            PASSWORD => self.password_grant(client, &form).await,
            // A client that has no secret cannot be known (RFC 6749 §4.4).
            _ if client.secret.is_none() => Err(Problem::Unauthorized),
            _ => self.client_credentials_grant(client, &form).await,
        }
    }

    /// RFC 6749 §4.4. A refresh token would be a second secret for nothing.
    async fn client_credentials_grant(&self, client: Client, form: &Form) -> Result<Issued, Problem> {
        let scopes = self.scopes(&client, form)?;
        let wanted = Wanted { client, grant_type: CLIENT_CREDENTIALS, user_id: None, scopes, family_id: None };
        self.issue(wanted).await
    }

    /// RFC 6749 §4.3, where the operator wants it.
    async fn password_grant(&self, client: Client, form: &Form) -> Result<Issued, Problem> {
        let name = required(form, "username", "expected username")?.to_owned();
        let password = Zeroizing::new(required(form, "password", "expected password")?.to_owned());
        let scopes = self.scopes(&client, form)?;
        let users = self.users.clone().ok_or(Problem::GrantType)?;
        let user_id = self.shared().secrets.run(move || users.user_id(&name, &password)).await?;
        let user_id = user_id.map_err(|_| Problem::Unavailable)?.ok_or(Problem::Grant)?;
        self.issue(Wanted { client, grant_type: PASSWORD, user_id: Some(user_id), scopes, family_id: None }).await
    }

    fn scopes(&self, client: &Client, form: &Form) -> Result<Vec<String>, Problem> {
        let (known, default) = (&self.settings.scopes, &self.settings.default_scopes);
        Ok(scope::asked_for(form.value("scope"), client, known, default)?)
    }
}

/// The parameter's value, or that it is missing.
pub(crate) fn required<'f>(form: &'f Form, name: &str, expected: &'static str) -> Result<&'f str, Problem> {
    form.value(name).ok_or(Problem::Request(expected))
}

/// The parameters of a request, which are all in its body, each once.
pub(crate) fn read_form(request: &Request<Vec<u8>>) -> Result<Form, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::Method);
    }
    if request.body().len() > MAX_BODY_BYTES {
        return Err(Problem::TooLarge);
    }
    if !is_form(request.headers()) {
        return Err(Problem::Request("expected the content type application/x-www-form-urlencoded"));
    }
    // Parameters in the URL end up in logs.
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::Request("expected all parameters in the body"));
    }
    let form = Form::parse(request.body())?;
    if form.has_repeated() {
        return Err(Problem::Request("a parameter is there more than once"));
    }
    Ok(form)
}

/// Whether the body says that it is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_of_type(headers, "application/x-www-form-urlencoded")
}

/// Whether the body says that it is of this type, whatever its parameters.
pub(crate) fn is_of_type(headers: &HeaderMap, media_type: &str) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return false };
    let essence = content_type.to_str().ok().and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media_type)
}
