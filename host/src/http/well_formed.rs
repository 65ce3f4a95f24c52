//! [`check`]: what hyper takes and HTTP does not: requests to no host, or to two.

use ::http::{HeaderMap, HeaderValue, Method, Uri, Version, header};

/// Whether a request says in one way whom it is for (RFC 9112 §3.2, RFC 9113 §8.3.1). What it says otherwise, programs
/// before this one may have read differently.
///
/// # Errors
///
/// What was expected.
pub(super) fn check(method: &Method, target: &Uri, version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err("expected one Host"),
        (None, None) if version == Version::HTTP_11 => return Err("expected a Host"),
        (host, None) => host,
    };
    if host.is_some_and(|host| !host.as_bytes().iter().all(is_of_a_host)) {
        return Err("the Host is malformed");
    }
    let authority = target.authority().map(|authority| authority.as_str());
    if version == Version::HTTP_2 && host.is_none() && authority.is_none() {
        return Err("expected an authority");
    }
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err("expected an authority without a user");
    }
    // In HTTP/1.1 the target counts, and whoever sends both may mean it.
    if version == Version::HTTP_2 && !is_same(host, authority) {
        return Err("expected one authority, found two");
    }
    match target.path() {
        "*" if *method != Method::OPTIONS => Err("expected a path"),
        "" if *method != Method::CONNECT => Err("expected a path"),
        _ => Ok(()),
    }
}

/// RFC 3986's `host` and `port`, whatever their order.
fn is_of_a_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(byte)
}

fn is_same(host: Option<&HeaderValue>, authority: Option<&str>) -> bool {
    match (host, authority) {
        (Some(host), Some(authority)) => host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use ::http::Request;

    use super::*;

    fn is_good(version: Version, method: &str, target: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().version(version).method(method).uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let request = request.body(()).unwrap();
        check(request.method(), request.uri(), request.version(), request.headers()).is_ok()
    }

    #[test]
    fn there_is_one_host() {
        let get = |version, hosts: &[&str]| is_good(version, "GET", "/", hosts);
        for host in ["a", "a.example:8700", "[::1]:80", "a%41", ""] {
            assert!(get(Version::HTTP_11, &[host]) && get(Version::HTTP_10, &[host]), "{host}");
        }
        assert!(get(Version::HTTP_10, &[]) && !get(Version::HTTP_11, &[]));
        for hosts in [&["a", "a"][..], &["a", "b"], &["a b"], &["a/b"], &["a@b"], &["a\\b"], &["\u{e9}"], &["a?"]] {
            assert!(!get(Version::HTTP_11, hosts) && !get(Version::HTTP_10, hosts), "{hosts:?}");
        }
    }

    #[test]
    fn an_authority_and_a_host_are_the_same_in_http_2() {
        let get = |target: &str, hosts: &[&str]| is_good(Version::HTTP_2, "GET", target, hosts);
        assert!(get("http://a/", &[]) && get("http://a/", &["A"]) && get("/", &["a"]));
        assert!(
            !get("/", &[]) && !get("http://a/", &["b"]) && !get("http://a:80/", &["a"]) && !get("http://b@a/", &[])
        );
        assert!(is_good(Version::HTTP_11, "GET", "http://a/", &["b"]));
    }

    #[test]
    fn a_target_is_of_the_form_that_its_method_has() {
        let is_good = |method: &str, target: &str| is_good(Version::HTTP_11, method, target, &["a"]);
        assert!(is_good("OPTIONS", "*") && is_good("CONNECT", "a:80") && is_good("GET", "/*"));
        assert!(!is_good("GET", "*") && !is_good("GET", "a:80") && !is_good("PRI", "*"));
    }
}
