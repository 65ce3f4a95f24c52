//! [`JwksConfig`]: what is set about a key set from a file or a URL, as it is written and as it is checked.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use ureq::http::Uri;

use crate::{
    algorithm::{Algorithm, Family},
    keys::fetch::Fetcher,
};

/// A key set (JWKS, RFC 7517 §5), as settings name it. Exactly one of `url` and `path` is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwksConfig {
    /// Where it is fetched from: `https`, or `http` from a loopback address.
    url: Option<Url>,
    /// Where it is read from; relative to the folder of the configuration.
    path: Option<PathBuf>,
    /// Age in seconds after which it is fetched again, in the background: so long is a key trusted that was taken out
    /// of the set.
    #[serde(default = "default_refresh")]
    refresh_seconds: u64,
    /// Seconds between two attempts, whatever asks for them: tokens that name unknown keys cannot cause more.
    #[serde(default = "default_min_refresh")]
    min_refresh_seconds: u64,
    /// Age in seconds at which a set that cannot be fetched again is no longer used. Default: no limit. An issuer that
    /// is down has to stop nobody whose token is good, and most tokens expire long before it matters; but then whoever
    /// stole a key, and can keep us from fetching, stays in for good. Set it where that is the greater evil.
    max_stale_seconds: Option<u64>,
    /// How long a fetch may take in all: name, connection, TLS, redirects, and the last byte of the answer.
    #[serde(default = "default_timeout")]
    timeout_ms: u64,
    /// How long a call may wait for a fetch, which goes on without it. Less than the host's `deadline_ms`: a call that
    /// overruns that fails, and ten of those would switch the plugin off.
    #[serde(default = "default_wait")]
    wait_ms: u64,
    /// How large the set may be: of more than that, no more is read.
    #[serde(default = "default_max_bytes")]
    max_bytes: usize,
    /// PEM file with the certificates of a private authority, trusted in place of the bundled ones of Mozilla's list.
    ca_file: Option<PathBuf>,
    /// What RSA keys of the set are for that do not say so themselves (`alg`). Default RS256. The others say it by
    /// their curve.
    rsa_algorithm: Option<Algorithm>,
    /// Takes keys over connections that anyone on the way can change.
    #[serde(default)]
    danger_allow_http: bool,
}

impl JwksConfig {
    /// What RSA keys without `alg` are for.
    ///
    /// # Errors
    ///
    /// When the settings name something that is not for RSA keys.
    pub(crate) fn rsa_algorithm(&self) -> Result<Algorithm, String> {
        match self.rsa_algorithm.unwrap_or(Algorithm::Rs256) {
            algorithm if algorithm.family() == Family::Rsa => Ok(algorithm),
            other => Err(format!("`rsa_algorithm`: {other} is not for RSA keys")),
        }
    }
}

/// What issuers commonly allow a cache; 288 fetches a day are no burden to anyone.
fn default_refresh() -> u64 {
    300
}

/// An issuer that signs with a key before it is published for long is waited for 10 s at worst; six fetches in a minute
/// are the most that an attacker gets out of us.
fn default_min_refresh() -> u64 {
    10
}

/// A fetch from another continent takes less than 1 s, also with a slow resolver; the resolver's own second try comes
/// after 5 s. No call waits for it: see [`default_wait`].
fn default_timeout() -> u64 {
    5000
}

/// The host's default deadline is 1000 ms; the rest is for verification, and for threads that run late.
fn default_wait() -> u64 {
    750
}

/// 100 RSA keys, each with its chain of certificates, take 400 KB; most sets have 2 KB.
fn default_max_bytes() -> usize {
    512 << 10
}

/// Settings that were checked.
pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) refresh_seconds: u64,
    pub(crate) min_refresh_seconds: u64,
    pub(crate) max_stale_seconds: Option<u64>,
    pub(crate) wait: Duration,
}

/// Where a key set is. Shown without what might be secret.
pub(crate) enum Place {
    File { path: PathBuf, max_bytes: usize },
    Url(Arc<Fetcher>),
}

