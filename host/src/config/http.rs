//! The `[http]` table: how requests are judged, and how the HTTP service serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, header};
use toml::de::DeTable;

use super::http_rule::{RawRule, resolve_rule};
use super::keys::{Keys, Written};
use super::report::Report;
use super::resolve::Number;
use crate::authenticate::{AuthenticateSettings, Rules};
use crate::peer::Network;

/// The `[http]` table. `HttpSettings::default()` is what an absent table means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpSettings {
    /// Where the service listens. Default: `127.0.0.1:8700`, which no other machine can reach. Read at the start alone.
    pub listen: Vec<Listen>,
    /// The certificate with which it serves TLS at addresses; at Unix sockets it never does. Default: none, a proxy on the
    /// same machine needs none. Whether there is one is read at the start alone; the files are read again at each reload.
    pub tls: Option<TlsSettings>,
    /// The addresses of proxies whose `X-Forwarded-...` headers are believed. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// Whether whoever connects by a Unix socket is such a proxy: `"unix"` in `trusted_proxies`. Default: false.
    pub trust_unix: bool,
    /// The header by which such a proxy says who is signed in, for `/-/create-token`. Default: none, nobody is.
    pub user_header: Option<HeaderName>,
    /// Where tokens are looked for, and how often somebody may fail.
    pub authenticate: AuthenticateSettings,
    /// What is required of which requests. Default: none, any good token will do.
    pub rules: Rules,
    /// The headers by which proxies are told who a request is from.
    pub identity_headers: IdentityHeaders,
    /// Who may use `/api/v1` and the console.
    pub admin: AdminSettings,
    /// Serve `/api/v1`. Default: true; it wants tokens with the action `admin`.
    pub api: bool,
    /// Serve the console. Default: true; it can do what `/api/v1` can.
    pub console: bool,
    /// Serve `/metrics`. Default: true; it names handlers, and tells how much is going on.
    pub metrics: bool,
    /// How many connections may be open at once; more are answered with 503. From 1 to 1,000,000; default 16384: idle ones
    /// take some 10 KiB each.
    pub max_connections: usize,
    /// How many requests may be served at once; more are answered with 503. Half of them are for proxies alone (`/auth`).
    /// From 1 to 1,000,000; default 4096: what waits longer than that would rather be told.
    pub max_requests: usize,
    /// The longest head of a request, in bytes. From 8 KiB to 1 MiB; default 64 KiB: `max_token_bytes`, and what browsers
    /// and proxies add to it.
    pub max_header_bytes: usize,
    /// The longest body of a request, in bytes; endpoints may take less. From 1 KiB to 16 MiB; default 1 MiB.
    pub max_body_bytes: usize,
    /// How long a client may take to send the head of a request, and a connection may be idle. Connections are looked at as
    /// often, so it may be up to three times as long. From 1 ms to 10 minutes;
    /// default 30 s: proxies keep connections for later, and slow clients hold them on purpose.
    pub header_timeout: Duration,
    /// How long a request may take, its body included. From 1 ms to 10 minutes; default 30 s: more than `deadline_ms` of
    /// any handler in use. Streams of events go on for longer.
    pub request_timeout: Duration,
    /// How long requests in flight may take to finish when the service stops. From 0 to 10 minutes; default 30 s.
    pub stop_timeout: Duration,
}

/// Where the service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// At an address and port; port 0 is one that is free.
    Tcp(SocketAddr),
    /// At a Unix socket, which only its owner and its group can open: `unix:PATH`.
    Unix(PathBuf),
    /// At all sockets that systemd has opened: `systemd`.
    Systemd,
}

/// A certificate, and those of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// The chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities whose certificates clients must have, PEM. Default: none, clients need no certificate.
    pub client_authority: Option<PathBuf>,
}

