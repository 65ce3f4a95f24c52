//! `token-host serve` with TLS: certificates, those of clients, their renewal, and handshakes that go nowhere.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use token_host_tests::{Daemon, PATIENCE, Scratch, exchange_on, repository, set_mode, wait_until};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

type Versions = &'static [&'static SupportedProtocolVersion];

const ONLY_1_2: Versions = &[&TLS12];
const ONLY_1_3: Versions = &[&TLS13];

type Secured = StreamOwned<ClientConnection, TcpStream>;

fn data(name: &str) -> PathBuf {
    repository().join("tests/data/tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(data(name)).unwrap()
}

/// A configuration with a certificate, and more in `[http.tls]` and `[http]`.
fn scratch(tls: &str, http: &str) -> Scratch {
    let mut scratch = Scratch::new();
    install(&scratch, "server");
    scratch.entry(&format!("[http]\n{http}\n[http.tls]\ncertificate = 'cert.pem'\nkey = 'key.pem'\n{tls}"));
    scratch
}

/// Puts a certificate and its key where the configuration has them.
fn install(scratch: &Scratch, name: &str) {
    for (ending, at) in [("pem", "cert.pem"), ("key", "key.pem")] {
        let path = scratch.file(at, fs::read(data(&format!("{name}.{ending}"))).unwrap());
        set_mode(&path, 0o600);
    }
}

fn serving(scratch: &Scratch) -> (Daemon, SocketAddr) {
    let mut daemon = Daemon::start(&mut scratch.command(["serve", "--listen", "127.0.0.1:0"]));
    let place = daemon.place();
    let address = place.strip_prefix("https://").unwrap_or_else(|| panic!("{place}"));
    (daemon, address.parse().unwrap())
}

/// What a client is like.
#[derive(Clone, Copy)]
struct Client {
    versions: Versions,
    protocols: &'static [&'static [u8]],
    identity: Option<&'static str>,
}

const CLIENT: Client = Client { versions: &[&TLS13, &TLS12], protocols: &[], identity: None };

impl Client {
    /// A connection, after its handshake.
    fn connect(self, address: SocketAddr) -> std::io::Result<Secured> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate("authority.pem")).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(self.versions).unwrap().with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(data(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![certificate(&format!("{name}.pem"))], key).unwrap()
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut secured = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        while secured.conn.is_handshaking() {
            secured.conn.complete_io(&mut secured.sock)?;
        }
        Ok(secured)
    }

    /// The status of `/healthz`; an error when the server does not want this client.
    fn ask(self, address: SocketAddr) -> std::io::Result<u16> {
        let mut secured = self.connect(address)?;
        secured.write_all(HEALTH.as_bytes())?;
        let mut status = [0; 12];
        secured.read_exact(&mut status)?;
        Ok(String::from_utf8_lossy(&status[9..]).parse().unwrap())
    }
}

/// The certificate that a server shows.
fn shown(secured: &Secured) -> CertificateDer<'static> {
    secured.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn it_speaks_both_versions_of_tls_and_of_http() {
    let scratch = scratch("", "");
    let (_daemon, address) = serving(&scratch);
    for (versions, expected) in [(ONLY_1_2, ProtocolVersion::TLSv1_2), (ONLY_1_3, ProtocolVersion::TLSv1_3)] {
        let client = Client { versions, protocols: &[b"http/1.1"], ..CLIENT };
        let mut secured = client.connect(address).unwrap();
        assert_eq!(secured.conn.protocol_version(), Some(expected));
        assert_eq!(secured.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(exchange_on(&mut secured, HEALTH).unwrap().status, 200);
        assert_eq!(exchange_on(&mut secured, HEALTH).unwrap().status, 200, "the connection goes on");
    }
    let mut secured = Client { protocols: &[b"h2", b"http/1.1"], ..CLIENT }.connect(address).unwrap();
    assert_eq!(secured.conn.alpn_protocol(), Some(b"h2".as_slice()));
    // The preface, and settings without any.
    secured.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    secured.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "its settings: {head:?}");
    // Another protocol is none that it speaks.
    assert!(Client { protocols: &[b"smtp"], ..CLIENT }.connect(address).is_err());
}