impl JwksConfig {
    /// The settings, checked, and `ca_file` read. Paths are relative to `folder`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in one line.
    pub(crate) fn resolve(self, folder: &Path) -> Result<Settings, String> {
        let mut wrong = Vec::new();
        let mut within = |key: &str, value: u64, least: u64, largest: u64| {
            if !(least..=largest).contains(&value) {
                wrong.push(format!("`{key}`: expected {least} to {largest}"));
            }
        };
        within("refresh_seconds", self.refresh_seconds, 1, DAY);
        within("min_refresh_seconds", self.min_refresh_seconds, 1, self.refresh_seconds.clamp(1, DAY));
        if let Some(seconds) = self.max_stale_seconds {
            within("max_stale_seconds", seconds, self.refresh_seconds, u64::MAX);
        }
        within("timeout_ms", self.timeout_ms, 1, 60_000);
        within("wait_ms", self.wait_ms, 0, 60_000);
        within("max_bytes", self.max_bytes as u64, 1, 64 << 20);
        let place = match (self.url, self.path) {
            (Some(url), None) => {
                if !url.is_allowed(self.danger_allow_http) {
                    wrong.push("`url`: expected https, or http to 127.0.0.1, [::1] or localhost".to_owned());
                }
                let ca_file = self.ca_file.map(|path| folder.join(path));
                let timeout = Duration::from_millis(self.timeout_ms);
                Fetcher::new(url, timeout, self.max_bytes, ca_file.as_deref(), self.danger_allow_http)
                    .map(|fetcher| Place::Url(Arc::new(fetcher)))
            }
            (None, Some(file)) => {
                if self.ca_file.is_some() || self.danger_allow_http {
                    wrong.push("`ca_file`, `danger_allow_http`: expected only with `url`".to_owned());
                }
                Ok(Place::File { path: folder.join(file), max_bytes: self.max_bytes })
            }
            _ => Err("expected exactly one of `url` and `path`".to_owned()),
        };
        match place {
            Ok(place) if wrong.is_empty() => Ok(Settings {
                place,
                refresh_seconds: self.refresh_seconds,
                min_refresh_seconds: self.min_refresh_seconds,
                max_stale_seconds: self.max_stale_seconds,
                wait: Duration::from_millis(self.wait_ms),
            }),
            place => {
                wrong.extend(place.err());
                Err(wrong.join("; "))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(formatter, "{}", path.display()),
            Self::Url(fetcher) => write!(formatter, "{}", fetcher.url()),
        }
    }
}

/// An `http` or `https` URL with a host and without credentials. Shown without its query, which may be a secret.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Url(Uri);

impl Url {
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether keys may be taken from there: nobody can change what goes through TLS, or stays on this machine.
    pub(crate) fn is_allowed(&self, danger_allow_http: bool) -> bool {
        let host = self.0.host().unwrap_or_default();
        let is_loopback = host == "127.0.0.1" || host == "[::1]" || host.eq_ignore_ascii_case("localhost");
        self.is_https() || is_loopback || danger_allow_http
    }
}

impl TryFrom<String> for Url {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse::<Uri>().map_err(|_| "expected an absolute URL").and_then(Self::try_from)
    }
}

impl TryFrom<Uri> for Url {
    type Error = &'static str;

