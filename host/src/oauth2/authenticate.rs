//! [`Credentials`]: which client a request says it is from, and whether that is so (RFC 6749 §2.3).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use token_plugin_api::Client;
use zeroize::Zeroizing;

use super::{
    AuthorizationServer,
    form::{Form, decode},
    is_visible,
    problem::Problem,
};
use crate::error::ErrorKind;

/// What a client says of itself.
pub(crate) struct Credentials {
    client_id: String,
    /// `None`: it claims to have none.
    secret: Option<Zeroizing<String>>,
    by_header: bool,
}

impl Credentials {
    /// Reads them from wherever they are, which is one place.
    pub(crate) fn read(headers: &HeaderMap, form: &Form) -> Result<Self, Problem> {
        let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
        let in_form = (form.value("client_id"), form.value("client_secret"));
        match (authorizations.next(), authorizations.next(), in_form) {
            (_, Some(_), _) => Err(Problem::Request("expected one Authorization header")),
            (Some(_), None, (_, Some(_))) => {
                Err(Problem::Request("expected one way of client authentication, found two"))
            }
            (Some(authorization), None, (named, None)) => {
                let failed = Problem::Client { by_header: true };
                let credentials = basic(authorization.as_bytes()).ok_or(failed)?;
                if named.is_some_and(|named| named != credentials.client_id) {
                    return Err(Problem::Request("client_id is not the client that authenticates"));
                }
                Ok(credentials)
            }
            (None, None, (Some(client_id), secret)) => Ok(Self {
                client_id: client_id.to_owned(),
                secret: secret.map(|secret| Zeroizing::new(secret.to_owned())),
                by_header: false,
            }),
            (None, None, (None, _)) => Err(Problem::Client { by_header: false }),
        }
    }
}

/// `Basic` credentials, whose both parts are encoded like a form's values (RFC 6749 §2.3.1).
fn basic(authorization: &[u8]) -> Option<Credentials> {
    let (scheme, encoded) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_matches(' ')).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let client_id = decode(&decoded[..colon]).ok()?;
    let secret = Zeroizing::new(decode(&decoded[colon + 1..]).ok()?);
    // An empty secret is none (RFC 6749 §2.3.1 on `client_secret`).
    Some(Credentials { client_id, secret: Some(secret).filter(|secret| !secret.is_empty()), by_header: true })
}

impl AuthorizationServer {
    /// The client that these credentials are of.
    pub(crate) async fn authenticated(&self, credentials: Credentials) -> Result<Client, Problem> {
        let Credentials { client_id, secret, by_header } = credentials;
        let client = self.client(&client_id).await?;
        let is_it = match (&client, &secret) {
            (client, Some(secret)) => {
                let known = client.as_ref().and_then(|client| client.secret.clone());
                self.shared().secrets.is_right(&self.shared().key, &client_id, known, secret).await?
            }
            (Some(client), None) => client.secret.is_none(),
            (None, None) => false,
        };
        client.filter(|_| is_it).ok_or(Problem::Client { by_header })
    }

    /// The client with this id, if there is one.
    pub(super) async fn client(&self, client_id: &str) -> Result<Option<Client>, crate::Error> {
        if !is_visible(client_id) {
            return Ok(None);
        }
        match self.clients()?.fetch_by_client_id(client_id).await {
            // A store that compares more loosely than characters must not make one client out of two.
            Ok(client) => Ok(Some(client).filter(|client| client.identifier == client_id)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(authorization: &[&str], form: &str) -> Result<(String, Option<String>), Problem> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let credentials =
            Credentials::read(&headers, &Form::parse(form.as_bytes()).unwrap_or_else(|_| panic!("{form}")))?;
        Ok((credentials.client_id, credentials.secret.map(|secret| secret.to_string())))
    }

    fn encoded(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn credentials_come_by_header_or_by_form() {
        let some = |id: &str, secret: Option<&str>| Ok((id.to_owned(), secret.map(str::to_owned)));
        assert_eq!(read(&[&encoded("abc:x:y")], ""), some("abc", Some("x:y")));
        assert_eq!(read(&[&encoded("a%20b%3A:%C3%A9+%25")], "client_id=a+b:"), some("a b:", Some("é %")));
        assert_eq!(read(&[&encoded("abc:x").replace("Basic", "bASIC")], ""), some("abc", Some("x")));
        assert_eq!(read(&[&encoded("abc:")], ""), some("abc", None));
        assert_eq!(read(&[], "client_id=abc&client_secret=x%26y"), some("abc", Some("x&y")));
        assert_eq!(read(&[], "client_id=abc&client_secret="), some("abc", None));
    }

    #[test]
    fn there_is_one_way_at_a_time() {
        let (basic, by_header) = (encoded("abc:x"), Problem::Client { by_header: true });
        for form in ["client_secret=x", "client_id=abc&client_secret=x", "client_id=other"] {
            assert!(matches!(read(&[&basic], form), Err(Problem::Request(_))), "{form}");
        }
        assert!(matches!(read(&[&basic, &basic], ""), Err(Problem::Request(_))));
        for bad in ["Bearer x", "Basic", "Basic ", "Basic !", &encoded("abc"), &encoded("a%zz:x"), &encoded("a:%ff")] {
            assert_eq!(read(&[bad], ""), Err(by_header), "{bad}");
        }
        assert_eq!(read(&[], "client_secret=x"), Err(Problem::Client { by_header: false }));
    }
}
