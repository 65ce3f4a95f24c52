//! Real PostgreSQL servers: one that the tests of a program share, and such as a test may stop, kill and pause.

use std::{
    fmt,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;

use crate::{
    Skip, debian_program,
    install::attempt,
    repository, run, set_mode,
    user::{Signal, User, children, reaper, send},
    wait_until,
};

/// What a server of a test's own is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Whether what is committed is on the disk: for those that kill it.
    pub fsync: bool,
    /// Whether it speaks TLS, as `localhost`, with the certificate in `tests/data/postgres`.
    pub tls: bool,
    /// How many connections it lets in.
    pub max_connections: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { fsync: false, tls: true, max_connections: 200 }
    }
}

/// A PostgreSQL server: a child process on a port of its own, which ends with this, or with the test program.
pub struct Postgres {
    programs: PathBuf,
    user: User,
    folder: TempDir,
    options: PostgresOptions,
    port: u16,
    server: Mutex<Option<Child>>,
    reaper: Mutex<(Child, Option<ChildStdin>)>,
}

/// A database on it, of one test's own.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    name: String,
    folder: PathBuf,
    port: u16,
    psql: PathBuf,
}

impl Postgres {
    /// Starts one with the usual options.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not there and cannot be installed.
    pub fn start() -> Result<Self, Skip> {
        Self::start_with(PostgresOptions::default())
    }

    /// Starts one with these options.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(options: PostgresOptions) -> Result<Self, Skip> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir().expect("there is a temporary folder");
        let user = User::unprivileged()?;
        user.own(folder.path());
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--no-sync", "--no-instructions", "-D"]).arg(folder.path().join("data"));
        attempt(user.run(&mut initdb).current_dir("/"))?;
        for name in ["server.pem", "server.key"] {
            let file = folder.path().join("data").join(name);
            fs::copy(repository().join("tests/data/postgres").join(name), &file).expect("the project has it");
            set_mode(&file, 0o600);
            user.own(&file);
        }
        let reaper = Mutex::new(reaper(REAP, folder.path()));
        let mut postgres = Self { programs, user, folder, options, port: 0, server: Mutex::default(), reaper };
        postgres.listen()?;
        postgres.psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        Ok(postgres)
    }

    /// The one that all tests of this program share that leave it running.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn shared() -> Result<&'static Self, Skip> {
        static SHARED: OnceLock<Result<Postgres, Skip>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref().map_err(Clone::clone)
    }

    /// An empty database that nobody else uses.
    pub fn fresh_database(&self) -> PostgresDatabase {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
        self.database(&name)
    }

    /// The file with the authority that its certificate is from.
    pub fn authority() -> PathBuf {
        repository().join("tests/data/postgres/authority.pem")
    }

    /// The port on which it listens, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with PostgreSQL's programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Stops it as an operator would: those who are connected are sent away.
    pub fn stop(&self) {
        self.end(Signal::Interrupt);
    }

    /// Stops it as a power cut would.
    pub fn kill(&self) {
        let mut server = self.server();
        let Some(mut child) = server.take() else { return };
        let workers = children(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        for worker in workers {
            send(worker, Signal::Kill);
        }
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&self) {
        self.stop();
        // What was killed may need a moment to give its memory back.
        wait_until("the server starts again", || self.launch().ok());
    }

    /// Lets it do nothing until it is resumed, without closing a connection.
    pub fn pause(&self) {
        self.signal_all(Signal::Stop);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal_all(Signal::Continue);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn database(&self, name: &str) -> PostgresDatabase {
        let psql = self.programs.join("psql");
        PostgresDatabase { name: name.to_owned(), folder: self.folder.path().to_owned(), port: self.port, psql }
    }

    fn psql(&self, database: &str, sql: &str) -> String {
        self.database(database).execute_as("postgres", sql)
    }

    /// Finds a port that nobody has. Between looking and taking, somebody may.
    fn listen(&mut self) -> Result<(), Skip> {
        const TRIES: u32 = 10;
        let mut launched = Err(String::new());
        for _ in 0..TRIES {
            self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            launched = self.launch();
            if launched.is_ok() {
                break;
            }
        }
        launched.map_err(|log| Skip(format!("PostgreSQL does not start: {log}")))
    }

    /// Starts it, and waits until it is ready; else, what it logged last.
    fn launch(&self) -> Result<(), String> {
        let (folder, on) = (self.folder.path(), |on| if on { "on" } else { "off" });
        let (options, data) = (self.options, folder.join("data"));
        let log = File::create(folder.join("log")).unwrap();
        let mut command = Command::new(self.programs.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(folder).arg("-p").arg(self.port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("max_connections={}", options.max_connections),
            format!("fsync={}", on(options.fsync)),
            format!("ssl={}", on(options.tls)),
            "ssl_cert_file=server.pem".to_owned(),
            "ssl_key_file=server.key".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        command.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        *self.server() = Some(self.user.run(&mut command).spawn().unwrap());
        let state = data.join("postmaster.pid");
        let is_up = wait_until("the server is ready", || {
            let mut server = self.server();
            let child = server.as_mut().expect("it was just started");
            let is_ready = fs::read_to_string(&state).is_ok_and(|state| {
                state.lines().next() == Some(&child.id().to_string())
                    && state.lines().nth(7).is_some_and(|word| word.trim() == "ready")
            });
            if is_ready { Some(true) } else { child.try_wait().unwrap().map(|_| false) }
        });
        if is_up {
            return Ok(());
        }
        self.server().take();
        Err(self.log().trim_end().lines().last().unwrap_or_default().to_owned())
    }

    fn end(&self, signal: Signal) {
        self.resume();
        if let Some(mut child) = self.server().take() {
            send(child.id(), signal);
            child.wait().unwrap();
        }
    }

    fn signal_all(&self, signal: Signal) {
        if let Some(child) = &*self.server() {
            // First the one that makes the others.
            send(child.id(), signal);
            for worker in children(child.id()) {
                send(worker, signal);
            }
        }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end(Signal::Quit);
        let (reaper, stdin) = self.reaper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(stdin.take());
        let _ = reaper.wait();
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("port", &self.port).field("options", &self.options).finish_non_exhaustive()
    }
}

impl PostgresDatabase {
    /// The password in its URLs.
    pub const PASSWORD: &str = PASSWORD;

    /// Its URL, through a socket in the file system.
    pub fn url(&self) -> String {
        self.url_at(&encoded(&self.folder.display().to_string()))
    }

    /// Its URL through TCP, without TLS.
    pub fn url_tcp(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// Its URL through TLS: for those who trust [`Postgres::authority`].
    pub fn url_tls(&self) -> String {
        format!("{}?sslmode=require", self.url_at("localhost"))
    }

    /// Runs SQL, as the role in its URLs; what it answered, a line for a row.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn execute(&self, sql: &str) -> String {
        self.execute_as(ROLE, sql)
    }

    /// The same as the one who may do everything.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn execute_as_superuser(&self, sql: &str) -> String {
        self.execute_as("postgres", sql)
    }

    fn url_at(&self, host: &str) -> String {
        format!("postgres://{ROLE}:{}@{host}:{}/{}", encoded(PASSWORD), self.port, self.name)
    }

    fn execute_as(&self, role: &str, sql: &str) -> String {
        let mut psql = Command::new(&self.psql);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", &self.name, "-h"]);
        psql.arg(&self.folder).args(["-p", &self.port.to_string()]);
        let run = run(&mut psql, sql.as_bytes());
        assert!(run.code() == 0, "{sql}: {run}");
        run.stdout.trim_end().to_owned()
    }
}

const ROLE: &str = "tokens";
const PASSWORD: &str = "not/a@secret";

/// As it stands in a part of a URL.
fn encoded(part: &str) -> String {
    part.replace('/', "%2F").replace('@', "%40")
}

/// Where PostgreSQL's programs are, those of a server included; the newest.
fn programs() -> Result<PathBuf, Skip> {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file()))
        .collect();
    folders.sort();
    if let Some(folder) = folders.pop() {
        return Ok(folder);
    }
    let postgres = debian_program("postgresql-15", "postgres")?;
    Ok(postgres.parent().expect("a program lies in a folder").to_owned())
}