#[test]
fn http_without_tls_gets_no_answer_there() {
    let scratch = scratch("", "");
    let (_daemon, address) = serving(&scratch);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(HEALTH.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
    assert_eq!(CLIENT.ask(address).unwrap(), 200);
}

#[test]
fn clients_must_have_a_certificate_of_the_authority_when_there_is_one() {
    let authority = format!("client_authority = '{}'", data("authority.pem").display());
    let scratch = scratch(&authority, "");
    let (_daemon, address) = serving(&scratch);
    for versions in [ONLY_1_2, ONLY_1_3] {
        let with = |identity| Client { versions, identity, ..CLIENT }.ask(address);
        assert_eq!(with(Some("client")).unwrap(), 200);
        // A server's certificate is not for clients.
        for identity in [None, Some("stranger"), Some("server")] {
            assert!(with(identity).is_err(), "{identity:?}");
        }
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said_at_once_and_nothing_starts() {
    let start = |scratch: &Scratch| {
        let run = scratch.run(["serve", "--listen", "127.0.0.1:0", "--listen", "unix:socket"]);
        assert_eq!((run.code(), run.stdout.as_str()), (6, ""), "{run}");
        assert!(!scratch.join("socket").exists());
        let checked = scratch.run(["check"]);
        assert_eq!(checked.code(), 6, "{checked}");
        assert_eq!(checked.stdout, run.stderr, "it is said without a start as well");
        run.stderr
    };
    let shown = |path: &Path| path.display().to_string();
    let scratch = scratch("client_authority = 'clients.pem'", "");
    let (cert, key, clients) = (scratch.join("cert.pem"), scratch.join("key.pem"), scratch.join("clients.pem"));
    fs::remove_file(&cert).unwrap();
    fs::write(&key, "no key").unwrap();
    let said = start(&scratch);
    let config = shown(&scratch.config());
    for expected in [
        format!("{config}: [http.tls]: the certificate {} cannot be used: there is no such file", shown(&cert)),
        format!("[http.tls]: the key {} cannot be used: expected a private key in PEM", shown(&key)),
        format!("[http.tls]: the client authority {} cannot be used: there is no such file", shown(&clients)),
    ] {
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
    assert!(!said.contains("no key"), "what a key's file holds is not shown: {said}");

    install(&scratch, "server");
    fs::copy(data("authority.pem"), &clients).unwrap();
    fs::write(&key, fs::read(data("renewed.key")).unwrap()).unwrap();
    let said = start(&scratch);
    let expected = format!("the certificate {} cannot be used with the key {}: ", shown(&cert), shown(&key));
    assert!(said.contains(&expected), "{said}");

    install(&scratch, "server");
    fs::write(&cert, fs::read(&key).unwrap()).unwrap();
    let said = start(&scratch);
    assert!(said.contains("expected certificates in PEM, found none"), "{said}");
}

#[test]
fn a_key_that_others_can_read_is_a_warning() {
    let scratch = scratch("", "");
    set_mode(&scratch.join("key.pem"), 0o640);
    let (daemon, address) = serving(&scratch);
    let warning =
        format!("the key {} is open to others (mode 640), expected mode 600", scratch.join("key.pem").display());
    daemon.wait_for_log(&warning);
    let checked = scratch.run(["check"]);
    assert!(checked.stdout.contains(&format!("warning: [http.tls]: {warning}")), "{checked}");
    assert_eq!(checked.code(), 0, "{checked}");
    assert_eq!(CLIENT.ask(address).unwrap(), 200);
}

#[test]
fn a_renewed_certificate_is_served_after_a_reload_and_a_bad_one_is_not() {
    let scratch = scratch("", "");
    let (mut daemon, address) = serving(&scratch);
    let now = || shown(&CLIENT.connect(address).unwrap());
    let mut before = CLIENT.connect(address).unwrap();
    assert_eq!(shown(&before), certificate("server.pem"));

    install(&scratch, "renewed");
    assert_eq!(now(), certificate("server.pem"), "it is read at reloads");
    daemon.hang_up();
    wait_until("the renewed one is served", || (now() == certificate("renewed.pem")).then_some(()));
    assert_eq!(exchange_on(&mut before, HEALTH).unwrap().status, 200, "connections go on");

    fs::copy(data("server.pem"), scratch.join("cert.pem")).unwrap();
    daemon.hang_up();
    // Nobody has to connect for it to be said.
    daemon.wait_for_log("the old certificate goes on: the certificate");
    assert_eq!(now(), certificate("renewed.pem"));
    install(&scratch, "server");
    daemon.hang_up();
    wait_until("the next good one is served", || (now() == certificate("server.pem")).then_some(()));
}

#[test]
fn an_authority_that_is_replaced_is_the_one_that_counts() {
    let scratch = scratch("client_authority = 'clients.pem'", "");
    let clients = scratch.file("clients.pem", fs::read(data("authority.pem")).unwrap());
    let (mut daemon, address) = serving(&scratch);
    let client = Client { identity: Some("client"), ..CLIENT };
    assert_eq!(client.ask(address).unwrap(), 200);
    // One that nobody has a certificate of.
    fs::copy(data("stranger.pem"), clients).unwrap();
    daemon.hang_up();
    wait_until("it is refused", || client.ask(address).is_err().then_some(()));
}

#[test]
fn a_handshake_that_goes_nowhere_ends_and_delays_nobody() {
    let patience = Duration::from_secs(5);
    let scratch = scratch("", &format!("header_timeout_ms = {}\nmax_connections = 4", patience.as_millis()));
    let (mut daemon, address) = serving(&scratch);
    let start = Instant::now();
    let mut silent = Vec::new();
    // When two of four connections are about to begin, one more is sent away: there is room for those that are through.
    wait_until("one more is sent away", || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        silent.push(stream);
        CLIENT.ask(address).is_err().then_some(())
    });
    // Of two that come at the same time, it may have been the silent one.
    wait_until("no more than two are about to begin", || {
        silent.retain(|mut stream| stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        (silent.len() <= 2).then_some(())
    });
    assert!(start.elapsed() < patience && !silent.is_empty(), "not because their time was over");
    for stream in &mut silent {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is closed");
    }
    assert!(start.elapsed() >= patience);
    wait_until("there is room again", || CLIENT.ask(address).ok());
    // And none keeps the service from ending.
    let _silent = TcpStream::connect(address).unwrap();
    daemon.terminate();
    assert!(daemon.end().success());
}

#[test]
fn what_is_in_flight_is_finished_and_connections_are_closed_as_tls_has_it() {
    let scratch = scratch("", "");
    let (mut daemon, address) = serving(&scratch);
    let mut secured = CLIENT.connect(address).unwrap();
    assert_eq!(exchange_on(&mut secured, HEALTH).unwrap().status, 200);
    daemon.terminate();
    // Without the alert at its end this would be an error: somebody may have cut it off.
    assert_eq!(secured.read(&mut [0]).unwrap(), 0);
    assert!(daemon.end().success());
}
