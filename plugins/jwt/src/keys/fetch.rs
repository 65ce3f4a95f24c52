//! One bounded GET.

use std::{
    fs,
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use ureq::{
    Agent, Error,
    config::Config,
    http::{StatusCode, Uri},
    tls::{Certificate, RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::keys::settings::Url;

/// Fetches one URL, within a time and a size. Knows nothing of what comes.
///
/// Of an answer, status and body count, and of a redirect where it leads, which has to be as good a place as the URL
/// itself. Headers about caches are not read: how old keys may get is for who trusts them to say, and an attacker who
/// once got hold of the server must not make us keep his keys for a year. No cookies, no proxies from the environment,
/// no connection that is kept.
#[derive(Debug)]
pub(crate) struct Fetcher {
    url: Url,
    config: Config,
    timeout: Duration,
    max_bytes: usize,
    danger_allow_http: bool,
}

impl Fetcher {
    /// # Errors
    ///
    /// When there are no certificates in `ca_file`.
    pub(crate) fn new(
        url: Url,
        timeout: Duration,
        max_bytes: usize,
        ca_file: Option<&Path>,
        danger_allow_http: bool,
    ) -> Result<Self, String> {
        let roots = match ca_file {
            Some(path) => read_authorities(path).map_err(|error| format!("`ca_file`: {}: {error}", path.display()))?,
            None => RootCerts::WebPki,
        };
        // Not the process' default: that is for the program to choose, not for a plugin.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            // Whoever sets a variable must not choose the way that keys come.
            .proxy(None)
            .max_idle_connections(0)
            .user_agent(concat!("token-host/", env!("CARGO_PKG_VERSION")))
            .accept("application/jwk-set+json, application/json;q=0.9, */*;q=0.1")
            .build();
        Ok(Self { url, config, timeout, max_bytes, danger_allow_http })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The body of the answer. Blocks, for the timeout at most.
    ///
    /// # Errors
    ///
    /// What went wrong, without what was sent, and without the URL.
    pub(crate) fn get(&self) -> Result<Vec<u8>, String> {
        let hops = Hops {
            danger_allow_http: self.danger_allow_http,
            was_https: AtomicBool::new(false),
            resolver: DefaultResolver::default(),
        };
        let agent = Agent::with_parts(self.config.clone(), DefaultConnector::new(), hops);
        let answer = agent.get(self.url.uri()).call();
        let mut answer = answer.map_err(|error| self.describe(error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("answered with status {}, expected 200", answer.status().as_u16()));
        }
        let mut body = Vec::new();
        let most = self.max_bytes as u64;
        // One byte more than allowed tells that there is more.
        let read = answer.body_mut().as_reader().take(most + 1).read_to_end(&mut body);
        read.map_err(|error| self.describe(error.into()))?;
        if body.len() > self.max_bytes {
            return Err(format!("answer has more than {most} bytes (`max_bytes`)"));
        }
        Ok(body)
    }

    /// An error in words of our own where ureq's might quote a URL, or say little.
    fn describe(&self, error: Error) -> String {
        match error {
            Error::Timeout(_) => format!("took longer than {} ms (`timeout_ms`)", self.timeout.as_millis()),
            Error::TooManyRedirects => format!("redirected more than {MAX_REDIRECTS} times"),
            Error::Protocol(_) => "answer is not valid HTTP/1.1".to_owned(),
            Error::LargeResponseHeader(..) => "answer has too large a header".to_owned(),
            Error::Io(error) => error.to_string(),
            Error::Rustls(error) => error.to_string(),
            Error::Other(refusal) => refusal.to_string(),
            Error::HostNotFound => "host not found".to_owned(),
            Error::BadUri(_) => "redirected to what is no URL".to_owned(),
            _ => "request failed".to_owned(),
        }
    }
}

/// The certificates in a PEM file.
fn read_authorities(path: &Path) -> Result<RootCerts, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| "expected certificates in PEM")?;
        // ureq would leave out, in silence, what cannot be read.
        RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())?;
        certificates.push(Certificate::from_der(&certificate).to_owned());
    }
    if certificates.is_empty() {
        return Err("expected at least one certificate in PEM".to_owned());
    }
    Ok(RootCerts::from(certificates))
}

/// Looks at every URL on the way, the redirects' too, before anything is looked up or sent: that is when ureq asks its
/// resolver.
#[derive(Debug)]
struct Hops {
    danger_allow_http: bool,
    was_https: AtomicBool,
    resolver: DefaultResolver,
}

impl Resolver for Hops {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let url = Url::try_from(uri.clone())
            .map_err(|expected| Error::Other(format!("redirected elsewhere, {expected}").into()))?;
        if self.was_https.load(Ordering::Relaxed) && !url.is_https() {
            return Err(Error::Other("redirected from https to http".into()));
        }
        if !url.is_allowed(self.danger_allow_http) {
            return Err(Error::Other("redirected to http, expected https".into()));
        }
        self.was_https.store(url.is_https(), Ordering::Relaxed);
        self.resolver.resolve(uri, config, timeout)
    }
}

/// One to where the set has moved, one for a missing slash or `www.`, and one to spare.
const MAX_REDIRECTS: u32 = 3;

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
