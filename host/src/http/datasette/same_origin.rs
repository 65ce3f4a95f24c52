//! Whether a form was sent by a page of this very site, as browsers say it: Datasette's defence against forged requests.
//!
//! Nothing depends on cookies, or how they are marked: behind a proxy anything may be what signs a browser in.

use ::http::{HeaderMap, header, request::Parts};

use crate::peer::{Network, Peer};

/// Whether it was. What says nothing of it is no browser, and nobody can have made it ask.
///
/// `Sec-Fetch-Site` decides where it is there, since scripts cannot set it. Otherwise (an old browser, or one without TLS)
/// `Origin` must be the address that the browser sees: a trusted proxy says so, or `Host`.
pub(super) fn is_from_here(parts: &Parts, peer: Peer, proxies: &[Network]) -> bool {
    let headers = &parts.headers;
    if headers.contains_key("sec-fetch-site") {
        return single(headers, "sec-fetch-site") == Some("same-origin");
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = single(headers, header::ORIGIN.as_str()).and_then(|origin| origin.split_once("://"));
    let Some((scheme, authority)) = origin else { return false };
    let is_believed = peer.is_trusted(proxies);
    let own = match is_believed && headers.contains_key("x-forwarded-host") {
        true => single(headers, "x-forwarded-host"),
        false => parts.uri.authority().map(|authority| authority.as_str()).or_else(|| single(headers, "host")),
    };
    // Where nobody says which scheme the browser sees, it may be either.
    let is_own_scheme = match is_believed && headers.contains_key("x-forwarded-proto") {
        true => single(headers, "x-forwarded-proto") == Some(scheme),
        false => matches!(scheme, "http" | "https"),
    };
    let is_own_host =
        own.is_some_and(|own| without_port(scheme, own).eq_ignore_ascii_case(without_port(scheme, authority)));
    is_own_scheme && is_own_host
}

/// The header's value, if there is exactly one.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// An authority without the port that goes without saying.
fn without_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(usual).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use ::http::Request;

    use super::*;

    fn is_from_here(lines: &[(&'static str, &str)], peer: Peer) -> bool {
        let mut request = Request::post("/-/create-token").header("host", "db.example");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        super::is_from_here(&parts, peer, &[])
    }

    #[test]
    fn a_page_of_this_site_is_one_the_browser_says_is() {
        for good in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[("origin", "https://db.example")],
            &[("origin", "http://DB.example:80")],
        ] {
            assert!(is_from_here(good, Peer::Unknown), "{good:?}");
        }
        for bad in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://db.example")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "https://evil.example")],
            &[("origin", "https://db.example.evil.example")],
            &[("origin", "https://db.example:8443")],
            &[("origin", "https://db.example:80")],
            &[("origin", "ftp://db.example")],
            &[("origin", "https://db.example/")],
            &[("origin", "https://db.example"), ("origin", "https://evil.example")],
            &[("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")],
        ] {
            assert!(!is_from_here(bad, Peer::Unknown), "{bad:?}");
        }
    }

    #[test]
    fn a_trusted_proxy_says_what_the_browser_sees() {
        let seen = [("x-forwarded-host", "tokens.example"), ("x-forwarded-proto", "https")];
        let from = |origin| is_from_here(&[seen[0], seen[1], ("origin", origin)], Peer::Trusted);
        assert!(from("https://tokens.example") && from("https://tokens.example:443"));
        assert!(!from("http://tokens.example") && !from("https://db.example"));
        let two = [("origin", "https://b"), ("x-forwarded-host", "a"), ("x-forwarded-host", "b")];
        assert!(!is_from_here(&two, Peer::Trusted), "whichever of them is the proxy's");
    }
}
