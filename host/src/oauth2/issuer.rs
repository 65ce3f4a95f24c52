//! [`Issuer`]: the URL by which clients know the authorization server, and the addresses of its endpoints.

use std::{fmt, str::FromStr};

use super::redirect_uri::{authority, check_redirect_uri};

/// The authorization server's identifier (RFC 8414 §2): a URL of `https`, or of `http` on this machine, without query and
/// without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    /// Where scheme, host and port end, and the path begins.
    origin_len: usize,
}

impl Issuer {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, as browsers write them in `Origin` when the issuer is written as they do.
    pub fn origin(&self) -> &str {
        &self.text[..self.origin_len]
    }

    /// The path, empty or from a slash on.
    pub fn path(&self) -> &str {
        &self.text[self.origin_len..]
    }

    /// The path of the token endpoint.
    pub fn token_path(&self) -> String {
        format!("{}/oauth2/token", self.path())
    }

    /// The path of the authorization endpoint.
    pub fn authorize_path(&self) -> String {
        format!("{}/oauth2/authorize", self.path())
    }

    /// The path of the introspection endpoint (RFC 7662).
    pub fn introspection_path(&self) -> String {
        format!("{}/oauth2/introspect", self.path())
    }

    /// The path of the revocation endpoint (RFC 7009).
    pub fn revocation_path(&self) -> String {
        format!("{}/oauth2/revoke", self.path())
    }

    /// The path of the metadata: RFC 8414 §3 puts the well-known part before the issuer's own path.
    pub fn metadata_path(&self) -> String {
        format!("/.well-known/oauth-authorization-server{}", self.path())
    }
}

impl FromStr for Issuer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be a URL of `https`, or of `http` on localhost, in lower case up to its path, without \
                                query and without `/` at its end";
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        // The characters and hosts are those of a redirect URI.
        let is_good = matches!(scheme, "https" | "http") && check_redirect_uri(text).is_ok();
        let host = authority(&text[scheme.len() + 1..]).map_err(|_| EXPECTED)?;
        let path = &rest[host.len()..];
        if !is_good || path.contains('?') || path.ends_with('/') || host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(EXPECTED);
        }
        Ok(Self { text: text.to_owned(), origin_len: text.len() - path.len() })
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_says_where_everything_is() {
        let issuer: Issuer = "https://auth.example:8443/tenant/a".parse().unwrap();
        assert_eq!((issuer.origin(), issuer.path()), ("https://auth.example:8443", "/tenant/a"));
        assert_eq!(issuer.metadata_path(), "/.well-known/oauth-authorization-server/tenant/a");
        assert_eq!(issuer.token_path(), "/tenant/a/oauth2/token");
        assert_eq!(issuer.introspection_path(), "/tenant/a/oauth2/introspect");
        assert_eq!(issuer.revocation_path(), "/tenant/a/oauth2/revoke");
        let issuer: Issuer = "http://127.0.0.1:8080".parse().unwrap();
        assert_eq!((issuer.path(), issuer.authorize_path().as_str()), ("", "/oauth2/authorize"));
    }

    #[test]
    fn what_is_no_issuer() {
        for bad in [
            "",
            "auth.example",
            "https://",
            "https://auth.example/",
            "https://auth.example?x",
            "https://auth.example#x",
            "https://Auth.example",
            "http://auth.example",
            "com.example.app://auth",
        ] {
            assert!(bad.parse::<Issuer>().is_err(), "{bad}");
        }
    }
}
