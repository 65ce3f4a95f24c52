//! [`Settings`]: which Redis, and how it is talked to.

use std::{fmt, fs, path::PathBuf, time::Duration};

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates, io::tcp::TcpSettings,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use token_plugin_api::Secret;

/// Which Redis, and how it is talked to.
pub(crate) struct Settings {
    /// `redis://user:password@host:port/database` or `rediss://` with TLS; of a cluster, `redis+cluster://` or
    /// `rediss+cluster://` with some of its nodes.
    pub(crate) url: Secret,
    /// What all keys begin with, before a `:`.
    pub(crate) prefix: String,
    /// How long a call may take, opening a connection included.
    pub(crate) timeout: Duration,
    /// A file with the certificates that are trusted, in PEM; none: those that browsers trust.
    pub(crate) tls_root: Option<PathBuf>,
}

/// The settings, checked.
pub(super) struct Checked {
    pub(super) target: Target,
    /// The URL without what is secret.
    pub(super) name: String,
}

/// What is connected to.
pub(super) enum Target {
    Server(Box<redis::Client>),
    Cluster(Box<redis::cluster::ClusterClient>),
}

/// Long enough for a network that is rebuilt.
#[cfg(target_os = "linux")]
const SILENCE: Duration = Duration::from_secs(10);

impl Settings {
    /// # Errors
    ///
    /// What is wrong with them, without quoting the URL: there may be a password in it.
    pub(super) fn check(&self) -> Result<Checked, String> {
        if self.prefix.is_empty() {
            return Err("`key_prefix`: expected at least one character".to_owned());
        }
        if self.timeout.is_zero() {
            return Err("`redis.timeout_ms`: expected at least 1".to_owned());
        }
        let (scheme, rest) = self.url.expose().split_once("://").ok_or(EXPECTED)?;
        let (scheme, is_cluster) = match scheme {
            "redis" | "rediss" => (scheme, false),
            "redis+cluster" => ("redis", true),
            "rediss+cluster" => ("rediss", true),
            _ => return Err(EXPECTED.to_owned()),
        };
        if rest.contains(['#', '?']) {
            return Err(format!("{EXPECTED}, and neither `?` nor `#` but as `%3F` and `%23`"));
        }
        let certificates = if scheme == "rediss" { Some(self.certificates()?) } else { None };
        let (target, name) = if is_cluster {
            self.cluster(scheme, rest, certificates)?
        } else {
            let info = node(&format!("{scheme}://{rest}"))?;
            let name = format!("{scheme}://{}/{}", place(&info), info.redis_settings().db());
            let client = match certificates {
                Some(certificates) => redis::Client::build_with_tls(info, certificates),
                None => redis::Client::open(info),
            };
            (Target::Server(Box::new(client.map_err(unusable)?)), name)
        };
        Ok(Checked { target, name })
    }

    fn cluster(
        &self,
        scheme: &str,
        rest: &str,
        certificates: Option<TlsCertificates>,
    ) -> Result<(Target, String), String> {
        let (credentials, nodes) = match rest.rsplit_once('@') {
            Some((credentials, nodes)) => (format!("{credentials}@"), nodes),
            None => (String::new(), rest),
        };
        let nodes = nodes.split(',').map(|host| node(&format!("{scheme}://{credentials}{host}")));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        if nodes.iter().any(|node| node.redis_settings().db() != 0) {
            return Err("`url`: a cluster has the database 0 alone".to_owned());
        }
        let hosts: Vec<String> = nodes.iter().map(place).collect();
        let name = format!("{scheme}+cluster://{}", hosts.join(","));
        let builder = redis::cluster::ClusterClientBuilder::new(nodes)
            .tcp_settings(tcp_settings())
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout)
            // A call is bounded as a whole, by whoever makes it.
            .overall_response_timeout(None)
            // It would send writes again of which it does not know whether they were done.
            .retries(0);
        let builder = match certificates {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        };
        Ok((Target::Cluster(Box::new(builder.build().map_err(unusable)?)), name))
    }

    fn certificates(&self) -> Result<TlsCertificates, String> {
        // The crate takes the process' provider and no other. When the program has chosen one, that is it.
        if CryptoProvider::get_default().is_none() {
            // Lost against another thread, there is one as well.
            let _ = aws_lc_rs::default_provider().install_default();
        }
        let root_cert = match &self.tls_root {
            None => None,
            Some(path) => {
                let failed = |what: &dyn fmt::Display| format!("`redis.tls_root`: {}: {what}", path.display());
                let pem = fs::read(path).map_err(|error| failed(&error))?;
                if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
                    return Err(failed(&"expected at least one certificate in PEM"));
                }
                Some(pem)
            }
        };
        Ok(TlsCertificates { client_tls: None, root_cert })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

