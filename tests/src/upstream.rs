//! An application behind a proxy: it takes down what reaches it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};

/// An HTTP server on a port of its own at 127.0.0.1, until the test program ends.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that reached it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The target, as it was sent.
    pub target: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Upstream {
    /// Starts one that answers each request with 200 and the headers that it saw, as JSON.
    ///
    /// # Panics
    ///
    /// When there is no port for it.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let record = Arc::clone(&seen);
        thread::spawn(move || runtime.block_on(serve(listener, record)).unwrap());
        Self { address, seen }
    }

    /// The requests that reached it since this was last asked.
    ///
    /// # Panics
    ///
    /// Never: whoever writes does not panic.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Seen {
    /// A header's value; `None` when it is not there.
    ///
    /// # Panics
    ///
    /// When it is there more than once, or is not ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} is there several times: {self:?}");
        values.first().map(|value| value.to_str().unwrap())
    }
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                // A client that hangs up is none of the server's errors.
                tokio::task::spawn_local(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
        .await
}

async fn answer(seen: Arc<Mutex<Vec<Seen>>>, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes().to_vec();
    let mut told = Map::new();
    for (name, value) in &parts.headers {
        let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
        let values = told.entry(name.as_str()).or_insert_with(|| Value::from(Vec::<Value>::new()));
        values.as_array_mut().unwrap().push(value);
    }
    let request = Seen { method: parts.method, target: parts.uri, headers: parts.headers, body };
    seen.lock().unwrap().push(request);
    Ok(Response::new(Full::new(Value::from(told).to_string().into())))
}
