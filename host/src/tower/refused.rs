//! The response to who is refused: the host's own, or what a callback makes of it, which is still a refusal.

use http::{HeaderValue, Response, header};

use super::Terms;
use crate::authenticate::Refusal;

impl Terms {
    /// The response that says so.
    pub(super) fn refused(&self, refusal: &Refusal) -> Response<Vec<u8>> {
        let prepared = refusal.response(&self.authenticator);
        let Some(shape) = &self.shape else { return prepared };
        let challenge = prepared.headers().get(header::WWW_AUTHENTICATE).cloned();
        let shaped = shape(refusal, prepared);
        still_refused(refusal, challenge, shaped)
    }
}

/// The response, with everything in it that makes a refusal one.
fn still_refused(
    refusal: &Refusal,
    challenge: Option<HeaderValue>,
    mut response: Response<Vec<u8>>,
) -> Response<Vec<u8>> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        *response.status_mut() = refusal.status();
    }
    let headers = response.headers_mut();
    if let Some(challenge) = challenge
        && !headers.get_all(header::WWW_AUTHENTICATE).iter().any(|known| *known == challenge)
    {
        headers.append(header::WWW_AUTHENTICATE, challenge);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for framing in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(framing);
    }
    response
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn no_status_makes_a_success_of_a_refusal() {
        let refusal = Refusal::NoCredentials;
        let shaped = |status: u16| {
            let response = Response::builder().status(status).header("content-length", "0").body(Vec::new()).unwrap();
            still_refused(&refusal, Some(HeaderValue::from_static("Bearer")), response)
        };
        for status in 100..=999 {
            let response = shaped(status);
            let expected = if (400..600).contains(&status) { status } else { 401 };
            assert_eq!(response.status().as_u16(), expected);
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert!(!response.headers().contains_key("content-length"));
        }
    }

    #[test]
    fn a_challenge_is_added_to_others_and_not_twice() {
        let challenges = |known: &[&'static str], challenge: Option<&'static str>| {
            let mut response = Response::new(Vec::new());
            for known in known {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(known));
            }
            let refusal = Refusal::Token("it is bad".into());
            let response = still_refused(&refusal, challenge.map(HeaderValue::from_static), response);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let values = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(challenges(&["Basic"], Some("Bearer")), ["Basic", "Bearer"]);
        assert_eq!(challenges(&["Bearer"], Some("Bearer")), ["Bearer"]);
        assert_eq!(challenges(&[], None), [""; 0]);
    }
}