const EXPECTED: &str = "`url`: expected `redis://user:password@host:port/database`, `rediss://...` with TLS, or \
                        `redis+cluster://host:port,host:port`, with `%2F` for `/` and so on in user and password";

fn node(url: &str) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|_| EXPECTED.to_owned())?;
    if !matches!(info.addr(), ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { .. }) {
        return Err(EXPECTED.to_owned());
    }
    // With its third protocol, Redis 6, a connection that is closed is noticed before the next call.
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        .set_lib_name("token-host", env!("CARGO_PKG_VERSION"));
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
}

/// Where it is, as it stands in a URL.
fn place(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } if host.contains(':') => {
            format!("[{host}]:{port}")
        }
        address => address.to_string(),
    }
}

/// Small writes wait for what was sent before (Nagle's algorithm), which is what makes batches of many calls at once: the
/// crate writes each by itself. One call alone does not wait.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default();
    // A server that vanished without a word is given up, and the next call opens a connection.
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE);
    settings
}

/// The crate's words may quote the URL.
fn unusable(error: redis::RedisError) -> String {
    format!("`url`: it cannot be used: {}", error.category())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        Settings { url: Secret::new(url), prefix: "p".to_owned(), timeout: Duration::from_secs(1), tls_root: None }
    }

    #[test]
    fn a_name_is_the_url_without_credentials() {
        for (url, expected) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://root:hunter2@redis.example:6/3", "redis://redis.example:6/3"),
            ("rediss://:hunter2@redis.example", "rediss://redis.example:6379/0"),
            ("redis://[::1]:7", "redis://[::1]:7/0"),
            ("redis+cluster://root:hunter2@a:1,b:2", "redis+cluster://a:1,b:2"),
            ("rediss+cluster://:hunter2@a,b:2/0", "rediss+cluster://a:6379,b:2"),
        ] {
            let settings = settings(url);
            let checked = settings.check().unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(checked.name, expected);
            assert!(!format!("{settings:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_a_secret() {
        for url in [
            "",
            "redis",
            "redis://",
            "postgres://root:hunter2@localhost",
            "redis+unix:///hunter2",
            "redis://root:hunter2@localhost:port",
            "redis://root:hunter2@localhost/database",
            "redis://root:hunter2@localhost?protocol=resp2",
            "rediss://root:hunter2@localhost#insecure",
            "redis+cluster://root:hunter2@",
            "redis+cluster://root:hunter2@a,,b",
            "redis+cluster://root:hunter2@a,b/1",
        ] {
            let error = settings(url).check().err().unwrap_or_else(|| panic!("{url} is fine"));
            assert!(error.starts_with("`url`: ") && !error.contains("hunter2"), "{url}: {error}");
        }
        let refused = |change: fn(&mut Settings)| {
            let mut settings = settings("rediss://localhost");
            change(&mut settings);
            settings.check().err().unwrap()
        };
        assert!(refused(|settings| settings.prefix.clear()).starts_with("`key_prefix`: "));
        assert_eq!(refused(|settings| settings.timeout = Duration::ZERO), "`redis.timeout_ms`: expected at least 1");
        let error = refused(|settings| settings.tls_root = Some("/nowhere".into()));
        assert!(error.starts_with("`redis.tls_root`: /nowhere: "), "{error}");
        let error =
            refused(|settings| settings.tls_root = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into()));
        assert!(error.ends_with("expected at least one certificate in PEM"), "{error}");
    }
}
