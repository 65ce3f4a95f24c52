//! Real Redis servers and clusters, such as a test may stop, kill and pause.

use std::{
    fmt,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::{
    PATIENCE, Skip, debian_program, repository,
    user::{Signal, reaper, send},
    wait_until,
};

/// What a server is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedisOptions {
    /// The password that it wants; none: it wants none.
    pub password: Option<&'static str>,
    /// Whether it speaks TLS too, as `localhost`, with the certificate in `tests/data/redis`.
    pub tls: bool,
}

/// A Redis server: a child process on ports of its own, which ends with this, or with the test program.
pub struct Redis {
    program: PathBuf,
    role: Role,
    options: RedisOptions,
    ports: Ports,
    folder: TempDir,
    server: Mutex<Option<Child>>,
    reaper: Mutex<(Child, Option<ChildStdin>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Alone,
    Node,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    tls: u16,
    bus: u16,
}

/// Three of them, each with a third of the keys.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes, in the order of the slots that they have.
    pub nodes: Vec<Redis>,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAnswer {
    /// There is nothing.
    Nil,
    /// A number.
    Number(i64),
    /// Text, or any bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<RedisAnswer>),
}

impl Redis {
    /// Starts one that wants no password and speaks no TLS.
    ///
    /// # Errors
    ///
    /// When Redis is not there and cannot be installed.
    pub fn start() -> Result<Self, Skip> {
        Self::start_with(RedisOptions::default())
    }

    /// Starts one with these options.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(options: RedisOptions) -> Result<Self, Skip> {
        Self::start_as(Role::Alone, options)
    }

