//! A small HTTP or HTTPS server on a port of its own, which answers as a test wants it to.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// What a connection is read from and written to.
pub(crate) trait Connection: Read + Write {}
impl<C: Read + Write> Connection for C {}

/// Every connection is served by a thread of its own, so that one which hangs keeps no other waiting.
pub(crate) struct TestServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The heads of the requests, in order.
    requests: Mutex<Vec<String>>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl TestServer {
    /// Answers with whatever `respond` writes; it is told the how manyeth request it is, from 0 on.
    pub(crate) fn http(respond: impl Fn(usize, &mut dyn Connection) + Send + Sync + 'static) -> Self {
        Self::start(respond, |stream| Some(Box::new(stream)))
    }

    /// The same behind TLS, with the certificate for `localhost`.
    pub(crate) fn https(respond: impl Fn(usize, &mut dyn Connection) + Send + Sync + 'static) -> Self {
        let certificate = CertificateDer::from_pem_file(tls_file("localhost.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(tls_file("localhost.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        Self::start(respond, move |mut stream| {
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            tls.complete_io(&mut stream).ok()?;
            Some(Box::new(StreamOwned::new(tls, stream)))
        })
    }

    fn start(
        respond: impl Fn(usize, &mut dyn Connection) + Send + Sync + 'static,
        open: impl Fn(TcpStream) -> Option<Box<dyn Connection>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let (served, serve) = (Arc::clone(&shared), Arc::new((open, respond)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, served, serve) = (stream.unwrap(), Arc::clone(&served), Arc::clone(&serve));
                // A test that fails must not leave a thread that waits for its client.
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                thread::spawn(move || {
                    if let Some(mut connection) = (serve.0)(stream)
                        && let Ok(head) = read_head(&mut *connection)
                    {
                        let index = served.count(head);
                        (serve.1)(index, &mut *connection);
                    }
                });
            }
        });
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A URL by number: without TLS.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let requests = self.shared.requests.lock().unwrap();
        let waited = self.shared.changed.wait_timeout_while(requests, PATIENCE, |requests| requests.len() < count);
        assert!(!waited.unwrap().1.timed_out(), "request {count} has not come");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn count(&self, head: String) -> usize {
        let mut requests = self.requests.lock().unwrap();
        requests.push(head);
        self.changed.notify_all();
        requests.len() - 1
    }
}

/// A file in `tests/data/tls`.
pub(crate) fn tls_file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/tls", name].iter().collect()
}

/// An answer with a length.
pub(crate) fn answer(connection: &mut dyn Connection, status: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has left is what some tests are about.
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
    let _ = connection.flush();
}

pub(crate) fn redirect(connection: &mut dyn Connection, location: &str) {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.flush());
}

/// Says nothing until the client leaves.
pub(crate) fn never_answer(connection: &mut dyn Connection) {
    let _ = connection.read(&mut [0]);
}

/// Writes the bytes, and after them zeros without an end, one at a time with a pause after each, until the client
/// leaves.
pub(crate) fn drip(connection: &mut dyn Connection, bytes: &[u8]) {
    for byte in bytes.iter().copied().chain(std::iter::repeat(b'0')) {
        if connection.write_all(&[byte]).and_then(|()| connection.flush()).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn read_head(connection: &mut dyn Connection) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// How long is waited for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
