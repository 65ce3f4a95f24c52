//! Redirect URIs: which can be registered, and where a browser is sent with an answer.
//!
//! That one is registered is decided by comparing characters, and nothing here is ever asked for that.

use std::fmt;

use super::form::encode;

/// Why something is no redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadRedirectUri(&'static str);

impl fmt::Display for BadRedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadRedirectUri {}

/// Whether codes may be sent there at all (RFC 6749 §3.1.2, RFC 8252 §7): an absolute URI without a fragment, of
/// `https`, of `http` on this machine, or of a scheme of an app's own, which has a dot (`com.example.app:/back`).
///
/// ```
/// use token_host::oauth2::check_redirect_uri;
///
/// assert!(check_redirect_uri("https://app.example/back?from=us").is_ok());
/// assert!(check_redirect_uri("http://127.0.0.1:8080/").is_ok());
/// assert!(check_redirect_uri("http://app.example/back").is_err());
/// assert!(check_redirect_uri("javascript:alert(1)").is_err());
/// ```
///
/// # Errors
///
/// What was expected.
pub fn check_redirect_uri(uri: &str) -> Result<(), BadRedirectUri> {
    if uri.len() > MAX_BYTES || !is_uri(uri) {
        return Err(BadRedirectUri("expected a URI of the characters of RFC 3986, of at most 2048 bytes"));
    }
    if uri.contains('#') {
        return Err(BadRedirectUri("expected a URI without a fragment (`#`)"));
    }
    let (scheme, rest) = uri.split_once(':').ok_or(BadRedirectUri("expected an absolute URI"))?;
    match scheme {
        "https" => authority(rest).map(drop),
        "http" if authority(rest).is_ok_and(is_loopback) => Ok(()),
        "http" => Err(BadRedirectUri("expected `https`: `http` is for localhost, 127.0.0.1 and [::1] alone")),
        own if is_private(own) && !rest.is_empty() => Ok(()),
        _ => Err(BadRedirectUri("expected `https`, or an app's own scheme in lower case with a dot in it")),
    }
}

/// The URI with these parameters added to its query.
pub(super) fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut separator = if !uri.contains('?') {
        "?"
    } else if uri.ends_with(['?', '&']) {
        ""
    } else {
        "&"
    };
    let mut with = uri.to_owned();
    for (name, value) in parameters {
        with.push_str(separator);
        with.push_str(name);
        with.push('=');
        with.push_str(&encode(value));
        separator = "&";
    }
    with
}

/// What a Content-Security-Policy calls the place that a form leads to by way of this URI.
pub(super) fn csp_source(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once(':') else { return String::new() };
    match authority(rest) {
        // A policy has no words for addresses of IPv6.
        Ok(host) if !is_private(scheme) && !host.contains('[') => format!("{scheme}://{host}"),
        _ => format!("{scheme}:"),
    }
}

/// Host and port behind `scheme:`, as they stand.
pub(super) fn authority(rest: &str) -> Result<&str, BadRedirectUri> {
    let expected = BadRedirectUri("expected `//`, a host, perhaps a port, and no user");
    let rest = rest.strip_prefix("//").ok_or(expected)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(address) => {
            let (address, port) = address.split_once(']').ok_or(expected)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| expected)?;
            (address, port)
        }
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    let is_port = |port: &str| {
        let digits = port.strip_prefix(':');
        port.is_empty() || digits.is_some_and(|port| !port.starts_with('+') && port.parse::<u16>().is_ok())
    };
    if host.is_empty() || !host.bytes().all(is_host_byte) || !is_port(port) { Err(expected) } else { Ok(authority) }
}

/// Whether host and port are on this machine, whoever asks.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => &authority[..at],
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// An app's own scheme: a domain name turned around (RFC 8252 §7.1).
fn is_private(scheme: &str) -> bool {
    let is_scheme_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-+".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(is_scheme_byte)
        && scheme.contains('.')
}

fn is_uri(text: &str) -> bool {
    let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    !text.is_empty()
        && text.bytes().enumerate().all(|(at, byte)| match byte {
            b'%' => is_hex(at + 1) && is_hex(at + 2),
            byte => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        })
}

/// What browsers and servers take without complaint.
const MAX_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_registered() {
        for good in [
            "https://app.example",
            "https://app.example:8443/back?x=%20y&z",
            "http://localhost/",
            "http://127.0.0.1:0/cb",
            "http://[::1]:8080/cb",
            "https://[2001:db8::1]/cb",
            "com.example.app:/back",
            "com.example.app://back",
        ] {
            assert_eq!(check_redirect_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/back",
            "app.example/back",
            "https:app.example",
            "https:///back",
            "https://app.example/#",
            "https://user@app.example/",
            "https://user:1@app.example/",
            "https://app.example:99999/",
            "https://app.example:+1/",
            "https://app.example;x/",
            "https://app.example\\@evil.example/",
            "https://app.example/ x",
            "https://app.example/%zz",
            "https://äpp.example/",
            "https://[::1/",
            "https://[app]/",
            "http://app.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "http://127.0.0.2/",
            "HTTPS://app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "app:/back",
            "com.example.app:",
            "com.Example.app:/",
            &format!("https://app.example/{}", "x".repeat(2048)),
        ] {
            assert!(check_redirect_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_added_to_the_query_that_is_there() {
        let with = |uri| with_parameters(uri, &[("code", "a b"), ("iss", "https://i")]);
        assert_eq!(with("https://a/b"), "https://a/b?code=a%20b&iss=https%3A%2F%2Fi");
        assert_eq!(with("https://a/b?"), "https://a/b?code=a%20b&iss=https%3A%2F%2Fi");
        assert_eq!(with("com.a:/b?c=d"), "com.a:/b?c=d&code=a%20b&iss=https%3A%2F%2Fi");
    }

    #[test]
    fn a_policy_names_what_it_can() {
        assert_eq!(csp_source("https://app.example:8443/back?x"), "https://app.example:8443");
        assert_eq!(csp_source("http://[::1]:8080/cb"), "http:");
        assert_eq!(csp_source("com.example.app:/back"), "com.example.app:");
        assert_eq!(csp_source("com.example.app://back/x"), "com.example.app:");
    }
}