    fn try_from(uri: Uri) -> Result<Self, Self::Error> {
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("expected a URL that begins with https://");
        };
        if authority.as_str().contains('@') {
            return Err("expected a URL without a user's name or password");
        }
        if authority.host().is_empty() || authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err("expected a URL with a host, and a port from 0 to 65535 if any");
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(formatter, "{}://{authority}{}", self.0.scheme_str().unwrap_or_default(), self.0.path())?;
        if self.0.query().is_some() { formatter.write_str("?...") } else { Ok(()) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(json: serde_json::Value) -> Result<Settings, String> {
        let config: JwksConfig = serde_json::from_value(json).map_err(|error| error.to_string())?;
        config.resolve(Path::new("/etc/token-host"))
    }

    fn refusal(json: serde_json::Value) -> String {
        resolve(json).err().unwrap_or_default()
    }

    #[test]
    fn little_has_to_be_set() {
        let settings = resolve(json!({"url": "https://issuer.example/jwks?key=secret"})).unwrap();
        assert_eq!(settings.place.to_string(), "https://issuer.example/jwks?...");
        assert_eq!((settings.refresh_seconds, settings.min_refresh_seconds), (300, 10));
        assert_eq!((settings.max_stale_seconds, settings.wait), (None, Duration::from_millis(750)));
        let settings = resolve(json!({"path": "keys/jwks.json"})).unwrap();
        assert_eq!(settings.place.to_string(), "/etc/token-host/keys/jwks.json");
    }

    #[test]
    fn http_is_for_this_machine() {
        let wanted = "`url`: expected https, or http to 127.0.0.1, [::1] or localhost";
        for local in ["http://127.0.0.1/", "http://[::1]:80/", "HTTP://localhost:8080", "http://LocalHost/"] {
            assert_eq!(refusal(json!({"url": local})), "", "{local}");
        }
        for remote in [
            "http://issuer.example/",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://127.1/",
            "http://[::2]/",
            "http://10.0.0.1/",
        ] {
            assert_eq!(refusal(json!({"url": remote})), wanted, "{remote}");
            assert_eq!(refusal(json!({"url": remote, "danger_allow_http": true})), "", "{remote}");
        }
    }

    #[test]
    fn urls_that_are_none() {
        let absolute = "expected a URL that begins with https://";
        let port = "expected a URL with a host, and a port from 0 to 65535 if any";
        for (url, wanted) in [
            ("", "expected an absolute URL"),
            ("https://", "expected an absolute URL"),
            ("https://a b/", "expected an absolute URL"),
            ("issuer.example/jwks", "expected an absolute URL"),
            ("/jwks", absolute),
            ("issuer.example", absolute),
            ("ftp://issuer.example/", absolute),
            ("file:///etc/passwd", "expected an absolute URL"),
            ("https://user:hunter2@issuer.example/", "expected a URL without a user's name or password"),
            ("https://hunter2@issuer.example/", "expected a URL without a user's name or password"),
            ("https://issuer.example:99999/", port),
            ("https://issuer.example:/", port),
        ] {
            assert_eq!(refusal(json!({"url": url})), wanted, "{url}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        assert_eq!(
            refusal(json!({
                "url": "http://issuer.example/", "refresh_seconds": 0, "min_refresh_seconds": 9, "max_stale_seconds": 0,
                "timeout_ms": 0, "wait_ms": 60_001, "max_bytes": 0, "ca_file": "no-such.pem",
            })),
            "`refresh_seconds`: expected 1 to 86400; `min_refresh_seconds`: expected 1 to 1; \
             `timeout_ms`: expected 1 to 60000; `wait_ms`: expected 0 to 60000; `max_bytes`: expected 1 to 67108864; \
             `url`: expected https, or http to 127.0.0.1, [::1] or localhost; \
             `ca_file`: /etc/token-host/no-such.pem: No such file or directory (os error 2)"
        );
        let one = "expected exactly one of `url` and `path`";
        assert_eq!(refusal(json!({})), one);
        assert_eq!(refusal(json!({"url": "https://issuer.example/", "path": "jwks.json"})), one);
        let unused = "`ca_file`, `danger_allow_http`: expected only with `url`";
        assert_eq!(refusal(json!({"path": "jwks.json", "ca_file": "ca.pem"})), unused);
        assert!(refusal(json!({"path": "jwks.json", "uri": 1})).contains("unknown field `uri`"));
    }

    #[test]
    fn settings_are_shown_without_secrets() {
        let config: JwksConfig =
            serde_json::from_value(json!({"url": "https://issuer.example/jwks?key=hunter2"})).unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains(r#"url: Some("https://issuer.example/jwks?...")"#), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
