//! `token-host serve` with traces, as a process of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use token_host::admit::library_file_name;

/// A configuration with the handler `signed`.
pub(crate) struct Site(TempDir);

const SECRET: &str = "secret = { env = 'SECRET_OF_TEST' }\n";

/// A service that runs. It ends when this is dropped.
pub(crate) struct Service {
    process: Child,
    address: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        // Others may write to the system's folder.
        let site = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        // Cargo has put the libraries beside this program.
        let library = env::current_exe().unwrap().with_file_name(library_file_name("token_signed"));
        assert!(library.is_file(), "{} is missing", library.display());
        // Whoever builds anew meanwhile writes to that one.
        let own = site.0.path().join(library.file_name().unwrap());
        fs::copy(&library, &own).unwrap();
        let text = format!(
            "[preflight]\ndanger_skip = true\n[[plugin]]\nname = 'signed'\nfile = '{}'\n[plugin.config]\n{SECRET}",
            own.display(),
        );
        fs::write(site.config(), text).unwrap();
        site
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("plugins.toml")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_token-host"));
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("OTEL_") || name.starts_with("TOKEN_HOST_")) {
            command.env_remove(name);
        }
        command.env("SECRET_OF_TEST", "a secret for the tests alone, long enough");
        command.arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn token(&self) -> String {
        let created = self.command(&["create", "root"]).output().unwrap();
        assert!(created.status.success(), "{created:?}");
        String::from_utf8(created.stdout).unwrap().trim().to_owned()
    }

    /// Starts the service, with these variables.
    pub(crate) fn serve(&self, variables: &[(&str, &str)]) -> Service {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        Service { process, address: address.unwrap_or_else(|| panic!("it says {line:?}")) }
    }
}

impl Service {
    /// The status of the answer to a GET with these headers.
    pub(crate) fn ask(&self, target: &str, headers: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// Tells it to end, and waits for that: how it ended, and what it logged.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::TERM).unwrap();
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap(), log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing happens when it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