/// Stops the server when this program ends without having done it, however that comes.
const REAP: &str = r#"
    read -r _
    if [ -d "$1/data" ]; then
        pid=$(head -n 1 "$1/data/postmaster.pid") && kill -QUIT "$pid" && kill -CONT "$pid"
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" && sleep 1; done
        rm -rf "$1"
    fi
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{joined, skipped};
    use std::{net::TcpStream, time::Duration};

    #[test]
    fn a_server_can_be_stopped_killed_paused_and_is_gone_at_the_end() {
        let options = PostgresOptions { fsync: true, ..Default::default() };
        let Some(postgres) = skipped("postgres", Postgres::start_with(options)) else { return };
        let database = postgres.fresh_database();
        assert_eq!(database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (7); SELECT a FROM t"), "7");
        let address = ("127.0.0.1", postgres.port());
        postgres.kill();
        assert!(TcpStream::connect(address).is_err());
        postgres.restart();
        assert_eq!(database.execute("SELECT a FROM t"), "7");
        postgres.stop();
        assert!(TcpStream::connect(address).is_err());
        postgres.restart();

        let asking = std::thread::spawn({
            postgres.pause();
            let database = database.clone();
            move || database.execute("SELECT a FROM t")
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!asking.is_finished(), "nothing is answered while it is paused");
        postgres.resume();
        assert_eq!(joined("the question", asking), "7");

        let folder = postgres.folder.path().to_owned();
        postgres.pause();
        drop(postgres);
        assert!(TcpStream::connect(address).is_err() && !folder.exists());
    }
}
