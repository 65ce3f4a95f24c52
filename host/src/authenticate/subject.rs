//! [`Subject`]: the request that is judged, as far as the host needs to know it; and [`client_address`].

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    str,
};

use http::{HeaderMap, header, request::Parts};
use token_plugin_api::RequestContext;

use crate::peer::{Network, Peer};

/// The request that is judged, as far as the host needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its method.
    pub method: &'r str,
    /// The host that it is for, with or without a port.
    pub host: Option<&'r str>,
    /// Its path, as it came, without the query.
    pub path: &'r str,
    /// Its query, without the `?`.
    pub query: Option<&'r str>,
    /// The address of who sent it; none: it cannot be told.
    pub client: Option<IpAddr>,
}

impl<'r> Subject<'r> {
    /// A request as a server has it, sent by this address.
    pub fn of(parts: &'r Parts, client: Option<IpAddr>) -> Self {
        Self {
            headers: &parts.headers,
            method: parts.method.as_str(),
            host: host_of(parts),
            path: parts.uri.path(),
            query: parts.uri.query(),
            client,
        }
    }

    /// The same of a request that is there as a whole.
    pub(crate) fn of_request<B>(request: &'r http::Request<B>, client: Option<IpAddr>) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        let host = || headers.get(header::HOST)?.to_str().ok();
        let (host, method) = (uri.host().or_else(host), request.method().as_str());
        Self { headers, method, host, path: uri.path(), query: uri.query(), client }
    }

    /// The request in the form of a [`RequestContext`](token_plugin_api::RequestContext), for handlers and events. Without
    /// the query, which may hold secrets.
    pub(crate) fn context(&self) -> String {
        let text = |name: &header::HeaderName, most| {
            let value = self.headers.get(name)?.as_bytes();
            str::from_utf8(value).ok().map(|text| beginning(text, most))
        };
        let request_id = self.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.filter(|id| id.len() <= MAX_REQUEST_ID_BYTES).or_else(|| self.trace_id());
        let mut context = String::with_capacity(256);
        context.push('{');
        if let Some(client) = self.client {
            // Writing into a string does not fail.
            let _ = write!(context, r#""client_address":"{client}","#);
        }
        for (name, value) in [
            ("request_id", request_id),
            ("method", Some(beginning(self.method, MAX_METHOD_BYTES))),
            ("host", self.host.map(|host| beginning(host, MAX_HOST_BYTES))),
            ("user_agent", text(&header::USER_AGENT, MAX_USER_AGENT_BYTES)),
        ] {
            if let Some(value) = value {
                push_member(&mut context, name, value);
                context.push(',');
            }
        }
        push_member(&mut context, "path", beginning(self.path, MAX_PATH_BYTES));
        context.push('}');
        context
    }

    /// The same, read.
    pub(crate) fn request_context(&self) -> RequestContext {
        serde_json::from_str(&self.context()).unwrap_or_default()
    }

    /// The same, for what somebody does: `by` is who.
    pub(crate) fn context_of(&self, by: &str) -> RequestContext {
        let mut context = self.request_context();
        context.extra.insert("by".to_owned(), by.into());
        context
    }

    /// The trace that the request is part of (W3C Trace Context): `traceparent` as version 00 has it.
    pub fn trace_id(&self) -> Option<&'r str> {
        trace_id(self.headers)
    }
}

/// The trace that a request with these headers is part of.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_whole = version.len() == 2 && trace.len() == 32 && parent.len() == 16 && flags.len() == 2;
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    let is_something = |id: &str| id.bytes().any(|byte| byte != b'0');
    let is_good = is_whole && is_known && [version, trace, parent, flags].iter().all(|part| is_hex(part));
    (is_good && is_something(trace) && is_something(parent)).then_some(trace)
}

/// As much of a path as goes into events and spans.
#[cfg(feature = "http")]
pub(crate) fn beginning_of_path(path: &str) -> &str {
    beginning(path, MAX_PATH_BYTES)
}

/// What of a request goes into events. Longer than anybody needs is not kept.
const MAX_REQUEST_ID_BYTES: usize = 128;
const MAX_METHOD_BYTES: usize = 32;
const MAX_HOST_BYTES: usize = 255;
const MAX_PATH_BYTES: usize = 1024;
const MAX_USER_AGENT_BYTES: usize = 256;

/// A member of a JSON object. Most texts have nothing to escape, and are written without a serializer: it is done for each
/// request.
fn push_member(json: &mut String, name: &str, value: &str) {
    json.push('"');
    json.push_str(name);
    json.push_str("\":");
    if value.bytes().any(|byte| matches!(byte, 0..=0x1f | b'"' | b'\\')) {
        // A string is plain data: writing it cannot fail.
        json.push_str(&serde_json::to_string(value).unwrap_or_default());
    } else {
        json.push('"');
        json.push_str(value);
        json.push('"');
    }
}

