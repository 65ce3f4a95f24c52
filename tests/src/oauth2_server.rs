//! An authorization server of one test: a host with real plugins, asked directly or by real clients over HTTP.

use std::{collections::BTreeMap, io, net::TcpListener, sync::Arc, thread};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use token_host::{
    Client, ClientSecret, CreateToken, Host, block_on,
    introspection::{self, Introspection},
    oauth2::{AuthorizationServer, MAX_BODY_BYTES, Peer, hash_secret},
};

use crate::{Place, Plugin, Scratch, SetClock};

/// A host that is an authorization server, with the plugins `oauth2`, in memory, and `signed`, whose tokens sign users in.
#[derive(Debug)]
pub struct OAuth2 {
    /// Its folder.
    pub scratch: Scratch,
    /// What time it is for it.
    pub clock: SetClock,
    /// The host.
    pub host: Host,
    issuer: String,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// Parameters, in their order.
pub type Pairs<'p> = &'p [(&'p str, &'p str)];

impl OAuth2 {
    /// Its issuer, when it is asked directly.
    pub const ISSUER: &'static str = "https://auth.example";

    /// One with these lines in `[oauth2]` besides the issuer.
    pub fn new(settings: &str) -> Self {
        Self::of(Self::ISSUER, settings, |_| {})
    }

    /// The same with more in its configuration.
    ///
    /// # Panics
    ///
    /// When there is something wrong with it.
    pub fn of(issuer: &str, settings: &str, more: impl FnOnce(&mut Scratch)) -> Self {
        let mut scratch = Scratch::new();
        scratch.entry(&format!("[oauth2]\nissuer = '{issuer}'\n{settings}"));
        scratch.plugin("oauth2", Plugin::OAuth2, "url = 'memory:'").signed("");
        more(&mut scratch);
        let clock = SetClock::at(Place::NOW);
        let host = Host::builder().config_file(scratch.config()).clock(clock.clone()).build().unwrap();
        Self { scratch, clock, host, issuer: issuer.to_owned() }
    }

    /// The server.
    ///
    /// # Panics
    ///
    /// When the host is none.
    pub fn server(&self) -> AuthorizationServer {
        self.host.oauth2().unwrap()
    }

    /// Adds a client with this secret, or a public one, and changes it first.
    ///
    /// # Panics
    ///
    /// When there is one with this id.
    pub fn add(&self, id: &str, secret: Option<&str>, change: impl FnOnce(&mut Client)) -> &Self {
        let mut client = Client::new(id);
        client.secret = secret.map(|secret| ClientSecret::Plain(secret.to_owned()));
        change(&mut client);
        block_on(self.host.stores().clients("oauth2").unwrap().add_client(&client)).unwrap();
        self
    }

    /// Has a client's secret kept as ours are.
    ///
    /// # Panics
    ///
    /// When there is no such client.
    pub fn hash(&self, id: &str, secret: &str) {
        let clients = self.host.stores().clients("oauth2").unwrap();
        let mut client = block_on(clients.fetch_by_client_id(id)).unwrap();
        client.secret = Some(ClientSecret::Argon2id(hash_secret(secret).unwrap()));
        block_on(clients.update_client(&client)).unwrap();
    }

    /// A token with which a user signs in.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn user(&self, name: &str) -> String {
        self.host.create_token_blocking(&CreateToken::new(name).handler("signed")).unwrap().token
    }

    /// Asks the server.
    ///
    /// # Panics
    ///
    /// When the path is none of its own.
    pub fn ask(&self, request: &Request<Vec<u8>>, peer: Peer) -> Reply {
        Reply::from(block_on(self.server().serve(request, peer)).unwrap())
    }

    /// Asks about tokens.
    ///
    /// # Panics
    ///
    /// When the path is none of introspection's.
    pub fn introspection(&self, request: &Request<Vec<u8>>) -> Reply {
        Reply::from(block_on(self.host.introspection().serve(request)).unwrap())
    }

