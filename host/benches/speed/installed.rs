//! [`Installed`]: a folder with copies of `signed`'s library, and configurations that name them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use token_host::{Host, admit::library_file_name};

use crate::libraries::{folder, path_of, signed_settings};

pub(crate) struct Installed {
    folder: TempDir,
    library: Vec<u8>,
}

/// Whether plugins are tried in a child process before they are loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preflight<'a> {
    Skipped,
    /// What passed is remembered in this folder.
    RememberedIn(&'a Path),
}

/// An entry of a configuration: a plugin's name and its file.
pub(crate) type Entry = (String, PathBuf);

impl Installed {
    pub(crate) fn new() -> Self {
        // Beside the program and not in the system's folder: others may write to that one.
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(folder()).unwrap();
        Self { folder, library: fs::read(path_of("token_signed")).unwrap() }
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn library_bytes(&self) -> usize {
        self.library.len()
    }

    /// Entries with a file of their own each.
    pub(crate) fn entries(&self, count: usize) -> Vec<Entry> {
        let entry = |number| {
            let path = self.join(library_file_name(&format!("copy_{number}")));
            self.write(&path, number);
            (format!("p{number}"), path)
        };
        (0..count).map(entry).collect()
    }

    /// Writes a copy that the host takes for another library than those with other numbers: it has other bytes at the
    /// end, where the loader does not look.
    pub(crate) fn write(&self, path: &Path, number: usize) {
        fs::write(path, numbered(&self.library, number)).unwrap();
    }

    /// Writes a configuration. `host` is what stands in its `[host]`.
    pub(crate) fn configure(&self, name: &str, host: &str, preflight: Preflight<'_>, entries: &[Entry]) -> PathBuf {
        let preflight = match preflight {
            Preflight::Skipped => "danger_skip = true".to_owned(),
            Preflight::RememberedIn(folder) => format!("cache = '{}'", folder.display()),
        };
        let mut text = format!("[host]\n{host}\n[preflight]\n{preflight}\n");
        for (name, file) in entries {
            writeln!(text, "[[plugin]]\nname = '{name}'\nfile = '{}'", file.display()).unwrap();
            writeln!(text, "[plugin.config]\n{}", signed_settings()).unwrap();
        }
        let path = self.join(format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        path
    }
}

/// A library with a number at its end.
pub(crate) fn numbered(library: &[u8], number: usize) -> Vec<u8> {
    [library, &number.to_le_bytes()].concat()
}

/// A host of this configuration, which has its preflights run by the executable that was built with the benches.
pub(crate) fn start(config: &Path) -> Host {
    Host::builder().config_file(config).preflight_program(env!("CARGO_BIN_EXE_token-host")).build().unwrap()
}