/// The headers by which proxies are told who a request is from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityHeaders {
    /// The actor's id. Default: `X-Auth-Actor-Id`.
    pub actor_id: HeaderName,
    /// The handler that accepted the token. Default: `X-Auth-Handler`.
    pub handler: HeaderName,
    /// The kind of token. Default: `X-Auth-Token-Kind`.
    pub token_kind: HeaderName,
    /// When it expires, in Unix seconds. Default: `X-Auth-Expires`.
    pub expires: HeaderName,
    /// Its scopes. Default: `X-Auth-Scopes`.
    pub scopes: HeaderName,
    /// The whole actor: JSON, base64url. Default: `X-Auth-Actor`.
    pub actor: HeaderName,
}

/// Who may use `/api/v1` and the console: whoever has a token that names the action `admin`, and more where it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminSettings {
    /// The actors that may, alone. Default: `root`. Where users make their own tokens, as in a Datasette with the same secret,
    /// they choose what these name; whom they stand for they do not choose.
    pub actors: Vec<String>,
    /// The actors that may introspect, revoke and review tokens with a token that names the action for it, alone. Default:
    /// any; say which, where users make their own tokens.
    pub callers: Option<Vec<String>>,
    /// The handlers whose tokens may do either, alone. Default: any; say which, where one of them takes tokens that others
    /// make.
    pub handlers: Option<Vec<String>>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp(DEFAULT_LISTEN)],
            tls: None,
            trusted_proxies: Vec::new(),
            trust_unix: false,
            user_header: None,
            authenticate: AuthenticateSettings::default(),
            rules: Rules::default(),
            identity_headers: IdentityHeaders::default(),
            admin: AdminSettings::default(),
            api: true,
            console: true,
            metrics: true,
            max_connections: MAX_CONNECTIONS.default,
            max_requests: MAX_REQUESTS.default,
            max_header_bytes: MAX_HEADER_BYTES.default,
            max_body_bytes: MAX_BODY_BYTES.default,
            header_timeout: Duration::from_millis(HEADER_TIMEOUT_MS.default),
            request_timeout: Duration::from_millis(REQUEST_TIMEOUT_MS.default),
            stop_timeout: Duration::from_millis(STOP_TIMEOUT_MS.default),
        }
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { actors: vec!["root".to_owned()], callers: None, handlers: None }
    }
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            actor_id: HeaderName::from_static("x-auth-actor-id"),
            handler: HeaderName::from_static("x-auth-handler"),
            token_kind: HeaderName::from_static("x-auth-token-kind"),
            expires: HeaderName::from_static("x-auth-expires"),
            scopes: HeaderName::from_static("x-auth-scopes"),
            actor: HeaderName::from_static("x-auth-actor"),
        }
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() && !path.contains('\0') => Ok(Self::Unix(path.into())),
            None if text == "systemd" => Ok(Self::Systemd),
            None => text.parse().map(Self::Tcp).map_err(|_| EXPECTED_LISTEN),
            Some(_) => Err(EXPECTED_LISTEN),
        }
    }
}

