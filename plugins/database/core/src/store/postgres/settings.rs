//! [`Settings`]: which database, and how it is talked to.

use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// Which database, and how it is talked to.
pub(crate) struct Settings {
    /// `postgres://user:password@host:port/database`, with libpq's parameters behind a `?`. With `sslmode=disable` it is
    /// talked to in clear; without, that is so on this machine only.
    pub(crate) url: Zeroizing<String>,
    /// The schema in which the tables are: small letters, digits and `_`.
    pub(crate) schema: String,
    /// Connections for lookups, each with many in flight.
    pub(crate) connections: usize,
    /// Connections for tokens that are kept, and as many for everything else, each with one call at a time.
    pub(crate) transactions: usize,
    /// A file with the certificates that are trusted, in PEM; none: those that browsers trust.
    pub(crate) tls_root: Option<PathBuf>,
    /// Whether the first call brings the schema to the form that is needed.
    pub(crate) migrate: bool,
    /// How long the server may take to let a connection in, or to answer whether it is there.
    pub(crate) timeout: Duration,
}

/// The settings, checked.
pub(super) struct Checked {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// The URL without what is secret.
    pub(super) name: String,
}

impl Settings {
    /// This database, and the defaults.
    ///
    /// Four connections carry more lookups than one machine's cores verify, and leave room for many hosts among the
    /// hundred that PostgreSQL lets in.
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned().into(),
            schema: "token_host".to_owned(),
            connections: 4,
            transactions: 4,
            tls_root: None,
            migrate: true,
            timeout: Duration::from_secs(5),
        }
    }

    /// # Errors
    ///
    /// What is wrong with them, without quoting the URL: there may be a password in it.
    pub(super) fn check(&self) -> Result<Checked, String> {
        check_schema(&self.schema)?;
        for (name, count) in [("connections", self.connections), ("transactions", self.transactions)] {
            if !(1..=MAX_CONNECTIONS).contains(&count) {
                return Err(format!("`{name}`: {count}, expected 1 to {MAX_CONNECTIONS}"));
            }
        }
        let config = self.config()?;
        let tls = tls(self.tls_root.as_deref())?;
        let name = name(&config);
        Ok(Checked { config, tls, name })
    }

    fn config(&self) -> Result<Config, String> {
        let (url, ssl_mode) = without_ssl_mode(&self.url);
        let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        let config = is_ours.then(|| url.parse::<Config>().ok()).flatten();
        let mut config = config.ok_or(
            "`url`: expected `postgres://user:password@host:port/database`, \
             with `%2F` for `/` and so on in user and password, and no parameters but libpq's",
        )?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("`url`: expected a host".to_owned());
        }
        config.ssl_mode(match ssl_mode.as_deref() {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-full") => SslMode::Require,
            // What libpq makes of it, TLS unless somebody on the way says that there is none, protects nobody.
            None | Some("prefer") if is_local(&config) => SslMode::Disable,
            None | Some("prefer") => SslMode::Require,
            Some(_) => {
                return Err("`url`: `sslmode` is not known, expected `disable`, `require` or `verify-full`".into());
            }
        });
        self.set_defaults(&mut config);
        Ok(config)
    }

    /// What the URL leaves open.
    fn set_defaults(&self, config: &mut Config) {
        /// Long enough for a network that is rebuilt, short enough not to take two minutes for it.
        const SILENCE: Duration = Duration::from_secs(10);
        /// What `tokio-postgres` has when nothing was said.
        const UNSET: Duration = Duration::from_secs(2 * 60 * 60);
        if config.get_application_name().is_none() {
            config.application_name("token-host");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(self.timeout);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        if config.get_keepalives_idle() == UNSET {
            config.keepalives_idle(SILENCE);
        }
        // Of several, the one that knows what was written last.
        if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// More than a server lets in.
const MAX_CONNECTIONS: usize = 100;

fn check_schema(schema: &str) -> Result<(), String> {
    /// PostgreSQL's 63, and room for what is behind it in the name of a channel.
    const MAX_BYTES: usize = 48;
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = schema.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if begins && schema.bytes().all(is_fine) && schema.len() <= MAX_BYTES && !schema.starts_with("pg_") {
        return Ok(());
    }
    let what = format!("`schema`: expected up to {MAX_BYTES} small letters, digits and `_`");
    Err(format!("{what}, no digit first, and no `pg_`, which is PostgreSQL's own"))
}

/// The URL without the parameter `sslmode`, and its value: `verify-full`, which libpq knows, would be an error.
fn without_ssl_mode(url: &str) -> (Zeroizing<String>, Option<String>) {
    let host = url.find('@').unwrap_or(0);
    let Some(query) = url[host..].find('?').map(|at| host + at) else {
        return (url.to_owned().into(), None);
    };
    let (modes, others): (Vec<_>, Vec<_>) = url[query + 1..].split('&').partition(|part| part.starts_with("sslmode="));
    let mode = modes.last().and_then(|mode| mode.split_once('=')).map(|(_, mode)| mode.to_owned());
    let question_mark = if others.is_empty() { "" } else { "?" };
    (format!("{}{question_mark}{}", &url[..query], others.join("&")).into(), mode)
}

/// Whether what is sent stays on this machine.
fn is_local(config: &Config) -> bool {
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn tls(root: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let roots = match root {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(path) => read_roots(path).map_err(|error| format!("`tls_root`: {}: {error}", path.display()))?,
    };
    // Not the process' default: that is for the program to choose, not for a plugin.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| "expected certificates in PEM")?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("expected at least one certificate in PEM".to_owned()) } else { Ok(roots) }
}

/// Where the database is, as a URL without credentials.
fn name(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string().replace('/', "%2F"),
    };
    let mut hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let hosts: Vec<String> = hosts.iter().enumerate().map(|(index, host)| format!("{host}:{}", port(index))).collect();
    format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Result<Config, String> {
        Settings::new(url).config()
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_that_is_switched_off() {
        for (url, expected) in [
            ("postgres://db.example/tokens", SslMode::Require),
            ("postgresql://db.example/tokens?sslmode=prefer", SslMode::Require),
            ("postgres://db.example/tokens?sslmode=verify-full", SslMode::Require),
            ("postgres://db.example/tokens?ssl%6Dode=prefer", SslMode::Require),
            ("postgres://localhost,db.example/tokens", SslMode::Require),
            ("postgres://localhost/tokens?hostaddr=192.0.2.1", SslMode::Require),
            ("postgres://localhost.example/tokens", SslMode::Require),
            ("postgres://127.0.0.1.example/tokens", SslMode::Require),
            ("postgres://u:a?sslmode=disable@db.example/tokens", SslMode::Require),
            ("postgres://db.example/tokens?sslmode=disable&connect_timeout=3", SslMode::Disable),
            ("postgres://localhost/tokens?sslmode=prefer", SslMode::Disable),
            ("postgres://localhost/tokens?sslmode=require", SslMode::Require),
            ("postgres://127.0.0.1:5433/tokens", SslMode::Disable),
            ("postgres://[::1]/tokens", SslMode::Disable),
        ] {
            let config = config(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(config.get_ssl_mode(), expected, "{url}");
        }
        #[cfg(unix)]
        assert_eq!(config("postgres://%2Fvar%2Frun/tokens").unwrap().get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn what_the_url_says_stays() {
        let url = "postgres://h/d?connect_timeout=3&keepalives_idle=7&tcp_user_timeout=8&application_name=a";
        let config = config(url).unwrap();
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(8)));
        assert_eq!(config.get_application_name(), Some("a"));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::Any);
    }

    #[test]
    fn a_name_is_the_url_without_credentials() {
        for (url, expected) in [
            ("postgres://root:hunter2@db.example/tokens", "postgres://db.example:5432/tokens"),
            ("postgres://db.example:6/tokens?user=root&password=hunter2", "postgres://db.example:6/tokens"),
            ("postgres://root:hunter2@a:1,b:2/", "postgres://a:1,b:2/"),
            ("postgres:///tokens?hostaddr=192.0.2.1", "postgres://192.0.2.1:5432/tokens"),
        ] {
            let settings = Settings::new(url);
            let checked = settings.check().unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(checked.name, expected);
            let printed = format!("{settings:?} {:?}", checked.config);
            assert!(!printed.contains("hunter2"), "{printed}");
        }
        #[cfg(unix)]
        assert_eq!(name(&config("postgres://%2Frun%2Fpg:7/t").unwrap()), "postgres://%2Frun%2Fpg:7/t");
    }

    #[test]
    fn what_is_wrong_is_said_without_a_secret() {
        for url in [
            "",
            "host=db.example password=hunter2",
            "mysql://root:hunter2@db.example/tokens",
            "postgres://root:hunter2@db.example:port/tokens",
            "postgres://root:hunter2@db.example/tokens?sslmode=allow",
            "postgres://root:hunter2@db.example/tokens?hunter2=x",
            "postgres://root:hunter2/tokens",
            "postgres:///tokens?password=hunter2",
        ] {
            let error = config(url).unwrap_err();
            assert!(error.starts_with("`url`: ") && !error.contains("hunter2"), "{url}: {error}");
        }
        for schema in ["", "1a", "A", "a-b", "a b", "a\"b", "pg_tokens", "ä", &"a".repeat(49)] {
            let error = check_schema(schema).unwrap_err();
            assert!(error.starts_with("`schema`: expected up to 48"), "{schema}: {error}");
        }
        assert_eq!(check_schema(&"a_1".repeat(16)), Ok(()));
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::new("postgres://localhost/tokens");
            change(&mut settings);
            settings.check().err().unwrap()
        };
        assert_eq!(refused(|settings| settings.connections = 0), "`connections`: 0, expected 1 to 100");
        assert_eq!(refused(|settings| settings.transactions = 101), "`transactions`: 101, expected 1 to 100");
        assert!(refused(|settings| settings.tls_root = Some("/nowhere".into())).starts_with("`tls_root`: /nowhere: "));
    }
}
