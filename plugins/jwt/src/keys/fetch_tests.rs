//! Fetching, from servers that mean well and from others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::*;
use crate::keys::test_server::{Connection, TestServer, answer, drip, never_answer, redirect, tls_file};

const BODY: &[u8] = br#"{"keys":[]}"#;

fn fetcher(url: &str, ca_file: Option<&str>) -> Fetcher {
    let url = Url::try_from(url.to_owned()).unwrap();
    Fetcher::new(url, Duration::from_secs(20), 4096, ca_file.map(tls_file).as_deref(), false).unwrap()
}

fn get(server: &TestServer) -> Result<Vec<u8>, String> {
    fetcher(&server.url(), None).get()
}

/// What a fetch says that is given up after 300 ms, and that it does not take much longer.
fn get_in_vain(respond: impl Fn(usize, &mut dyn Connection) + Send + Sync + 'static) -> String {
    let server = TestServer::http(respond);
    let url = Url::try_from(server.url()).unwrap();
    let fetcher = Fetcher::new(url, Duration::from_millis(300), 4096, None, false).unwrap();
    let start = Instant::now();
    let error = fetcher.get().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    error
}

#[test]
fn a_get_as_it_should_be() {
    let server = TestServer::http(|_, connection| answer(connection, "200 OK", BODY));
    assert_eq!(get(&server).as_deref(), Ok(BODY));
    let head = server.requests().remove(0).to_lowercase();
    assert!(head.starts_with("get /jwks http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("user-agent: token-host/{}\r\n", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(head.contains("accept: application/jwk-set+json, application/json;q=0.9, */*;q=0.1\r\n"), "{head}");
    for unwanted in ["cookie", "authorization", "accept-encoding"] {
        assert!(!head.contains(unwanted), "{head}");
    }
}

#[test]
fn bodies_in_chunks_and_up_to_the_end() {
    for head in ["Transfer-Encoding: chunked\r\n\r\n5\r\n{\"key\r\n6\r\ns\":[]}\r\n0\r\n\r\n", "\r\n{\"keys\":[]}"] {
        let server = TestServer::http(move |_, connection| {
            let _ = write!(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{head}");
        });
        assert_eq!(get(&server).as_deref(), Ok(BODY));
    }
}

#[test]
fn only_200_will_do() {
    for status in ["201 Created", "204 No Content", "304 Not Modified", "401 Unauthorized", "404 Not Found", "500 Oops"]
    {
        let server = TestServer::http(move |_, connection| answer(connection, status, b""));
        assert_eq!(get(&server), Err(format!("answered with status {}, expected 200", &status[..3])));
    }
}

#[test]
fn redirects_are_followed_three_times() {
    for (hops, expected) in [(3, Ok(BODY.to_vec())), (4, Err("redirected more than 3 times".to_owned()))] {
        let server = TestServer::http(move |index, connection| match index {
            index if index < hops => redirect(connection, ["/second", "third?a=b", "./a/../fourth", "/"][index]),
            _ => answer(connection, "200 OK", BODY),
        });
        assert_eq!(get(&server), expected);
        assert_eq!(server.count(), 4);
        assert!(server.requests()[2].starts_with("GET /third?a=b "));
    }
    let server = TestServer::http(|_, connection| redirect(connection, "/jwks"));
    assert_eq!(get(&server), Err("redirected more than 3 times".to_owned()));
}

#[test]
fn redirects_lead_to_no_worse_a_place() {
    for (location, expected) in [
        ("http://issuer.example/?secret", "redirected to http, expected https"),
        ("//issuer.example/", "redirected to http, expected https"),
        ("http://user:secret@127.0.0.1/", "redirected elsewhere, expected a URL without a user's name or password"),
        ("ftp://127.0.0.1/", "redirected to what is no URL"),
    ] {
        let server = TestServer::http(move |_, connection| redirect(connection, location));
        assert_eq!(get(&server), Err(expected.to_owned()), "{location}");
    }
}

#[test]
fn never_from_https_to_http() {
    let plain = TestServer::http(|_, connection| answer(connection, "200 OK", BODY));
    let location = plain.url();
    let secure = TestServer::https(move |_, connection| redirect(connection, &location));
    let url = format!("https://localhost:{}/", secure.port());
    assert_eq!(fetcher(&url, Some("ca.pem")).get(), Err("redirected from https to http".to_owned()));
    // Nor after one that began with http, which may go on with it.
    let next = url.clone();
    let first = TestServer::http(move |_, connection| redirect(connection, &next));
    assert_eq!(fetcher(&first.url(), Some("ca.pem")).get(), Err("redirected from https to http".to_owned()));
    // Nor where http is allowed.
    let lax = Fetcher::new(Url::try_from(url).unwrap(), Duration::from_secs(20), 4096, Some(&tls_file("ca.pem")), true)
        .unwrap();
    assert_eq!(lax.get(), Err("redirected from https to http".to_owned()));
    assert_eq!((plain.count(), secure.count()), (0, 3));
}

#[test]
fn no_more_is_read_than_allowed() {
    for (length, is_allowed) in [(4095, true), (4096, true), (4097, false)] {
        let server = TestServer::http(move |_, connection| answer(connection, "200 OK", &vec![b' '; length]));
        let body = get(&server);
        let refusal = Err("answer has more than 4096 bytes (`max_bytes`)".to_owned());
        assert_eq!(body, if is_allowed { Ok(vec![b' '; length]) } else { refusal });
    }
    for head in ["Content-Length: 1000000000000", "Transfer-Encoding: chunked", "Connection: close"] {
        let written = Arc::new(AtomicUsize::new(0));
        let (chunked, counted) = (head.contains("chunked"), Arc::clone(&written));
        let server = TestServer::http(move |_, connection| {
            let _ = write!(connection, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
            let chunk = if chunked { "400\r\n".to_owned() + &" ".repeat(1024) + "\r\n" } else { " ".repeat(1024) };
            while connection.write_all(chunk.as_bytes()).is_ok() {
                counted.fetch_add(1024, Ordering::SeqCst);
            }
        });
        assert_eq!(get(&server), Err("answer has more than 4096 bytes (`max_bytes`)".to_owned()), "{head}");
        // What the sockets on both sides hold was written as well.
        assert!(written.load(Ordering::SeqCst) < 64 << 20);
    }
}

#[test]
fn headers_have_a_bound() {
    let server = TestServer::http(|_, connection| {
        let _ = write!(connection, "HTTP/1.1 200 OK\r\n");
        while write!(connection, "X-More: {}\r\n", "x".repeat(1000)).is_ok() {}
    });
    let error = get(&server).unwrap_err();
    assert!(["answer has too large a header", "answer is not valid HTTP/1.1"].contains(&&*error), "{error}");
}

#[test]
fn time_is_up_in_every_phase() {
    let late = "took longer than 300 ms (`timeout_ms`)";
    assert_eq!(get_in_vain(|_, connection| never_answer(connection)), late);
    assert_eq!(get_in_vain(|_, connection| drip(connection, b"HTTP/1.1 200 OK\r\nX: ")), late);
    assert_eq!(get_in_vain(|_, connection| drip(connection, b"HTTP/1.1 200 OK\r\n\r\n")), late);
    let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n";
    assert_eq!(get_in_vain(|_, connection| drip(connection, sized)), late);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n";
    assert_eq!(get_in_vain(|_, connection| drip(connection, chunked)), late);
    let moved = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 4000\r\n\r\n";
    assert_eq!(get_in_vain(|_, connection| drip(connection, moved)), late);
    assert_eq!(
        get_in_vain(|_, connection| {
            std::thread::sleep(Duration::from_millis(160));
            redirect(connection, "/");
        }),
        late,
        "redirects share one timeout"
    );
}

#[test]
fn time_is_up_in_the_handshake() {
    // Reads what the client says, and answers with a record that never ends.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || drip(&mut listener.accept().unwrap().0, &[22, 3, 3, 64, 0]));
    let url = Url::try_from(url).unwrap();
    let fetcher = Fetcher::new(url, Duration::from_millis(300), 4096, None, false).unwrap();
    let start = Instant::now();
    assert_eq!(fetcher.get(), Err("took longer than 300 ms (`timeout_ms`)".to_owned()));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn garbage_and_broken_connections() {
    for (bytes, expected) in [
        ("", "Peer disconnected"),
        ("\0\u{1}\u{2} garbage\r\n\r\n", "answer is not valid HTTP/1.1"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "answer is not valid HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "Peer disconnected"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "answer is not valid HTTP/1.1"),
    ] {
        let server = TestServer::http(move |_, connection| connection.write_all(bytes.as_bytes()).unwrap());
        assert_eq!(get(&server), Err(expected.to_owned()), "{bytes:?}");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = fetcher(&format!("http://{free}/"), None).get().unwrap_err();
    assert!(refused.starts_with("Connection refused"), "{refused}");
}

#[test]
fn certificates_are_checked() {
    let server = TestServer::https(|_, connection| answer(connection, "200 OK", BODY));
    let url = format!("https://localhost:{}/jwks", server.port());
    assert_eq!(fetcher(&url, Some("ca.pem")).get().as_deref(), Ok(BODY));
    for other in [Some("other-ca.pem"), None] {
        let error = fetcher(&url, other).get().unwrap_err();
        assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    }
    let error = fetcher(&url.replace("localhost", "127.0.0.1"), Some("ca.pem")).get().unwrap_err();
    assert!(error.contains("certificate not valid for name \"127.0.0.1\""), "{error}");
    assert_eq!(server.count(), 1, "nothing was asked of those that were not trusted");
}

#[test]
fn a_ca_file_has_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::try_from("https://localhost/".to_owned()).unwrap();
    let refusal = |content: &str| {
        let path = folder.path().join("ca.pem");
        fs::write(&path, content).unwrap();
        let fetcher = Fetcher::new(url.clone(), Duration::from_secs(1), 1, Some(&path), false);
        fetcher.map(|_| ()).map_err(|error| error.replace(&path.display().to_string(), "F"))
    };
    let good = fs::read_to_string(tls_file("ca.pem")).unwrap();
    assert_eq!(refusal(&good), Ok(()));
    assert_eq!(refusal(&format!("text before\n{good}{good}")), Ok(()));
    let none = Err("`ca_file`: F: expected at least one certificate in PEM".to_owned());
    assert_eq!(refusal(""), none);
    assert_eq!(refusal(&fs::read_to_string(tls_file("localhost.key")).unwrap()), none);
    assert_eq!(refusal(&good[..200]), Err("`ca_file`: F: expected certificates in PEM".to_owned()));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refusal(&format!("{good}{broken}")).is_err());
}
