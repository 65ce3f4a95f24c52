//! [`Collector`]: the way to a collector of OpenTelemetry, one bounded POST at a time.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::crypto::aws_lc_rs;
use ureq::{
    Agent,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

/// What a collector may answer with: how many spans it did not want, and why.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Sends what there is to send, and waits: on the exporter's own thread, where nobody else has to.
#[derive(Debug)]
pub(super) struct Collector(Agent);

impl Collector {
    /// One that has so much time for each sending, and whose certificate is by one of these authorities (PEM); none: by
    /// those that browsers trust.
    ///
    /// # Errors
    ///
    /// When there is no certificate in them.
    pub(super) fn new(timeout: Duration, authorities: Option<&[u8]>) -> Result<Self, String> {
        let roots = authorities.map_or(Ok(RootCerts::WebPki), read)?;
        // Not the process' default: a plugin may have chosen that.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // What is sent is for whom it is addressed to.
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("token-host/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self(config.new_agent()))
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, &*body))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(body)))
    }
}

impl HttpClient for Collector {
    fn send_bytes<'c, 's>(&'c self, request: Request<Bytes>) -> Sending<'s>
    where
        'c: 's,
        Self: 's,
    {
        Box::pin(ready(self.send(request)))
    }
}

/// What the trait has for a function that is asynchronous.
type Sending<'s> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 's>>;

fn read(pem: &[u8]) -> Result<RootCerts, String> {
    let items = parse_pem(pem).collect::<Result<Vec<_>, _>>().map_err(|_| "expected certificates in PEM")?;
    let certificates: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err("expected at least one certificate in PEM".to_owned());
    }
    Ok(RootCerts::from(certificates))
}