/// The table as written.
pub(super) struct RawHttp {
    listen: Vec<Written<String>>,
    tls: Option<RawTls>,
    trusted_proxies: Vec<Written<String>>,
    user_header: Option<Written<String>>,
    realm: Option<Written<String>>,
    schemes: Vec<Written<String>>,
    token_header: Option<Written<String>>,
    token_cookie: Option<Written<String>>,
    token_query: Option<Written<String>>,
    failures_per_address: Option<Written<i128>>,
    failures_per_token: Option<Written<i128>>,
    rules: Vec<RawRule>,
    identity_headers: Vec<(&'static str, Written<String>)>,
    admin: AdminSettings,
    api: Option<Written<bool>>,
    console: Option<Written<bool>>,
    metrics: Option<Written<bool>>,
    max_connections: Option<Written<i128>>,
    max_requests: Option<Written<i128>>,
    max_header_bytes: Option<Written<i128>>,
    max_body_bytes: Option<Written<i128>>,
    header_timeout_ms: Option<Written<i128>>,
    request_timeout_ms: Option<Written<i128>>,
    stop_timeout_ms: Option<Written<i128>>,
}

struct RawTls {
    certificate: Option<Written<String>>,
    key: Option<Written<String>>,
    client_authority: Option<Written<String>>,
}

const IDENTITY_HEADERS: [&str; 6] = ["actor_id", "handler", "token_kind", "expires", "scopes", "actor"];

impl RawHttp {
    pub(super) fn read(table: &Written<&DeTable<'_>>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table.value);
        let rules = keys.tables("rule", "a list of tables, each written [[http.rule]]", report);
        let http = Self {
            listen: keys.strings("listen", report),
            tls: keys.table("tls", report).map(|table| RawTls::read(&table, report)),
            trusted_proxies: keys.strings("trusted_proxies", report),
            user_header: keys.string("user_header", report),
            realm: keys.string("realm", report),
            schemes: keys.strings("schemes", report),
            token_header: keys.string("token_header", report),
            token_cookie: keys.string("token_cookie", report),
            token_query: keys.string("token_query", report),
            failures_per_address: keys.integer("failures_per_address", report),
            failures_per_token: keys.integer("failures_per_token", report),
            rules: rules.into_iter().map(|rule| RawRule::read(&rule, report)).collect(),
            identity_headers: identity_headers(&mut keys, report),
            admin: admin(&mut keys, report),
            api: keys.boolean("api", report),
            console: keys.boolean("console", report),
            metrics: keys.boolean("metrics", report),
            max_connections: keys.integer("max_connections", report),
            max_requests: keys.integer("max_requests", report),
            max_header_bytes: keys.integer("max_header_bytes", report),
            max_body_bytes: keys.integer("max_body_bytes", report),
            header_timeout_ms: keys.integer("header_timeout_ms", report),
            request_timeout_ms: keys.integer("request_timeout_ms", report),
            stop_timeout_ms: keys.integer("stop_timeout_ms", report),
        };
        keys.finish("", report);
        http
    }
}

impl RawTls {
    fn read(table: &Written<&DeTable<'_>>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table.value);
        let tls = Self {
            certificate: keys.string("certificate", report),
            key: keys.string("key", report),
            client_authority: keys.string("client_authority", report),
        };
        keys.finish("", report);
        if !table.value.contains_key("certificate") || !table.value.contains_key("key") {
            report.error(table.place, "`tls` must name a `certificate` and its `key`");
        }
        tls
    }
}

fn identity_headers(keys: &mut Keys<'_>, report: &mut Report<'_>) -> Vec<(&'static str, Written<String>)> {
    let Some(table) = keys.table("identity_headers", report) else { return Vec::new() };
    let mut keys = Keys::new(table.value);
    let named = IDENTITY_HEADERS.iter().filter_map(|key| Some((*key, keys.string(key, report)?))).collect();
    keys.finish("", report);
    named
}

fn admin(keys: &mut Keys<'_>, report: &mut Report<'_>) -> AdminSettings {
    let Some(table) = keys.table("admin", report) else { return AdminSettings::default() };
    let mut keys = Keys::new(table.value);
    let mut list = |key| {
        let written = keys.strings(key, report);
        table.value.contains_key(key).then(|| written.into_iter().map(|written| written.value).collect())
    };
    let defaults = AdminSettings::default();
    let actors = list("actors").unwrap_or(defaults.actors);
    let admin = AdminSettings { actors, callers: list("callers"), handlers: list("handlers") };
    keys.finish("", report);
    admin
}

/// Checks and resolves the table; relative paths are relative to `base`.
pub(super) fn resolve(raw: RawHttp, base: &Path, report: &mut Report<'_>) -> HttpSettings {
    let defaults = HttpSettings::default();
    let listen = raw.listen.iter().filter_map(|written| listen(written, base, report)).collect::<Vec<_>>();
    let (unix, networks): (Vec<_>, Vec<_>) = raw.trusted_proxies.iter().partition(|written| written.value == "unix");
    let mut authenticate = AuthenticateSettings::default();
    if let Some(realm) = raw.realm {
        if realm.value.is_empty()
            || !realm.value.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        {
            report.error(realm.place, "`realm` must be printable ASCII without `\"` and `\\`");
        }
        authenticate.realm = realm.value;
    }
    if !raw.schemes.is_empty() {
        for scheme in raw.schemes.iter().filter(|scheme| !is_token(&scheme.value)) {
            report.error(scheme.place, "`schemes` must be names of schemes, as in \"Bearer\"");
        }
        authenticate.schemes = raw.schemes.into_iter().map(|written| written.value).collect();
    }
    authenticate.header = raw.token_header.and_then(|written| header_name("token_header", &written, report));
    for (key, written) in [("token_cookie", &raw.token_cookie), ("token_query", &raw.token_query)] {
        if let Some(written) = written.as_ref().filter(|written| !is_token(&written.value)) {
            report.error(written.place, format!("`{key}` must be a name of letters, digits and `_`, `-`, `.`"));
        }
    }
    authenticate.cookie = raw.token_cookie.map(|written| written.value);
    authenticate.query = raw.token_query.map(|written| written.value);
    authenticate.failures_per_address = FAILURES_PER_ADDRESS.read(raw.failures_per_address, report);
    authenticate.failures_per_token = FAILURES_PER_TOKEN.read(raw.failures_per_token, report);
    let user_header = raw.user_header.and_then(|written| {
        let name = header_name("user_header", &written, report)?;
        if authenticate.header.as_ref() == Some(&name) {
            report.error(written.place, "`user_header` must be another header than `token_header`");
        }
        Some(name)
    });
    let mut names = IdentityHeaders::default();
    for (key, written) in &raw.identity_headers {
        let Some(name) = header_name(key, written, report) else { continue };
        *names.named(key) = name;
    }
    if let Some((_, written)) = raw.identity_headers.last().filter(|_| names.has_repeated()) {
        report.error(written.place, "`identity_headers` must be different from each other");
    }
    HttpSettings {
        listen: if listen.is_empty() { defaults.listen } else { listen },
        tls: raw.tls.and_then(|raw| tls(raw, base, report)),
        trusted_proxies: networks.into_iter().filter_map(|written| network(written, report)).collect(),
        trust_unix: !unix.is_empty(),
        user_header,
        authenticate,
        rules: Rules::new(raw.rules.into_iter().map(|rule| resolve_rule(rule, report)).collect()),
        identity_headers: names,
        admin: raw.admin,
        api: raw.api.is_none_or(|written| written.value),
        console: raw.console.is_none_or(|written| written.value),
        metrics: raw.metrics.is_none_or(|written| written.value),
        max_connections: MAX_CONNECTIONS.read(raw.max_connections, report),
        max_requests: MAX_REQUESTS.read(raw.max_requests, report),
        max_header_bytes: MAX_HEADER_BYTES.read(raw.max_header_bytes, report),
        max_body_bytes: MAX_BODY_BYTES.read(raw.max_body_bytes, report),
        header_timeout: Duration::from_millis(HEADER_TIMEOUT_MS.read(raw.header_timeout_ms, report)),
        request_timeout: Duration::from_millis(REQUEST_TIMEOUT_MS.read(raw.request_timeout_ms, report)),
        stop_timeout: Duration::from_millis(STOP_TIMEOUT_MS.read(raw.stop_timeout_ms, report)),
    }
}

impl IdentityHeaders {
    /// All of them.
    pub(crate) fn all(&self) -> [&HeaderName; 6] {
        [&self.actor_id, &self.handler, &self.token_kind, &self.expires, &self.scopes, &self.actor]
    }