/// As much of a text as fits into so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether a request names one host alone: what is behind may go by another one than the rules.
#[cfg(feature = "tower")]
pub(crate) fn has_one_host(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next(), parts.uri.authority()) {
        (_, Some(_), _) => false,
        (Some(host), None, Some(authority)) => host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()),
        _ => true,
    }
}

fn host_of(parts: &Parts) -> Option<&str> {
    parts.uri.host().or_else(|| parts.headers.get(header::HOST)?.to_str().ok())
}

/// The address of the client that a request came from: the peer's own, or when the peer is a trusted proxy, the last
/// address in `X-Forwarded-For` that is none of a trusted proxy.
pub fn client_address(headers: &HeaderMap, peer: Peer, proxies: &[Network]) -> Option<IpAddr> {
    let own = match peer {
        Peer::Address(address) => Some(address.to_canonical()),
        _ => None,
    };
    if !peer.is_trusted(proxies) {
        return own;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev().map(|line| line.to_str().unwrap_or_default());
    let mut client = own;
    for entry in lines.flat_map(|line| line.rsplit(',')).take(MAX_PROXIES) {
        // Behind what is no address, anything may have been written by anybody.
        let Some(address) = address(entry.trim()) else { break };
        client = Some(address);
        if !proxies.iter().any(|network| network.contains(address)) {
            break;
        }
    }
    client
}

/// More proxies in a row than there are anywhere.
const MAX_PROXIES: usize = 32;

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use token_plugin_api::RequestContext;

    use super::*;

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn forwarded_addresses_are_believed_from_listed_peers() {
        let proxies = ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let proxy = Peer::Address([127, 0, 0, 1].into());
        let of = |lines: &[&str], peer| client_address(&forwarded(lines), peer, &proxies).map(|a| a.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(&["9.9.9.9"], Peer::Address([8, 8, 8, 8].into())), some("8.8.8.8"), "not listed");
        assert_eq!(of(&["9.9.9.9"], Peer::Unknown), None);
        assert_eq!(of(&[], proxy), some("127.0.0.1"));
        assert_eq!(of(&["1.1.1.1, 9.9.9.9"], proxy), some("9.9.9.9"), "the client wrote what is before");
        assert_eq!(of(&["1.1.1.1", "9.9.9.9, 10.1.2.3"], proxy), some("9.9.9.9"));
        assert_eq!(of(&["10.0.0.1, 10.0.0.2"], proxy), some("10.0.0.1"));
        assert_eq!(of(&["9.9.9.9, junk, 10.1.2.3"], proxy), some("10.1.2.3"));
        assert_eq!(of(&["9.9.9.9:1234"], proxy), some("9.9.9.9"));
        assert_eq!(of(&["[2001:db8::1]:443"], Peer::Trusted), some("2001:db8::1"));
        assert_eq!(of(&["[2001:db8::1]"], proxy), some("2001:db8::1"));
    }

    #[test]
    fn the_context_is_one_that_plugins_can_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, format!("a\"{}", "é".repeat(300)).parse().unwrap());
        headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
        let subject = Subject {
            headers: &headers,
            method: "GET",
            host: Some("db.example"),
            path: "/a b",
            query: Some("access_token=secret"),
            client: Some([10, 0, 0, 1].into()),
        };
        let context: RequestContext = serde_json::from_str(&subject.context()).unwrap();
        assert_eq!(context.client_address.as_deref(), Some("10.0.0.1"));
        assert_eq!(context.request_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!((context.method.as_deref(), context.path.as_deref()), (Some("GET"), Some("/a b")));
        assert!(context.user_agent.is_some_and(|agent| agent.starts_with("a\"é") && agent.len() <= 256));
        assert!(context.extra.is_empty() && !subject.context().contains("secret"));
    }

    #[test]
    fn a_trace_is_one_of_the_standard_s() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", value.parse().unwrap());
            let (method, host, path, query, client) = ("GET", None, "/", None, None);
            Subject { headers: &headers, method, host, path, query, client }.trace_id().map(str::to_owned)
        };
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of(&format!("00-{trace}-00f067aa0ba902b7-00")).as_deref(), Some(trace));
        assert_eq!(of(&format!("cc-{trace}-00f067aa0ba902b7-00-later")).as_deref(), Some(trace));
        for bad in [
            format!("ff-{trace}-00f067aa0ba902b7-00"),
            format!("00-{trace}-00f067aa0ba902b7-00-more"),
            format!("00-{trace}-0000000000000000-00"),
            format!("00-{}-00f067aa0ba902b7-00", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-00", trace.to_uppercase()),
            "junk".to_owned(),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }
}
