//! [`Tls`]: the certificate that TLS is served with, which follows the host's generations, and the handshakes.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Mutex,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::service::{InFlight, Service};
use crate::{
    config::{TlsSettings, bounded_file, secret_file},
    host::Host,
};

/// What TLS is served with.
#[derive(Debug)]
pub(super) struct Tls {
    serving: ArcSwap<ServerConfig>,
    /// The generation that it was last read for.
    generation: AtomicU64,
    /// Held by the one who reads.
    reading: Mutex<()>,
    handshakes: AtomicUsize,
}

impl Tls {
    /// Serves this, which was read for this generation.
    pub(super) fn new(config: ServerConfig, generation: u64) -> Self {
        Self {
            serving: ArcSwap::from_pointee(config),
            generation: AtomicU64::new(generation),
            reading: Mutex::default(),
            handshakes: AtomicUsize::default(),
        }
    }

    /// Reads the files again when the host has a new generation. What is wrong with them is logged, and the old certificate
    /// goes on.
    ///
    /// While one does so, others go on at once.
    pub(super) async fn follow(&self, host: &Host) {
        let generation = host.generation();
        if self.generation.load(Ordering::Acquire) == generation {
            return;
        }
        let Ok(_reading) = self.reading.try_lock() else { return };
        if self.generation.load(Ordering::Acquire) == generation {
            return;
        }
        // Without a table there is nothing to follow: see `follow`.
        let settings = host.0.registry.load().http.tls.clone();
        if let Some(settings) = settings {
            match tokio::task::spawn_blocking(move || read(&settings)).await {
                Ok(Read { config: Ok(config), warning }) => {
                    warn(warning);
                    self.serving.store(Arc::new(config));
                }
                Ok(Read { config: Err(problems), .. }) => {
                    let problems = problems.join("; ");
                    tracing::error!(target: "http", generation, "the old certificate goes on: {problems}");
                }
                Err(error) => tracing::error!(target: "http", generation, "the old certificate goes on: {error}"),
            }
        }
        self.generation.store(generation, Ordering::Release);
    }

    /// Makes a connection a secure one; `None` when that fails, or takes longer than `header_timeout`.
    ///
    /// At most half of all connections may be about to: who only ever begins does not keep out those that are through.
    pub(super) async fn accept<S>(&self, stream: S, service: &Service) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (patience, most) = {
            let settings = service.settings();
            (settings.header_timeout, settings.max_connections.div_ceil(2))
        };
        let _counted = InFlight::new(&self.handshakes);
        if self.handshakes.load(Ordering::Relaxed) > most {
            service.0.counts.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let secured = async {
            self.follow(service.host()).await;
            TlsAcceptor::from(self.serving.load_full()).accept(stream).await
        };
        match timeout(patience, secured).await {
            Ok(Ok(stream)) => Some(stream),
            // What went wrong on a connection is its client's business.
            Ok(Err(error)) => {
                tracing::debug!(target: "http", "no handshake: {error}");
                None
            }
            Err(_) => None,
        }
    }
}

/// More than any chain, or all authorities that a system knows.
const MAX_CERTIFICATES_BYTES: usize = 1 << 20;

/// More than any key.
const MAX_KEY_BYTES: usize = 64 << 10;

/// What the files of a certificate come to.
pub(super) struct Read {
    /// What to serve, or everything that is wrong with the files.
    pub(super) config: Result<ServerConfig, Vec<String>>,
    /// What is not as it should be with them.
    pub(super) warning: Option<String>,
}

/// Says in the log what is not as it should be.
pub(super) fn warn(warning: Option<String>) {
    if let Some(warning) = warning {
        tracing::warn!(target: "http", "{warning}");
    }
}

/// Reads certificate, key and authority.
pub(super) fn read(settings: &TlsSettings) -> Read {
    let mut warning = None;
    let chain = certificates("certificate", &settings.certificate);
    let key = key(&settings.key, &mut warning);
    let clients = settings.client_authority.as_deref().map(client_verifier).transpose();
    let config = match (chain, key, clients) {
        (Ok(chain), Ok(key), Ok(clients)) => server_config(settings, chain, key, clients).map_err(|wrong| vec![wrong]),
        (chain, key, clients) => Err([chain.err(), key.err(), clients.err()].into_iter().flatten().collect()),
    };
    Read { config, warning }
}

fn server_config(
    settings: &TlsSettings,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let (certificate, key) = (settings.certificate.display(), settings.key.display());
        format!("the certificate {certificate} cannot be used with the key {key}: {error}")
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |problem: &str| format!("the {what} {} cannot be used: {problem}", path.display());
    let (bytes, _) =
        bounded_file::read(path, MAX_CERTIFICATES_BYTES).map_err(|problem| unusable(&problem.to_string()))?;
    let read = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(unusable("expected certificates in PEM, found none")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(&format!("expected certificates in PEM: {error}"))),
    }
}

/// As with other secrets, a file that others can read is a warning.
fn key(path: &Path, warning: &mut Option<String>) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    let unusable = |problem: &str| format!("the key {shown} cannot be used: {problem}");
    let (bytes, metadata) =
        bounded_file::read(path, MAX_KEY_BYTES).map_err(|problem| unusable(&problem.to_string()))?;
    if let Some(mode) = secret_file::open_to_others(&metadata) {
        *warning = Some(format!("the key {shown} is open to others (mode {mode:o}), expected mode 600"));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable("expected a private key in PEM, without a passphrase, found none"),
        // What else it says could show some of the file.
        _ => unusable("expected a private key in PEM"),
    })
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let unusable =
        |problem: &dyn std::fmt::Display| format!("the client authority {} cannot be used: {problem}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client authority", path)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| unusable(&error)).map(|verifier| verifier as _)
}
