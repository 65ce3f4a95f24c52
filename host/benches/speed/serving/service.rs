//! [`TokenHost`]: the service that is measured, with the plugins that come with it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    process::{Process, pinned},
    wrk::Contestant,
};
use crate::libraries::{folder, path_of};

/// The secret that all who verify the same JSON Web Token share.
pub(crate) const JWT_SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// `token-host serve`.
pub(crate) struct TokenHost {
    process: Process,
    url: String,
    place: Place,
}

/// A folder with a configuration of all plugins.
struct Place(TempDir);

impl TokenHost {
    /// How many contestants it is: they come first.
    pub(crate) const CONTESTANTS: usize = 2;

    pub(crate) fn start() -> Self {
        let place = Place::new(&["signed", "jwt"]);
        let (process, url) = place.serve();
        Self { process, url, place }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signed(&self) -> Contestant {
        self.contestant("/auth with a signed token", &self.place.token("signed"))
    }

    pub(crate) fn jwt(&self) -> Contestant {
        self.contestant("/auth with an HS256 JWT", &self.place.token("jwt"))
    }

    fn contestant(&self, name: &str, token: &str) -> Contestant {
        let (url, authorization) = (format!("{}/auth", self.url), Some(format!("Bearer {token}")));
        Contestant { name: name.to_owned(), url, authorization }
    }

    /// Opens so many connections, each of which gets an answer.
    pub(crate) fn connections(&self, count: usize) -> Vec<TcpStream> {
        let token = self.place.token("signed");
        (0..count).map(|_| answered(&self.url, "/auth", &token).unwrap()).collect()
    }

    /// From the start of a process with all plugins to its first answer.
    pub(crate) fn time_to_first_answer() -> Duration {
        static PLACE: std::sync::OnceLock<(Place, String)> = std::sync::OnceLock::new();
        let (place, token) = PLACE.get_or_init(|| {
            let place = Place::new(&["signed", "jwt", "database", "oauth2", "audit"]);
            let token = place.token("signed");
            (place, token)
        });
        let began = Instant::now();
        let (process, url) = place.serve();
        answered(&url, "/auth", token).unwrap();
        let took = began.elapsed();
        drop(process);
        took
    }
}

/// A connection on which one request was answered with 200.
pub(super) fn answered(url: &str, path: &str, token: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Ok(stream)
}

impl Place {
    fn new(plugins: &[&str]) -> Self {
        let place = Self(tempfile::Builder::new().prefix("bench-").tempdir_in(folder()).unwrap());
        let mut text = format!(
            "[host]\n[preflight]\ncache = '{}'\n[http]\nlisten = ['127.0.0.1:0']\n",
            place.path("cache").display()
        );
        for plugin in plugins {
            // Copies: the folder that Cargo builds in is written to.
            let file = place.path(&token_host::admit::library_file_name(plugin));
            fs::copy(library(&format!("token_{plugin}")), &file).unwrap();
            let settings = match *plugin {
                "signed" => "secret = 'a fixed secret for benches'".to_owned(),
                "jwt" => format!("secret = '{JWT_SECRET}'\nrevocation = {{ url = 'none' }}"),
                "database" => "url = 'sqlite:tokens.db'".to_owned(),
                "oauth2" => "url = 'memory:'".to_owned(),
                _ => "path = 'audit.jsonl'".to_owned(),
            };
            text.push_str(&format!(
                "[[plugin]]\nname = '{plugin}'\nfile = '{}'\n[plugin.config]\n{settings}\n",
                file.display()
            ));
        }
        fs::write(place.path("plugins.toml"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("plugins.toml")
    }

    fn serve(&self) -> (Process, String) {
        let config = self.config();
        let mut command = pinned(&[env!("CARGO_BIN_EXE_token-host"), "serve", "--config"]);
        Process::start_telling(quiet(command.arg(config), self.0.path()))
    }

    /// A new token, which lives for a day.
    fn token(&self, handler: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_token-host"));
        command.args(["create", "ann", "-e", "1d", "--handler", handler, "--config"]).arg(self.config());
        let output = quiet(&mut command, self.0.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A plugin's library: built with the benches, or by `cargo build --release`.
fn library(name: &str) -> PathBuf {
    let built = folder().join("..").join(token_host::admit::library_file_name(name));
    if built.is_file() { built } else { path_of(name) }
}

/// Without the warning that secrets stand in the configuration.
fn quiet<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    command.current_dir(folder).stderr(std::process::Stdio::null())
}