    /// Asks for a token; with `Basic` credentials, or without.
    pub fn token(&self, basic: Option<(&str, &str)>, form: Pairs<'_>) -> Reply {
        let mut request = Request::post(format!("{}/oauth2/token", self.issuer));
        if let Some((id, secret)) = basic {
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))));
        }
        self.ask(&form_in(request, form), Peer::Unknown)
    }

    /// Asks for the page, with this user's token.
    pub fn page(&self, token: Option<&str>, query: Pairs<'_>) -> Reply {
        let request = Request::get(format!("{}/oauth2/authorize?{}", self.issuer, encoded(query)));
        self.ask(&bearing(request, token).body(Vec::new()).unwrap(), Peer::Unknown)
    }

    /// Sends a decision, or anything else, with this user's token.
    pub fn decide(&self, token: Option<&str>, form: Pairs<'_>) -> Reply {
        let request = Request::post(format!("{}/oauth2/authorize", self.issuer));
        self.ask(&form_in(bearing(request, token), form), Peer::Unknown)
    }

    /// Asks for the page and allows what it says. Where the browser is sent then, with which parameters.
    ///
    /// # Panics
    ///
    /// When it is not asked, or not sent anywhere.
    pub fn allow(&self, token: &str, query: Pairs<'_>) -> BTreeMap<String, String> {
        let page = self.page(Some(token), query);
        assert_eq!(page.status, 200, "{page:?}");
        let mut form = page.fields();
        form.push(("decision".to_owned(), "allow".to_owned()));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.decide(Some(token), &form).sent_to().1
    }
}

impl From<Response<Vec<u8>>> for Reply {
    fn from(response: Response<Vec<u8>>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body).unwrap() }
    }
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// What stands in the body's JSON under this name.
    ///
    /// # Panics
    ///
    /// When it is no text.
    pub fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned()
    }

    /// A header's value; empty when it is not there.
    ///
    /// # Panics
    ///
    /// When it is not ASCII.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where the browser is sent, and with which parameters.
    ///
    /// # Panics
    ///
    /// When it is not sent anywhere.
    pub fn sent_to(&self) -> (String, BTreeMap<String, String>) {
        assert_eq!(self.status, 303, "{self:?}");
        let (uri, query) = self.header("location").split_once('?').unwrap();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        (uri.to_owned(), pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    /// The hidden fields of the form in a page.
    pub fn fields(&self) -> Vec<(String, String)> {
        let inputs = self.body.split(r#"<input type="hidden" name=""#).skip(1);
        let pairs = inputs.map(|input| input.split_once(r#"" value=""#).unwrap());
        pairs.map(|(name, rest)| (name.to_owned(), unescaped(rest.split('"').next().unwrap()))).collect()
    }
}

fn bearing(request: http::request::Builder, token: Option<&str>) -> http::request::Builder {
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

/// The request with these parameters as its body.
///
/// # Panics
///
/// When it is no request.
pub fn form_in(request: http::request::Builder, form: Pairs<'_>) -> Request<Vec<u8>> {
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(encoded(form).into_bytes()).unwrap()
}

/// Parameters as they stand in a query or form.
pub fn encoded(pairs: Pairs<'_>) -> String {
    let encode = |text: &str| -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let letter = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(letter).collect()
    };
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}

fn unescaped(text: &str) -> String {
    let names = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    names.iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

/// The same server behind HTTP, at a port of its own, until the test program ends.
#[derive(Debug)]
pub struct OAuth2Site {
    /// What it is, and is done, behind HTTP.
    pub oauth2: OAuth2,
    /// The issuer's URL.
    pub url: String,
}

impl OAuth2Site {
    /// Starts one with these lines in `[oauth2]`.
    ///
    /// # Panics
    ///
    /// When there is no port for it.
    pub fn start(settings: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let oauth2 = OAuth2::of(&url, settings, |_| {});
        let server = Arc::new((oauth2.server(), oauth2.host.introspection()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || runtime.block_on(serve(listener, server)).unwrap());
        Self { oauth2, url }
    }
}

/// What is behind one port.
type Site = (AuthorizationServer, Introspection);

async fn serve(listener: TcpListener, site: Arc<Site>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            loop {
                let (stream, address) = listener.accept().await?;
                let site = Arc::clone(&site);
                let service =
                    service_fn(move |request| answer(Arc::clone(&site), Peer::Address(address.ip()), request));
                // A client that hangs up is none of the server's errors.
                tokio::task::spawn_local(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
        .await
}

async fn answer(
    site: Arc<Site>,
    peer: Peer,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, http::Error> {
    let (parts, body) = request.into_parts();
    let (server, introspection) = &*site;
    let is_introspection = introspection.is_at(parts.uri.path());
    let most = if is_introspection { introspection::MAX_BODY_BYTES } else { MAX_BODY_BYTES };
    let Ok(body) = Limited::new(body, most).collect().await else {
        return Response::builder().status(413).body(Full::default());
    };
    let request = Request::from_parts(parts, body.to_bytes().to_vec());
    let answer = match is_introspection {
        true => introspection.serve(&request).await,
        false => server.serve(&request, peer).await,
    };
    match answer {
        Some(response) => Ok(response.map(|body| Full::new(Bytes::from(body)))),
        None if request.method() == Method::GET => Response::builder().status(404).body(Full::default()),
        None => Response::builder().status(405).body(Full::default()),
    }
}