    fn named(&mut self, key: &str) -> &mut HeaderName {
        match key {
            "actor_id" => &mut self.actor_id,
            "handler" => &mut self.handler,
            "token_kind" => &mut self.token_kind,
            "expires" => &mut self.expires,
            "scopes" => &mut self.scopes,
            _ => &mut self.actor,
        }
    }

    fn has_repeated(&self) -> bool {
        let mut names = self.all().map(HeaderName::as_str);
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

fn listen(written: &Written<String>, base: &Path, report: &mut Report<'_>) -> Option<Listen> {
    match written.value.parse() {
        Ok(Listen::Unix(path)) => Some(Listen::Unix(base.join(path))),
        Ok(listen) => Some(listen),
        Err(expected) => {
            report.error(written.place, format!("`listen` {expected}"));
            None
        }
    }
}

fn tls(raw: RawTls, base: &Path, report: &mut Report<'_>) -> Option<TlsSettings> {
    let mut path = |key: &str, written: Option<Written<String>>| {
        let written = written?;
        if written.value.is_empty() || written.value.contains('\0') {
            report.error(written.place, format!("`{key}` must be a path"));
        }
        Some(base.join(written.value))
    };
    let (certificate, key) = (path("certificate", raw.certificate), path("key", raw.key));
    let client_authority = path("client_authority", raw.client_authority);
    Some(TlsSettings { certificate: certificate?, key: key?, client_authority })
}

fn network(written: &Written<String>, report: &mut Report<'_>) -> Option<Network> {
    let parsed = written.value.parse::<Network>();
    parsed.map_err(|expected| report.error(written.place, format!("`trusted_proxies` {expected}, or `unix`"))).ok()
}

fn header_name(key: &str, written: &Written<String>, report: &mut Report<'_>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(written.value.as_bytes()).ok();
    // These mean something else to everybody who forwards requests.
    let taken = [header::AUTHORIZATION, header::COOKIE, header::HOST, header::CONNECTION, header::CONTENT_LENGTH];
    let name = name.filter(|name| !taken.contains(name) && *name != header::TRANSFER_ENCODING);
    if name.is_none() {
        report.error(written.place, format!("`{key}` must be the name of a header of its own"));
    }
    name
}

/// RFC 9110's `token`.
pub(super) fn is_token(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok()
}

const EXPECTED_LISTEN: &str = "must be an address with a port (`127.0.0.1:8700`), `unix:PATH` or `systemd`";

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8700);

// The defaults' reasons stand with the public fields that they fill.
const FAILURES_PER_ADDRESS: Number<u32> =
    Number { key: "failures_per_address", unit: "failures", least: 1, largest: 1_000_000, default: 60 };
const FAILURES_PER_TOKEN: Number<u32> =
    Number { key: "failures_per_token", unit: "failures", least: 1, largest: 1_000_000, default: 60 };
const MAX_CONNECTIONS: Number<usize> =
    Number { key: "max_connections", unit: "connections", least: 1, largest: 1_000_000, default: 16_384 };
const MAX_REQUESTS: Number<usize> =
    Number { key: "max_requests", unit: "requests", least: 1, largest: 1_000_000, default: 4096 };
const MAX_HEADER_BYTES: Number<usize> =
    Number { key: "max_header_bytes", unit: "bytes", least: 8 << 10, largest: 1 << 20, default: 64 << 10 };
const MAX_BODY_BYTES: Number<usize> =
    Number { key: "max_body_bytes", unit: "bytes", least: 1 << 10, largest: 16 << 20, default: 1 << 20 };
const HEADER_TIMEOUT_MS: Number<u64> =
    Number { key: "header_timeout_ms", unit: "milliseconds", least: 1, largest: 600_000, default: 30_000 };
const REQUEST_TIMEOUT_MS: Number<u64> =
    Number { key: "request_timeout_ms", unit: "milliseconds", least: 1, largest: 600_000, default: 30_000 };
const STOP_TIMEOUT_MS: Number<u64> =
    Number { key: "stop_timeout_ms", unit: "milliseconds", least: 0, largest: 600_000, default: 30_000 };

#[cfg(test)]
mod tests {
    use super::super::{Config, MakeSecrets, Origin};
    use super::*;

