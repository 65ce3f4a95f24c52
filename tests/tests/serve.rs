//! `token-host serve`: where it listens, and what it does when its configuration changes.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
};

use token_host_tests::{Daemon, PATIENCE, Reply, Scratch, exchange, exchange_on};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

fn serving(scratch: &Scratch, places: &[&str]) -> Daemon {
    Daemon::start(scratch.command(["serve"]).args(places.iter().flat_map(|place| ["--listen", place])))
}

fn connection(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn auth(stream: &mut TcpStream, more: &str) -> Reply {
    exchange_on(stream, format!("GET /auth HTTP/1.1\r\nHost: a\r\n{more}\r\n")).expect("the connection goes on")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn it_listens_at_several_places_and_says_where() {
    let scratch = Scratch::new();
    let mut daemon = serving(&scratch, &["127.0.0.1:0", "127.0.0.1:0"]);
    let (first, second) = (daemon.address(), daemon.address());
    assert_ne!(first, second);
    for address in [first, second] {
        assert_eq!(exchange(address, HEALTH).status, 200, "{address}");
    }
}

#[test]
fn a_place_that_is_none_is_a_bad_argument() {
    let scratch = Scratch::new();
    for place in ["localhost:8700", "127.0.0.1", "8700", "unix:", "", "127.0.0.1:65536"] {
        let run = scratch.run(["serve", "--listen", place]);
        assert_eq!(run.code(), 2, "{place:?}: {run}");
        assert!(run.stderr.contains("must be an address with a port"), "{place:?}: {run}");
    }
}

#[test]
fn an_address_in_use_is_named_and_nothing_is_half_started() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = scratch.run(["serve", "--listen", "127.0.0.1:0", "--listen", "unix:socket", "--listen", &address]);
    assert_eq!((run.code(), run.stdout.as_str()), (5, ""), "{run}");
    assert!(run.stderr.contains(&format!("cannot listen on {address}: ")), "{run}");
    assert!(!scratch.join("socket").exists());
}

#[test]
fn what_changes_in_the_configuration_holds_for_the_next_request_on_the_same_connection() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let token = scratch.run(["create", "ann"]).stdout.trim().to_owned();
    let mut daemon = serving(&scratch, &["127.0.0.1:0"]);
    let mut stream = connection(daemon.address());
    let before = auth(&mut stream, &bearer(&token));
    assert_eq!((before.status, before.header("x-auth-actor-id")), (200, "ann"));

    scratch.entry("[http.identity_headers]\nactor_id = 'Remote-User'\n[[http.rule]]\npath = '/*'\naction = 'view'");
    scratch.entry("[http]\nmax_header_bytes = 8192\nrealm = 'elsewhere'\ntrusted_proxies = ['127.0.0.1']");
    daemon.hang_up();
    let judged = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a\r\n";
    let after = token_host_tests::wait_until("the change holds", || {
        let reply = auth(&mut stream, &format!("{judged}{}", bearer(&token)));
        (reply.status != 200 || !reply.header("remote-user").is_empty()).then_some(reply)
    });
    assert_eq!((after.status, after.header("remote-user")), (200, "ann"), "no restrictions: any action");
    let refused = auth(&mut stream, judged);
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"elsewhere\"");
    assert_eq!(auth(&mut stream, &bearer(&token)).status, 400, "with rules the request has to be told");
}

#[test]
fn a_configuration_that_is_not_good_changes_nothing() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let mut daemon = serving(&scratch, &["127.0.0.1:0"]);
    let mut stream = connection(daemon.address());
    assert_eq!(auth(&mut stream, "").status, 401);
    scratch.entry("[http]\nmax_requests = 'many'");
    daemon.hang_up();
    daemon.wait_for_log("the change is refused");
    assert_eq!(auth(&mut stream, "").status, 401);
}

#[test]
fn a_change_that_wants_a_restart_is_said() {
    let mut scratch = Scratch::new();
    scratch.entry("[http]\nlisten = ['127.0.0.1:0', '127.0.0.1:0']");
    let (mut by_table, mut told) = (serving(&scratch, &[]), serving(&scratch, &["127.0.0.1:0"]));
    let (address, _) = (by_table.address(), told.address());
    fs::write(scratch.config(), "[http]\nlisten = ['127.0.0.1:1']\n[http.tls]\ncertificate = 'a'\nkey = 'b'").unwrap();
    for daemon in [&mut by_table, &mut told] {
        daemon.hang_up();
        daemon.wait_for_log("whether there is [http.tls] has changed: that wants a restart");
    }
    by_table.wait_for_log("`listen` in [http] has changed: that wants a restart");
    assert!(!told.log().contains("`listen`"), "it does not go by the table: {}", told.log());
    assert_eq!(exchange(address, HEALTH).status, 200);
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::{
            fs::{MetadataExt, PermissionsExt, symlink},
            net::UnixStream,
        },
        path::Path,
        process::Command,
    };

    use super::*;

    fn healthz(path: &Path) -> u16 {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange_on(&mut stream, HEALTH).unwrap().status
    }

    #[test]
    fn a_unix_socket_is_for_owner_and_group_whatever_the_umask_is() {
        let scratch = Scratch::new();
        for umask in ["000", "022", "077"] {
            let serve = scratch.command(["serve", "--listen", "unix:socket"]);
            let mut command = Command::new("sh");
            command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(serve.get_program());
            command.args(serve.get_args()).current_dir(scratch.path()).env("TOKEN_HOST_CONFIG", scratch.config());
            let mut daemon = Daemon::start(&mut command);
            assert_eq!(daemon.place(), "unix:socket");
            let path = scratch.join("socket");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660, "{umask}");
            assert_eq!(healthz(&path), 200);
            daemon.terminate();
            assert!(daemon.end().success());
            assert!(!path.exists(), "it goes with the service");
            let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
        }
    }

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let scratch = Scratch::new();
        let path = scratch.join("socket");
        let place = format!("unix:{}", path.display());
        let mut killed = serving(&scratch, &[&place]);
        assert_eq!(killed.place(), place);
        let run = scratch.run(["serve", "--listen", &place]);
        assert_eq!((run.code(), run.stdout.as_str()), (5, ""), "{run}");
        assert!(run.stderr.contains(&format!("cannot listen on {place}: another process listens there")), "{run}");
        assert_eq!(healthz(&path), 200, "the one that was there goes on");

        killed.kill();
        assert!(path.exists());
        let mut next = serving(&scratch, &[&place]);
        next.place();
        assert_eq!(healthz(&path), 200);
        // Somebody else took its place: what is there is not its own any more.
        fs::remove_file(&path).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        next.terminate();
        assert!(next.end().success() && path.exists());
        drop(other);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let scratch = Scratch::new();
        let (file, link) = (scratch.file("file", "mine"), scratch.join("link"));
        symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            let inode = fs::symlink_metadata(path).unwrap().ino();
            let run = scratch.run(["serve", "--listen", &format!("unix:{}", path.display())]);
            assert_eq!(run.code(), 5, "{run}");
            assert!(run.stderr.contains("something is there that is no socket"), "{run}");
            assert_eq!(fs::symlink_metadata(path).unwrap().ino(), inode);
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    }

    #[test]
    fn a_folder_that_is_not_there_is_said() {
        let scratch = Scratch::new();
        let run = scratch.run(["serve", "--listen", "unix:no/folder/socket"]);
        assert_eq!(run.code(), 5, "{run}");
        assert!(run.stderr.contains("cannot listen on unix:no/folder/socket: "), "{run}");
    }
}
