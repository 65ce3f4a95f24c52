//! [`Changing`]: a running host whose configuration and files are changed under it.

use std::fs;

use token_host::{CreateToken, Host, admit::library_file_name};

use crate::{
    installed::{Entry, Installed, Preflight, numbered, start},
    libraries::path_of,
};

/// A host with two plugins, each from a file of its own, that both know the token; and with a drop-in folder.
/// What is new to it is tried in a preflight.
pub(crate) struct Changing {
    pub(crate) host: Host,
    pub(crate) token: String,
    installed: Installed,
    entries: Vec<Entry>,
    quiet: Vec<u8>,
    /// How many different libraries were written.
    written: usize,
}

impl Changing {
    pub(crate) fn new() -> Self {
        let installed = Installed::new();
        let entries = installed.entries(2);
        fs::create_dir(installed.join(DROP_IN)).unwrap();
        let host = start(&configure(&installed, &entries));
        let token = host.create_token_blocking(&CreateToken::new("root").expires_after(3600)).unwrap().token;
        let quiet = fs::read(path_of("token_bench_quiet")).unwrap();
        Self { host, token, installed, written: entries.len(), entries, quiet }
    }

    /// Has the configuration call the plugins in the other order.
    pub(crate) fn reorder(&mut self) {
        self.entries.reverse();
        configure(&self.installed, &self.entries);
    }

    /// Writes another library over one of the plugins' files.
    pub(crate) fn replace(&mut self) {
        self.written += 1;
        self.installed.write(&self.entries[0].1, self.written);
    }

    /// Puts another plugin, of a library that was not there before, into the drop-in folder.
    pub(crate) fn drop_in(&mut self) {
        self.written += 1;
        let path = self.installed.join(DROP_IN).join(library_file_name("quiet"));
        fs::write(path, numbered(&self.quiet, self.written)).unwrap();
    }

    /// Takes that one away again.
    pub(crate) fn take_away(&self) {
        fs::remove_file(self.installed.join(DROP_IN).join(library_file_name("quiet"))).unwrap();
    }
}

fn configure(installed: &Installed, entries: &[Entry]) -> std::path::PathBuf {
    let host = format!("drop_in = '{}'", installed.join(DROP_IN).display());
    installed.configure("changing", &host, Preflight::RememberedIn(&installed.join("cache")), entries)
}

const DROP_IN: &str = "plugins.d";
