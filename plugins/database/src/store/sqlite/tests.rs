//! The contract of all stores, and what is SQLite's alone.

use std::{path::PathBuf, sync::Arc};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Settings, Sqlite};
use crate::store::{
    Store,
    contract::{self, Fixture},
};

struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("tokens.db")
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

impl Fixture for File {
    fn open(&self) -> Arc<dyn Store> {
        let settings = Settings { path: self.path(), migrate: true, cache_kib: 1_024, mmap_bytes: 0 };
        Arc::new(Sqlite::new(settings))
    }

    fn execute(&self, sql: &str) {
        self.connection().execute_batch(sql).unwrap();
    }

    fn becoming_newer(&self) -> &'static str {
        "PRAGMA user_version = 99"
    }

    fn number(&self, sql: &str) -> i64 {
        self.connection().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn fixture(_: &str) -> Option<File> {
    Some(File(tempfile::tempdir().unwrap()))
}

contract::contract!(fixture);