    fn start_as(role: Role, options: RedisOptions) -> Result<Self, Skip> {
        const TRIES: u32 = 10;
        let program = debian_program("redis-server", "redis-server")?;
        let mut log = String::new();
        // Between looking for a port and taking it, somebody may.
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new().prefix("redis-").tempdir().expect("there is a temporary folder");
            let reaper = Mutex::new(reaper(REAP, folder.path()));
            let (ports, server) = (Ports::free(), Mutex::default());
            let redis = Self { program: program.clone(), role, options, ports, folder, server, reaper };
            if redis.launch() {
                return Ok(redis);
            }
            log = redis.log();
        }
        Err(Skip(format!("Redis does not start: {}", log.trim_end().lines().last().unwrap_or_default())))
    }

    /// The file with the authority that its certificate is from.
    pub fn authority() -> PathBuf {
        repository().join("tests/data/redis/authority.pem")
    }

    /// The port on which it listens, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// Its URL, without TLS, with the password.
    pub fn url(&self) -> String {
        format!("redis://{}127.0.0.1:{}", self.credentials(), self.ports.plain)
    }

    /// Its URL with TLS: for those who trust [`Self::authority`].
    pub fn url_tls(&self) -> String {
        format!("rediss://{}localhost:{}", self.credentials(), self.ports.tls)
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        if let Some(mut child) = self.server().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same ports, empty.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&self) {
        self.kill();
        wait_until("the server starts again", || self.launch().then_some(()));
    }

    /// Lets it do nothing until it is resumed, without closing a connection.
    pub fn pause(&self) {
        self.signal(Signal::Stop);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::Continue);
    }

    /// What it answers to a command.
    ///
    /// # Panics
    ///
    /// When it is an error, or there is none.
    pub fn ask<const N: usize>(&self, command: [&str; N]) -> RedisAnswer {
        self.try_ask(&command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// The keys that there are, sorted.
    pub fn keys(&self) -> Vec<String> {
        let RedisAnswer::List(keys) = self.ask(["KEYS", "*"]) else { panic!("expected a list") };
        let mut keys: Vec<String> = keys.into_iter().map(|key| key.text()).collect();
        keys.sort();
        keys
    }

    fn try_ask(&self, command: &[&str]) -> Result<RedisAnswer, String> {
        let failed = |error: std::io::Error| error.to_string();
        let stream = TcpStream::connect(("127.0.0.1", self.ports.plain)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let (mut reader, mut writer) = (BufReader::new(stream.try_clone().map_err(failed)?), stream);
        if let Some(password) = self.options.password {
            say(&mut writer, &["AUTH", password]).map_err(failed)?;
            answer(&mut reader)?;
        }
        say(&mut writer, command).map_err(failed)?;
        answer(&mut reader)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn credentials(&self) -> String {
        self.options.password.map(|password| format!(":{password}@")).unwrap_or_default()
    }

    /// Starts it, and waits until it is ready; whether it is.
    fn launch(&self) -> bool {
        let (folder, ports) = (self.folder.path(), self.ports);
        let log = File::create(folder.join("log")).unwrap();
        let mut command = Command::new(&self.program);
        let mut set = |name: &str, value: &str| _ = command.arg(format!("--{name}")).arg(value);
        set("port", &ports.plain.to_string());
        set("bind", "127.0.0.1");
        set("save", "");
        set("appendonly", "no");
        set("dir", &folder.display().to_string());
        set("pidfile", &folder.join("pid").display().to_string());
        if let Some(password) = self.options.password {
            set("requirepass", password);
        }
        if self.options.tls {
            let data = repository().join("tests/data/redis");
            set("tls-port", &ports.tls.to_string());
            set("tls-cert-file", &data.join("server.pem").display().to_string());
            set("tls-key-file", &data.join("server.key").display().to_string());
            set("tls-ca-cert-file", &data.join("authority.pem").display().to_string());
            set("tls-auth-clients", "no");
        }
        if self.role == Role::Node {
            set("cluster-enabled", "yes");
            set("cluster-config-file", "nodes.conf");
            set("cluster-port", &ports.bus.to_string());
            set("cluster-node-timeout", "2000");
            set("cluster-require-full-coverage", "no");
            if self.options.tls {
                // Else nodes do not tell each other where they speak TLS.
                set("tls-cluster", "yes");
                // The certificate is that of a name.
                set("cluster-announce-hostname", "localhost");
                set("cluster-preferred-endpoint-type", "hostname");
            }
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        *self.server() = Some(command.spawn().unwrap());
        let is_up = wait_until("the server is ready", || {
            if self.try_ask(&["PING"]).is_ok() {
                return Some(true);
            }
            let mut server = self.server();
            server.as_mut().expect("it was just started").try_wait().unwrap().map(|_| false)
        });
        // Another may have had the port all along, and have answered.
        is_up && self.server().as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &*self.server() {
            send(child.id(), signal);
        }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let (reaper, stdin) = self.reaper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(stdin.take());
        let _ = reaper.wait();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("port", &self.ports.plain).finish_non_exhaustive()
    }
}

impl RedisCluster {
    /// Starts three nodes, and waits until each knows the others.
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start() -> Result<Self, Skip> {
        Self::start_with(RedisOptions::default())
    }

    /// Starts three nodes with these options.
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start_with(options: RedisOptions) -> Result<Self, Skip> {
        const SLOTS: usize = 16_384;
        const NODES: usize = 3;
        let nodes = (0..NODES).map(|_| Redis::start_as(Role::Node, options)).collect::<Result<Vec<_>, _>>()?;
        for (place, node) in nodes.iter().enumerate() {
            let (first, last) = (SLOTS * place / NODES, SLOTS * (place + 1) / NODES - 1);
            node.ask(["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            node.ask(["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
        }
        // Each told of each: what goes round by itself takes seconds.
        for node in &nodes {
            for other in nodes.iter().filter(|other| other.ports.plain != node.ports.plain) {
                let port = if options.tls { other.ports.tls } else { other.ports.plain }.to_string();
                let bus = other.ports.bus.to_string();
                node.ask(["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let cluster = Self { nodes };
        wait_until("the cluster is complete", || cluster.is_complete().then_some(()));
        Ok(cluster)
    }

    /// Its URL, with the first two nodes.
    pub fn url(&self) -> String {
        let [first, second, ..] = &self.nodes[..] else { panic!("a cluster has three nodes") };
        format!("{}127.0.0.1:{},127.0.0.1:{}", self.begin("redis"), first.ports.plain, second.ports.plain)
    }

    /// The same with TLS.
    pub fn url_tls(&self) -> String {
        let [first, second, ..] = &self.nodes[..] else { panic!("a cluster has three nodes") };
        format!("{}localhost:{},localhost:{}", self.begin("rediss"), first.ports.tls, second.ports.tls)
    }

    /// Which of the nodes has a key.
    pub fn place_of(&self, key: &str) -> usize {
        let RedisAnswer::Number(slot) = self.nodes[0].ask(["CLUSTER", "KEYSLOT", key]) else { panic!("no slot") };
        (0..self.nodes.len()).rfind(|place| 16_384 * place / self.nodes.len() <= slot as usize).unwrap_or(0)
    }

    /// Whether all nodes know that all slots are served.
    pub fn is_complete(&self) -> bool {
        self.nodes.iter().all(|node| {
            let info = node.ask(["CLUSTER", "INFO"]).text();
            ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"]
                .iter()
                .all(|line| info.contains(line))
        })
    }

    fn begin(&self, scheme: &str) -> String {
        format!("{scheme}+cluster://{}", self.nodes[0].credentials())
    }
}

impl RedisAnswer {
    /// The text that it is.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn text(self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8(bytes).expect("it is text"),
            other => panic!("expected a text: {other:?}"),
        }
    }
}

impl Ports {
    fn free() -> Self {
        let [plain, tls, bus] = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        Self { plain: port(&plain), tls: port(&tls), bus: port(&bus) }
    }
}

fn say(writer: &mut impl Write, command: &[&str]) -> std::io::Result<()> {
    let mut request = format!("*{}\r\n", command.len());
    for part in command {
        request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    writer.write_all(request.as_bytes())
}

fn answer(reader: &mut impl BufRead) -> Result<RedisAnswer, String> {
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| error.to_string())?;
    let (kind, rest) = line.trim_end().split_at_checked(1).ok_or("no answer")?;
    let count = || rest.parse::<i64>().map_err(|error| error.to_string());
    match (kind, rest) {
        ("$" | "*", "-1") => Ok(RedisAnswer::Nil),
        ("+", text) => Ok(RedisAnswer::Bytes(text.into())),
        (":", _) => count().map(RedisAnswer::Number),
        ("$", _) => {
            let mut bytes = vec![0; count()? as usize + 2];
            reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
            bytes.truncate(bytes.len() - 2);
            Ok(RedisAnswer::Bytes(bytes))
        }
        ("*", _) => (0..count()?).map(|_| answer(reader)).collect::<Result<_, _>>().map(RedisAnswer::List),
        _ => Err(line),
    }
}

/// Kills the server when this program ends without having done it, however that comes.
const REAP: &str = r#"read -r _; [ -f "$1/pid" ] && kill -KILL "$(cat "$1/pid")" && rm -rf "$1""#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skipped;
    use std::{io::Read, time::Duration};

    #[test]
    fn a_server_can_be_killed_paused_and_is_gone_at_the_end() {
        let options = RedisOptions { password: Some("secret"), ..Default::default() };
        let Some(redis) = skipped("redis", Redis::start_with(options)) else { return };
        redis.ask(["SET", "key", "ä value"]);
        assert_eq!(redis.ask(["GET", "key"]).text(), "ä value");
        assert_eq!(redis.keys(), ["key"]);
        redis.restart();
        assert_eq!(redis.ask(["GET", "key"]), RedisAnswer::Nil, "it is empty");
        let (address, folder) = (("127.0.0.1", redis.port()), redis.folder.path().to_owned());
        redis.pause();
        let mut paused = TcpStream::connect(address).unwrap();
        paused.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        paused.write_all(b"PING\r\n").unwrap();
        assert!(paused.read(&mut [0]).is_err(), "nothing is answered");
        redis.resume();
        redis.pause();
        drop(redis);
        assert!(TcpStream::connect(address).is_err() && !folder.exists());
    }

    #[test]
    fn a_cluster_has_all_slots() {
        let Some(cluster) = skipped("redis cluster", RedisCluster::start()) else { return };
        for key in ["a", "b", "c"] {
            assert_eq!(cluster.nodes[cluster.place_of(key)].ask(["GET", key]), RedisAnswer::Nil, "it is the right one");
        }
    }
}
