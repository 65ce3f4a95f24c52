//! `token-host serve` under systemd: sockets that it is handed, and what it says of itself.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
    process::{Command, Stdio},
};

use token_host_tests::{
    Daemon, PATIENCE, Scratch, debian_program, exchange, exchange_on, host_binary, repository, run, skipped,
};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// The service as a shell starts it that has the sockets at its stdin and stderr: at 3 and 4, where systemd puts them.
fn handed(scratch: &Scratch, environment: &str, descriptors: &str) -> Command {
    let serve = scratch.command(["serve", "--listen", "systemd"]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{environment} exec \"$@\" {descriptors} 0</dev/null"), "sh"]);
    command.arg(serve.get_program()).args(serve.get_args());
    command.current_dir(scratch.path()).env("TOKEN_HOST_CONFIG", scratch.config());
    command
}

const ONE: &str = "LISTEN_PID=$$ LISTEN_FDS=1";
const AT_3: &str = "3<&0";

/// What it says when it does not start.
fn refused(scratch: &Scratch, environment: &str, stdin: impl Into<OwnedFd>) -> String {
    let mut daemon = Daemon::start(handed(scratch, environment, AT_3).stdin(Stdio::from(stdin.into())));
    let status = daemon.end();
    assert_eq!(status.code(), Some(5), "{}", daemon.log());
    daemon.log()
}

#[test]
fn sockets_that_systemd_opened_are_served_and_stay_its_own() {
    let scratch = Scratch::new();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let path = scratch.join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    let mut command = handed(&scratch, "LISTEN_PID=$$ LISTEN_FDS=2", "3<&0 4<&2 2>/dev/null");
    command.stdin(Stdio::from(OwnedFd::from(tcp.try_clone().unwrap())));
    command.stderr(Stdio::from(OwnedFd::from(unix.try_clone().unwrap()))).stdout(Stdio::piped());
    let mut daemon = Daemon::start_as_is(&mut command);
    assert_eq!(daemon.place(), format!("http://{address}"));
    assert_eq!(daemon.place(), format!("unix:{}", path.display()));
    assert_eq!(exchange(address, HEALTH).status, 200);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(exchange_on(&mut stream, HEALTH).unwrap().status, 200);
    daemon.terminate();
    assert!(daemon.end().success());
    assert!(path.exists());
    // They wait for the next start.
    TcpStream::connect(address).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn without_sockets_it_says_what_is_missing() {
    let scratch = Scratch::new();
    let none = "cannot listen on systemd: systemd has opened no sockets for this process";
    let run = scratch.run(["serve", "--listen", "systemd"]);
    assert_eq!(run.code(), 5, "{run}");
    assert!(run.stderr.contains(none), "{run}");
    // They are for another process.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = refused(&scratch, "LISTEN_PID=1 LISTEN_FDS=1", listener);
    assert!(said.contains(none), "{said}");
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    let scratch = Scratch::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = File::open(scratch.config()).unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    for unfit in [OwnedFd::from(connected), file.into(), datagrams.into()] {
        let said = refused(&scratch, ONE, unfit);
        assert!(said.contains("socket 1 of those that systemd opened is none that connections come to"), "{said}");
    }
}

#[test]
fn sockets_that_nobody_listens_on_are_a_warning() {
    let scratch = Scratch::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let serve = scratch.command(["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{ONE} exec \"$@\" {AT_3} 0</dev/null"), "sh"]);
    command.arg(serve.get_program()).args(serve.get_args()).env("TOKEN_HOST_CONFIG", scratch.config());
    let mut daemon = Daemon::start(command.stdin(Stdio::from(OwnedFd::from(listener))));
    daemon.place();
    daemon.wait_for_log("systemd opened sockets that nobody listens on");
}

#[test]
fn it_says_that_it_serves_reloads_and_stops() {
    let scratch = Scratch::new();
    let path = scratch.join("notify");
    let name = format!("token-host-test-{}", std::process::id());
    let by_path = UnixDatagram::bind(&path).unwrap();
    let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for (socket, at) in [(by_path, path.display().to_string()), (by_name, format!("@{name}"))] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let told = || {
            let mut bytes = [0; 200];
            let length = socket.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        let mut command = scratch.command(["serve", "--listen", "127.0.0.1:0"]);
        let mut daemon = Daemon::start(command.env("NOTIFY_SOCKET", &at));
        assert_eq!(told(), "READY=1");
        assert_eq!(exchange(daemon.address(), HEALTH).status, 200);
        daemon.hang_up();
        let reloading = told();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
        assert!(since.parse::<u64>().unwrap() > 0);
        assert_eq!(told(), "READY=1");
        daemon.terminate();
        assert_eq!(told(), "STOPPING=1");
        assert!(daemon.end().success());
    }
}

#[test]
fn the_shipped_units_are_good() {
    let analyze = debian_program("systemd", "systemd-analyze");
    let Some(analyze) = skipped("the_shipped_units_are_good", analyze) else { return };
    let scratch = Scratch::new();
    for unit in ["token-host.service", "token-host.socket"] {
        let text = fs::read_to_string(repository().join("host/systemd").join(unit)).unwrap();
        // What it starts is installed elsewhere here.
        let program = host_binary().display().to_string();
        scratch.file(unit, text.replace("/usr/bin/token-host", &program));
    }
    let units = ["token-host.service", "token-host.socket"].map(|unit| scratch.join(unit));
    let checked = run(Command::new(analyze).arg("verify").args(["--man=no", "--recursive-errors=no"]).args(units), b"");
    assert!(checked.status.success(), "{checked}");
    assert!(!checked.stderr.contains("token-host."), "{checked}");
}
