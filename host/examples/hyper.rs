//! A service of plain hyper's whose callers need tokens: `cargo run --example hyper plugins.toml 127.0.0.1:8080`.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::{convert::Infallible, env, error::Error, net::SocketAddr};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use token_host::{
    Host,
    authenticate::{Authenticator, Requirement, Subject},
};
use tokio::{net::TcpListener, runtime::Runtime};

/// Answers who has a token that may do this.
async fn serve(
    authenticator: Authenticator,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, _body) = request.into_parts();
    let requirement = Requirement::action("view-instance", None, None);
    let judged = authenticator.authenticate(&Subject::of(&parts, Some(peer.ip())), &requirement).await;
    Ok(match judged {
        Ok(identity) => Response::new(Full::from(format!("hello {}\n", identity.actor.id()))),
        Err(refusal) => refusal.response(&authenticator).map(Full::from),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let config = arguments.next().unwrap_or_else(|| "plugins.toml".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let authenticator = Authenticator::new(Host::from_file(config)?);

    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on http://{}", listener.local_addr()?);
        loop {
            let (stream, peer) = listener.accept().await?;
            let authenticator = authenticator.clone();
            let service = service_fn(move |request| serve(authenticator.clone(), peer, request));
            // A timer, so that a client that does not send its request to the end is not waited for without end.
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // What a connection died of concerns its client alone.
            tokio::spawn(async { drop(connection.await) });
        }
    })
}