    fn read(text: &str) -> Result<Config, super::super::Findings> {
        Config::parse(text, Origin::Text, Path::new("no-such-folder"), MakeSecrets::Ephemeral)
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (lines, expected) in [
            ("listen = ['localhost']", EXPECTED_LISTEN),
            ("listen = ['unix:']", EXPECTED_LISTEN),
            ("trusted_proxies = ['10.0.0.0/33']", "`trusted_proxies` must be"),
            ("realm = 'a\"b'", "`realm` must be printable ASCII"),
            ("schemes = ['a b']", "`schemes` must be names"),
            ("token_cookie = 'a;b'", "`token_cookie` must be a name"),
            ("token_query = ''", "`token_query` must be a name"),
            ("token_header = 'authorization'", "`token_header` must be the name of a header of its own"),
            ("user_header = 'a:b'", "`user_header` must be the name of a header of its own"),
            ("token_header = 'x-a'\nuser_header = 'X-A'", "`user_header` must be another header"),
            ("max_requests = 0", "`max_requests` must be"),
            ("unknown = 1", "unknown"),
            ("[http.tls]\nkey = 'a'", "`tls` must name a `certificate` and its `key`"),
            ("[http.tls]\nkey = ''\ncertificate = 'b'", "`key` must be a path"),
            ("[http.identity_headers]\nactor_id = 'x-auth-actor'", "`identity_headers` must be different"),
            ("[http.identity_headers]\nactor_id = 'Host'", "`actor_id` must be the name of a header"),
            ("[[http.rule]]\nhost = 'a:80'", "`host` must be a host without a port"),
            ("[[http.rule]]\npath = 'a'", "`path` must be a path"),
            ("[[http.rule]]\nmethods = ['get']", "`methods` must be methods in upper case"),
            ("[[http.rule]]\nmethods = ['G T']", "`methods` must be methods in upper case"),
            ("[[http.rule]]\npolicy = 'a'\npolicy_method = 'get'", "`policy_method` must be a method in upper case"),
            ("[[http.rule]]\nscope = ' '", "`scope` must name a scope"),
            ("[[http.rule]]\naction = ''", "`action` must not be empty"),
            ("[[http.rule]]\npolicy = ''", "`policy` must not be empty"),
            ("[[http.rule]]\ndatabase = 'a'", "`database` and `resource` are of an `action`"),
            ("[[http.rule]]\naction = 'a'\nresource = 'b'", "a `resource` is one of a `database`"),
            ("[[http.rule]]\npolicy_id = 'a'", "`policy_method` and `policy_id` are of a `policy`"),
            ("[[http.rule]]\npath = '/{a}'\naction = '{b}'", "`{b}` must be a part of the rule's `path`"),
        ] {
            let findings = read(&format!("[http]\n{lines}")).map(drop).expect_err(lines).to_string();
            assert!(findings.contains(expected) && findings.starts_with("<string>:"), "{lines}: {findings}");
        }
    }

    #[test]
    fn what_is_documented_is_read() {
        let config = read(
            "[http]\nlisten = ['unix:run/a.sock', 'systemd', '[::1]:1']\ntrusted_proxies = ['unix', '10.0.0.0/8']\n\
             [http.admin]\nhandlers = ['signed']\ncallers = ['apache']\n[[http.rule]]\npath = '/{a}/*'\nmethods = ['GET']\naction = 'view'\n\
             database = '{a}'\n",
        );
        let http = config.unwrap().http;
        let socket = std::path::absolute("no-such-folder/run/a.sock").unwrap();
        assert_eq!(http.listen, [Listen::Unix(socket), Listen::Systemd, Listen::Tcp("[::1]:1".parse().unwrap())]);
        assert_eq!((http.trust_unix, http.trusted_proxies.len(), http.rules.is_empty()), (true, 1, false));
        assert_eq!(http.admin.actors, ["root"], "whoever else is not said");
        assert_eq!(http.admin.callers.as_deref(), Some(&["apache".to_owned()][..]));
        assert_eq!(http.admin.handlers.as_deref(), Some(&["signed".to_owned()][..]));
    }
}
