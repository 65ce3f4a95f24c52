//! The pages that users see: plain HTML without scripts, which no other site can frame.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

use super::{
    authorization_request::{AuthorizationRequest, PARAMETERS},
    form::Form,
    never_kept,
    redirect_uri::csp_source,
};
use crate::config::OAuth2Settings;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:34rem;padding:0 1rem;\
                     overflow-wrap:anywhere}button{font:inherit;margin:1rem 1rem 0 0;padding:.5rem 1.5rem}";

static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE))));

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
        scopes => format!("<p>It asks for:</p><ul>{scopes}</ul>"),
    };
    let hidden =
        |(name, value): (&str, &str)| format!(r#"<input type="hidden" name="{name}" value="{}">"#, escaped(value));
    let asked = PARAMETERS.iter().filter_map(|name| Some((*name, form.value(name)?)));
    let fields: String = asked.chain([("consent_token", consent_token)]).map(hidden).collect();
    let body = format!(
        "<h1>Allow {name}?</h1><p>You are signed in as <b>{}</b>, and {name} wants to act for you.</p>{wants}\
         <p>You are then sent to <b>{}</b>.</p>\
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

fn page(status: StatusCode, title: &str, body: &str, form_action: &str) -> Response<Vec<u8>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>"
    );
    let mut response = Response::new(html.into_bytes());
    *response.status_mut() = status;
    never_kept(&mut response);
    let policy = format!(
        "default-src 'none'; style-src {}; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'",
        *STYLE_SOURCE
    );
    let headers: &mut HeaderMap = response.headers_mut();
    // A redirect URI that was checked has no character that a header may not have.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Text as HTML shows it, also inside of quotes. Characters that turn text around or do not show are replaced: a client's
/// name must not make the page say something else.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                escaped.push('\u{fffd}');
            }
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escaped("<script>alert('x')</script> & \"é\" \u{202e}\u{0}\n"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;é&quot; \u{fffd}\u{fffd}\u{fffd}"
        );
    }

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
