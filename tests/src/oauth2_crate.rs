//! The crate `oauth2` as a client, over `ureq`.

use std::{collections::HashMap, fmt};

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, PkceCodeChallenge,
    RedirectUrl, RequestTokenError, Scope, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicTokenResponse},
};
use serde_json::{Value, json};

/// What every client does, one after the other, with this crate; `allow` is its user: it follows a URL to the page,
/// allows what is asked for, and says where the browser was sent.
///
/// # Panics
///
/// When the server does not do its part.
pub fn walk_with_the_crate(base: &str, id: &str, secret: &str, back: &str, allow: impl Fn(&str) -> String) -> Value {
    let agent = agent();
    let http = |request: HttpRequest| send(&agent, request);
    let client = BasicClient::new(ClientId::new(id.to_owned()))
        .set_client_secret(ClientSecret::new(secret.to_owned()))
        .set_auth_uri(AuthUrl::new(format!("{base}/oauth2/authorize")).unwrap())
        .set_token_uri(TokenUrl::new(format!("{base}/oauth2/token")).unwrap())
        .set_redirect_uri(RedirectUrl::new(back.to_owned()).unwrap());
    let scope = || Scope::new("read".to_owned());
    let own = client.exchange_client_credentials().add_scope(scope()).request(&http).unwrap();

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = client.authorize_url(CsrfToken::new_random).add_scope(scope()).set_pkce_challenge(challenge);
    let (url, state) = request.url();
    let back = allow(url.as_str());
    let query: HashMap<String, String> = oauth2::url::Url::parse(&back).unwrap().query_pairs().into_owned().collect();
    assert_eq!((&query["state"], query["iss"].as_str()), (state.secret(), base));
    let code = AuthorizationCode::new(query["code"].clone());
    let first = client.exchange_code(code).set_pkce_verifier(verifier).request(&http).unwrap();

    let refresh =
        |token: &BasicTokenResponse| client.exchange_refresh_token(token.refresh_token().unwrap()).request(&http);
    let second = refresh(&first).unwrap();
    let error = |answer: Result<BasicTokenResponse, RequestTokenError<Failed, BasicErrorResponse>>| match answer {
        Err(RequestTokenError::ServerResponse(error)) => error.error().to_string(),
        other => panic!("the server refuses: {other:?}"),
    };
    json!({
        "own": { "expires_in": own.expires_in().unwrap().as_secs(), "refresh": own.refresh_token().is_some() },
        "tokens": [first.access_token().secret(), second.access_token().secret()],
        "replay": error(refresh(&first)),
        "after": error(refresh(&second)),
    })
}

/// Follows a URL to the page as a user with this token would, and allows what it asks for. Where the browser was sent.
///
/// # Panics
///
/// When it is not sent anywhere.
pub fn allow_over_http(url: &str, user_token: &str) -> String {
    let agent = agent();
    let authorization = format!("Bearer {user_token}");
    let mut page = agent.get(url).header("authorization", &authorization).call().unwrap();
    let body = page.body_mut().read_to_string().unwrap();
    let reply = crate::Reply { status: page.status().as_u16(), headers: page.headers().clone(), body };
    let mut form = reply.fields();
    form.push(("decision".to_owned(), "allow".to_owned()));
    let target = url.split('?').next().unwrap();
    let sent = agent.post(target).header("authorization", &authorization).send_form(form).unwrap();
    sent.headers()["location"].to_str().unwrap().to_owned()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    config.max_redirects_will_error(false).build().into()
}

fn send(agent: &ureq::Agent, request: HttpRequest) -> Result<HttpResponse, Failed> {
    let mut response = agent.run(request).map_err(|error| Failed(error.to_string()))?;
    let body = response.body_mut().read_to_vec().map_err(|error| Failed(error.to_string()))?;
    let mut copy = http::Response::new(body);
    *copy.status_mut() = response.status();
    *copy.headers_mut() = response.headers().clone();
    Ok(copy)
}

#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}
