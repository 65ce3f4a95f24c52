//! A service of axum's whose callers need tokens: `cargo run --example axum plugins.toml 127.0.0.1:8080`.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::{env, error::Error, net::SocketAddr};

use axum::{Router, extract::Path, routing::get};
use token_host::{
    Host,
    authenticate::{Authenticator, Requirement},
    axum::{Authenticated, Rejection, peer},
    tower::RequireToken,
};
use tokio::{net::TcpListener, runtime::Runtime};

/// Any good token will do.
async fn hello(who: Authenticated) -> String {
    format!("hello {}\n", who.actor().id())
}

/// With a token or without.
async fn greet(who: Option<Authenticated>) -> String {
    who.map_or("hello stranger\n".to_owned(), |who| format!("hello again {}\n", who.actor().id()))
}

/// A token that may view this very table.
async fn table(Path((database, table)): Path<(String, String)>, who: Authenticated) -> Result<String, Rejection> {
    who.require(&Requirement::action("view-table", Some(&database), Some(&table)))?;
    Ok(format!("the rows of {table}\n"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let config = arguments.next().unwrap_or_else(|| "plugins.toml".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());

    // One for both layers: they count failures together.
    let layer = RequireToken::with_authenticator(Authenticator::new(Host::from_file(config)?)).peer(peer);
    let strict = Router::new().route("/", get(hello)).route("/{database}/{table}", get(table)).layer(layer.clone());
    let open = Router::new().route("/greet", get(greet)).layer(layer.optional());
    let service = strict.merge(open).into_make_service_with_connect_info::<SocketAddr>();

    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on http://{}", listener.local_addr()?);
        Ok(axum::serve(listener, service).await?)
    })
}
