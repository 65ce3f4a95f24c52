//! A database of tokens for one test, of each kind that there is, and the hosts that keep tokens in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rusqlite::{Connection, fallible_iterator::FallibleIterator, types::ValueRef};
use token_host::{
    Actors, CreateToken, Error, ErrorKind, Host, InvalidateTokens, ReasonKind, RequestContext, TokenFilter,
    TokenRecord, TokenSelector, Verdict, block_on,
};

use crate::{Plugin, Postgres, PostgresDatabase, Scratch, SetClock, Skip, set_mode, stripped};

/// Runs each of these functions, which take a [`Place`], as a test on every kind of database.
#[macro_export]
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test($crate::Place::sqlite());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                if let Some(place) = $crate::skipped(stringify!($test), $crate::Place::postgres()) {
                    super::$test(place);
                }
            })+
        }
    };
}

/// Where tokens are kept.
#[derive(Debug, Clone)]
enum Backend {
    /// In this file.
    Sqlite(PathBuf),
    Postgres(PostgresDatabase),
}

/// A folder with a configuration that keeps tokens in a database of its own, which is empty at first.
#[derive(Debug)]
pub struct Place {
    /// The folder.
    pub scratch: Scratch,
    /// What time it is for its hosts; the command line has another clock.
    pub clock: SetClock,
    backend: Backend,
    keys: String,
    settings: String,
}

/// A token, as its maker got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its value.
    pub token: String,
    /// Its id.
    pub id: String,
}

/// What a host says to a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is good.
    Good,
    /// It is known, and bad.
    Bad(ReasonKind, String),
    /// Nobody knows it.
    Unknown,
    /// It cannot be told: an error of the plugin's.
    Failed(String),
}

impl Place {
    /// What the clock shows at first.
    pub const NOW: u64 = 1_700_000_000;

    /// A file of SQLite's that is not there yet.
    pub fn sqlite() -> Self {
        Self::sqlite_at("tokens.db")
    }

    /// The same under another name in the folder.
    pub fn sqlite_at(name: &str) -> Self {
        let scratch = Scratch::new();
        let file = scratch.join(name);
        Self::new(scratch, Backend::Sqlite(file))
    }

    /// An empty database on the tests' common server.
    ///
    /// # Errors
    ///
    /// When there is no PostgreSQL.
    pub fn postgres() -> Result<Self, Skip> {
        Ok(Self::on(Postgres::shared()?))
    }

    /// An empty database on a server of the test's own.
    pub fn on(server: &Postgres) -> Self {
        Self::new(Scratch::new(), Backend::Postgres(server.fresh_database()))
    }

    fn new(scratch: Scratch, backend: Backend) -> Self {
        let (keys, settings) = (String::new(), String::new());
        let mut place = Self { scratch, clock: SetClock::at(Self::NOW), backend, keys, settings };
        place.set("");
        place
    }

    /// Has the plugin configured like this, besides its database.
    pub fn set(&mut self, settings: &str) -> &mut Self {
        settings.clone_into(&mut self.settings);
        self.write()
    }

    /// Sets more keys of the plugin's entry, each a line of TOML.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        keys.clone_into(&mut self.keys);
        self.write()
    }

    fn write(&mut self) -> &mut Self {
        let url = match &self.backend {
            Backend::Sqlite(file) => format!("'sqlite:{}'", file.display()),
            Backend::Postgres(database) => {
                // There is a password in it.
                set_mode(&self.scratch.file("url", database.url()), 0o600);
                "{ file = 'url' }".to_owned()
            }
        };
        let settings = format!("url = {url}\n{}", self.settings);
        let library = self.library();
        self.scratch.no_entries().plugin_of(&library, "tokens", &self.keys, &settings);
        self
    }

    /// The plugin's library in the folder, without what only a debugger reads: it is copied and hashed at every start.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn library(&self) -> PathBuf {
        static STRIPPED: OnceLock<Vec<u8>> = OnceLock::new();
        let file = self.scratch.join("libraries").join(Plugin::Database.path().file_name().unwrap());
        if !file.exists() {
            self.scratch.file(&file, STRIPPED.get_or_init(|| stripped(Plugin::Database.path())));
            set_mode(file.parent().unwrap(), 0o755);
        }
        file
    }

    /// A host of this configuration.
    ///
    /// # Panics
    ///
    /// When there is something wrong with it.
    pub fn host(&self) -> Host {
        Host::builder().config_file(self.scratch.config()).clock(self.clock.clone()).build().unwrap()
    }

    /// SQLite's file; none: it is another database.
    pub fn file(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Sqlite(file) => Some(file),
            Backend::Postgres(_) => None,
        }
    }

    /// PostgreSQL's database; none: it is another.
    pub fn database(&self) -> Option<&PostgresDatabase> {
        match &self.backend {
            Backend::Sqlite(_) => None,
            Backend::Postgres(database) => Some(database),
        }
    }

    /// Runs SQL past the plugin. What it answers, a line a row, columns with `|` between them.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn sql(&self, sql: &str) -> String {
        match &self.backend {
            Backend::Sqlite(file) => sqlite(file, sql),
            Backend::Postgres(database) => database.execute(&format!("SET search_path = token_host; {sql}")),
        }
    }

    /// Everything that is kept, as whoever steals it has it: the files' bytes, or what all tables hold.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn stolen(&self) -> Vec<u8> {
        match &self.backend {
            Backend::Sqlite(_) => self.sqlite_files().into_values().flatten().collect(),
            Backend::Postgres(database) => {
                let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'token_host'";
                let tables = database.execute(tables);
                let dump = |table: &str| database.execute(&format!("SELECT t::text FROM token_host.\"{table}\" t"));
                tables.lines().flat_map(|table| dump(table).into_bytes()).collect()
            }
        }
    }

    /// What SQLite's files hold, by their names.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub fn sqlite_files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let named = entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
        let files = named.filter(|(name, _)| name.starts_with("tokens.db"));
        files.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }
}

