//! The authorization endpoint (RFC 6749 §3.1): asks the user, and sends the browser back to the client with a code.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use token_plugin_api::AuthorizationCode;

use super::{
    AuthorizationServer, MAX_BODY_BYTES, Peer,
    authorization_request::{AuthorizationRequest, Back, Fault, Refusal},
    code_grant::{CHALLENGE, NAMED_REDIRECT_URI},
    consent::{ConsentToken, is_from_here},
    form::Form,
    issue::CODE_PREFIX,
    page,
    problem::{Problem, RETRY_AFTER_SECONDS},
    redirect_uri::with_parameters,
    secrets,
    token::is_form,
};

/// A response that was reached early: the user is told something, or sent somewhere.
type Early = Box<Response<Vec<u8>>>;

impl AuthorizationServer {
    /// Answers GET with a page that asks the user, and POST, the user's decision, with the way back to the client. Who is
    /// at the other end of the connection decides whether `user_header` is believed.
    pub async fn authorize(&self, request: &Request<Vec<u8>>, peer: Peer) -> Response<Vec<u8>> {
        let answered = match *request.method() {
            Method::GET => self.asked(request, peer).await,
            Method::POST => self.decided(request, peer).await,
            _ => {
                let mut response = page::told(StatusCode::METHOD_NOT_ALLOWED, "Expected GET or POST.");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
                Ok(response)
            }
        };
        answered.unwrap_or_else(|early| *early)
    }

    async fn asked(&self, request: &Request<Vec<u8>>, peer: Peer) -> Result<Response<Vec<u8>>, Early> {
        let query = request.uri().query().unwrap_or_default();
        let form = form(query.as_bytes())?;
        let wanted = self.authorization_request(&form).await.map_err(|refusal| self.refused(refusal))?;
        let user = match self.signed_in(request.headers(), peer).await.map_err(unavailable)? {
            Some(user) => user,
            None => return Err(self.to_sign_in(Some(query))),
        };
        let (key, now) = (&self.shared().key, self.now());
        let token =
            ConsentToken::made(key, &user, &form, &wanted.shown(), now).map_err(|error| unavailable(error.into()))?;
        Ok(page::consent(&wanted, &form, &user, &token, &self.settings))
    }

    /// That it is the user's own decision comes first; then everything is looked at again, as if nobody had been asked.
    async fn decided(&self, request: &Request<Vec<u8>>, peer: Peer) -> Result<Response<Vec<u8>>, Early> {
        if !is_form(request.headers()) {
            return Err(told(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Expected a form."));
        }
        let form = form(request.body())?;
        if !is_from_here(request.headers(), &self.settings.issuer) {
            return Err(told(StatusCode::FORBIDDEN, "This did not come from a page of this server."));
        }
        let user = self.signed_in(request.headers(), peer).await.map_err(unavailable)?;
        let user = user.ok_or_else(|| self.to_sign_in(None))?;
        let (key, token) = (&self.shared().key, form.value("consent_token").unwrap_or_default());
        let wanted = self.authorization_request(&form).await;
        let shown = wanted.as_ref().map(AuthorizationRequest::shown).unwrap_or_default();
        let fits = ConsentToken::fits(key, token, &user, &form, &shown, self.now());
        let fits = fits.map_err(|error| unavailable(error.into()))?;
        if !fits {
            let text = "This page was open for too long, or is not yours. Go back to the application and begin again.";
            return Err(told(StatusCode::FORBIDDEN, text));
        }
        let wanted = wanted.map_err(|refusal| self.refused(refusal))?;
        match form.value("decision") {
            Some("allow") => Ok(self.allowed(wanted, user).await),
            Some("deny") => Ok(self.sent_back(&wanted.to, &[("error", "access_denied")])),
            _ => Err(told(StatusCode::BAD_REQUEST, "Expected a decision.")),
        }
    }

    async fn allowed(&self, wanted: AuthorizationRequest, user: String) -> Response<Vec<u8>> {
        let AuthorizationRequest { client, to, is_named, scopes, challenge } = wanted;
        let code = async {
            let value = secrets::random(CODE_PREFIX)?;
            let expires_at = self.now().saturating_add(self.settings.code_seconds);
            let (uri, family_id) = (to.redirect_uri.as_str(), secrets::random("")?);
            let mut code = AuthorizationCode::new(client.identifier, value.as_str(), expires_at, uri, family_id);
            (code.scopes, code.user_id) = (scopes, Some(user));
            code.data.insert(NAMED_REDIRECT_URI.to_owned(), is_named.into());
            code.data.extend(challenge.map(|challenge| (CHALLENGE.to_owned(), challenge.into())));
            self.codes()?.save_code(&code).await.map(|()| value)
        };
        match code.await {
            Ok(code) => self.sent_back(&to, &[("code", &code)]),
            Err(error) => {
                Problem::unavailable(&error);
                self.sent_back(&to, &[("error", "temporarily_unavailable")])
            }
        }
    }

    /// Sends the browser to the client, with what it is told, its state, and who tells it (RFC 9207).
    fn sent_back(&self, to: &Back, told: &[(&str, &str)]) -> Response<Vec<u8>> {
        let mut parameters = told.to_vec();
        parameters.extend(to.state.as_deref().map(|state| ("state", state)));
        parameters.push(("iss", self.settings.issuer.as_str()));
        page::redirect(&with_parameters(&to.redirect_uri, &parameters))
    }

    fn refused(&self, refusal: Refusal) -> Early {
        Box::new(match refusal {
            Refusal::Unavailable => *unavailable(Problem::Unavailable),
            Refusal::Told(status, text) => page::told(status, text),
            Refusal::SentBack(to, Fault(code, description)) => {
                self.sent_back(&to, &[("error", code), ("error_description", description)])
            }
        })
    }

    /// Nobody is signed in: to where that is done and back here again, if it is known where, and there is a way back.
    fn to_sign_in(&self, query: Option<&str>) -> Early {
        if let (Some(login_url), Some(query)) = (&self.settings.login_url, query) {
            let issuer = &self.settings.issuer;
            let next = format!("{}{}?{query}", issuer.origin(), issuer.authorize_path());
            return Box::new(page::redirect(&with_parameters(login_url, &[("next", &next)])));
        }
        let mut response = told(StatusCode::UNAUTHORIZED, "You are not signed in. Sign in first, then begin again.");
        let challenge = HeaderValue::from_static(r#"Bearer realm="token-host""#);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

fn form(bytes: &[u8]) -> Result<Form, Early> {
    if bytes.len() > MAX_BODY_BYTES {
        return Err(told(StatusCode::PAYLOAD_TOO_LARGE, "The application asked for too much at once."));
    }
    Form::parse(bytes)
        .map_err(|_| told(StatusCode::BAD_REQUEST, "The application did not ask in a form that is known."))
}

fn told(status: StatusCode, text: &str) -> Early {
    Box::new(page::told(status, text))
}

fn unavailable(_: Problem) -> Early {
    let mut response = told(StatusCode::SERVICE_UNAVAILABLE, "This cannot be answered at the moment. Try again later.");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    response
}
