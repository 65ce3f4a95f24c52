//! What users see of the authorization server: the page that asks them, and what they are told instead.

use http::{HeaderValue, Response, StatusCode, header};

use super::{
    authorization_request::{AuthorizationRequest, PARAMETERS},
    form::Form,
    never_kept,
    redirect_uri::csp_source,
};
use crate::{
    config::OAuth2Settings,
    page::{escaped, page},
};

/// A page that says why something is not done.
pub(super) fn told(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    page(status, "Not possible", &format!("<h1>Not possible</h1><p>{}</p>", escaped(text)), "'none'")
}

/// The page that asks a user whether a client may have what it asks for.
pub(super) fn consent(
    request: &AuthorizationRequest,
    form: &Form,
    user: &str,
    consent_token: &str,
    settings: &OAuth2Settings,
) -> Response<Vec<u8>> {
    let client = &request.client;
    let name = escaped(if client.name.is_empty() { &client.identifier } else { &client.name });
    let scope = |scope: &String| {
        let description = settings.scopes.get(scope).filter(|description| !description.is_empty());
        format!("<li>{}</li>", escaped(description.unwrap_or(scope)))
    };
    let scopes: String = request.scopes.iter().map(scope).collect();
    let wants = match scopes.as_str() {
        "" => "<p>It gets to know that it is you.</p>".to_owned(),
        scopes => format!("<p>It asks for:</p><ul class=\"asked\">{scopes}</ul>"),
    };
    let hidden =
        |(name, value): (&str, &str)| format!(r#"<input type="hidden" name="{name}" value="{}">"#, escaped(value));
    let asked = PARAMETERS.iter().filter_map(|name| Some((*name, form.value(name)?)));
    let fields: String = asked.chain([("consent_token", consent_token)]).map(hidden).collect();
    let body = format!(
        "<h1>Allow {name}?</h1><p>You are signed in as <b>{}</b>, and {name} wants to act for you.</p>{wants}\
         <p class=\"quiet\">You are then sent to <b>{}</b>.</p>\
         <form method=\"post\" action=\"{}\">{fields}\
         <button name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Do not allow</button></form>",
        escaped(user),
        escaped(&csp_source(&request.to.redirect_uri)),
        escaped(&settings.issuer.authorize_path()),
    );
    // Some browsers hold the redirect that follows a form to this as well.
    let form_action = format!("'self' {}", csp_source(&request.to.redirect_uri));
    page(StatusCode::OK, &format!("Allow {name}?"), &body, &form_action)
}

/// Sends a browser somewhere else; with GET, whatever it came with.
pub(super) fn redirect(location: &str) -> Response<Vec<u8>> {
    // What is registered was checked to be ASCII, and everything added is.
    let Ok(location) = HeaderValue::from_str(location) else {
        return told(StatusCode::BAD_REQUEST, "The application's address cannot be gone to.");
    };
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    never_kept(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_locked_down() {
        let page = told(StatusCode::BAD_REQUEST, "<b>");
        let header = |name| page.headers()[name].to_str().unwrap();
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "style-src 'sha256-", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!((header("referrer-policy"), header("cache-control")), ("no-referrer", "no-store"));
        assert!(!String::from_utf8_lossy(page.body()).contains("<b>"));
    }
}