/// Runs SQL on a file of SQLite's.
fn sqlite(file: &Path, sql: &str) -> String {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(crate::PATIENCE).unwrap();
    let mut lines = Vec::new();
    let mut batch = rusqlite::Batch::new(&connection, sql);
    while let Some(mut statement) = batch.next().unwrap() {
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|column| match row.get_ref(column).unwrap() {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            });
            lines.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    lines.join("\n")
}

impl Made {
    /// A new token of this actor.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn by(host: &Host, actor: &str) -> Self {
        Self::of(host, &CreateToken::new(actor)).unwrap()
    }

    /// A new token.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    ///
    /// # Panics
    ///
    /// When it has no id.
    pub fn of(host: &Host, request: &CreateToken) -> Result<Self, Error> {
        let created = host.create_token_blocking(request)?;
        Ok(Self { token: created.token, id: created.id.unwrap() })
    }

    /// The token by its value.
    pub fn by_value(&self) -> TokenSelector {
        TokenSelector::Token(self.token.clone())
    }

    /// The token by its id.
    pub fn by_id(&self) -> TokenSelector {
        TokenSelector::Id(self.id.clone())
    }

    /// What a host says to it.
    pub fn said(&self, host: &Host) -> Said {
        said(host, &self.token)
    }

    /// Whether a host accepts it.
    ///
    /// # Panics
    ///
    /// When that cannot be told.
    pub fn is_good(&self, host: &Host) -> bool {
        match self.said(host) {
            Said::Good => true,
            Said::Failed(error) => panic!("{error}"),
            Said::Bad(..) | Said::Unknown => false,
        }
    }

    /// Whether it cannot be told.
    pub fn fails(&self, host: &Host) -> bool {
        matches!(self.said(host), Said::Failed(_))
    }

    /// What is kept of it.
    ///
    /// # Panics
    ///
    /// When nothing is.
    pub fn record(&self, host: &Host) -> TokenRecord {
        block_on(host.get_token(None, &self.by_id())).unwrap().unwrap()
    }
}

/// What a host says to a token.
///
/// # Panics
///
/// When it answers with an error that is not the plugin's.
pub fn said(host: &Host, token: &str) -> Said {
    match host.verify_blocking(token, &RequestContext::default()).verdict {
        Ok(Verdict::Accepted(_)) => Said::Good,
        Ok(Verdict::Rejected(reason)) => Said::Bad(reason.kind(), reason.message().to_owned()),
        Ok(Verdict::NotRecognized) => Said::Unknown,
        Err(error) => {
            assert_eq!(*error.kind(), ErrorKind::Plugin, "{error}");
            Said::Failed(error.to_string())
        }
    }
}

/// Invalidates tokens; the ids of those that were valid before.
///
/// # Errors
///
/// When that cannot be done.
pub fn invalidate(host: &Host, tokens: TokenSelector, reason: &str) -> Result<Vec<String>, Error> {
    let done = host.invalidate_tokens_blocking(None, &InvalidateTokens::new(tokens, reason))?;
    Ok(done.tokens.into_iter().map(|token| token.id).collect())
}

/// The tokens that meet these conditions, page by page.
///
/// # Panics
///
/// When they cannot be listed.
pub fn listed(host: &Host, change: impl FnOnce(&mut TokenFilter)) -> Vec<TokenRecord> {
    let mut filter = TokenFilter::of(Actors::Everyone);
    change(&mut filter);
    let mut tokens = Vec::new();
    loop {
        let page = block_on(host.list_tokens(None, &filter)).unwrap();
        tokens.extend(page.tokens);
        filter.after = page.next;
        if filter.after.is_none() {
            return tokens;
        }
    }
}
