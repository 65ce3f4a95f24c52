//! A folder for one test, with a configuration, plugins and the command line run on them.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Dialog, Journal, Plugin, Run, SECRET, host_binary, run, target_folder};

/// A folder that only its owner can enter, gone when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    host: String,
    plugins: String,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// An empty folder, with an empty `plugins.toml`.
    ///
    /// # Panics
    ///
    /// When the system has no temporary folder.
    pub fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap(), host: String::new(), plugins: String::new() };
        scratch.write();
        scratch
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Something in the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// The configuration's file.
    pub fn config(&self) -> PathBuf {
        self.join("plugins.toml")
    }

    /// A journal for the hostile plugin.
    pub fn journal(&self) -> Journal {
        Journal::new(self.join("journal"))
    }

    /// Writes a file.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o644);
        path
    }

    /// Sets what stands in `[host]`.
    pub fn host(&mut self, keys: &str) -> &mut Self {
        keys.clone_into(&mut self.host);
        self.write();
        self
    }

    /// Has plugins tried by the `token-host` under test, also when the test itself is the host. `keys` are more lines
    /// of the table.
    pub fn preflight(&mut self, keys: &str) -> &mut Self {
        let (program, cache) = (host_binary().display(), target_folder().join("tmp").join("cache"));
        self.entry(&format!("[preflight]\nprogram = '{program}'\ncache = '{}'\n{keys}", cache.display()))
    }

    /// Has plugins loaded without a preflight, which would be in the journal as well.
    pub fn no_preflight(&mut self) -> &mut Self {
        self.entry("[preflight]\ndanger_skip = true")
    }

    /// Appends text to the configuration: `[[plugin]]` entries.
    pub fn entry(&mut self, text: &str) -> &mut Self {
        self.plugins.push_str(text);
        self.plugins.push('\n');
        self.write();
        self
    }

    /// Forgets all `[[plugin]]` entries.
    pub fn no_entries(&mut self) -> &mut Self {
        self.plugins.clear();
        self
    }

    /// Appends an entry for a plugin with these settings, the TOML text of its `[plugin.config]`.
    pub fn plugin(&mut self, name: &str, plugin: Plugin, settings: &str) -> &mut Self {
        self.plugin_with(name, plugin, "", settings)
    }

    /// The same with more keys in the entry, each a line of TOML.
    pub fn plugin_with(&mut self, name: &str, plugin: Plugin, keys: &str, settings: &str) -> &mut Self {
        let file = self.library(plugin);
        self.plugin_of(&file, name, keys, settings)
    }

    /// The same for a library of the test's own.
    pub fn plugin_of(&mut self, file: &Path, name: &str, keys: &str, settings: &str) -> &mut Self {
        let file = file.display();
        self.entry(&format!("[[plugin]]\nname = '{name}'\nfile = '{file}'\n{keys}\n[plugin.config]\n{settings}"))
    }

    /// Appends the entry `signed` with the tests' secret, and these settings besides.
    pub fn signed(&mut self, settings: &str) -> &mut Self {
        self.plugin("signed", Plugin::Signed, &format!("secret = '{SECRET}'\n{settings}"))
    }

    /// A copy of a plugin's library, in a folder that nobody else can write to.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn library(&self, plugin: Plugin) -> PathBuf {
        let path = self.join("libraries").join(plugin.path().file_name().unwrap());
        if !path.exists() {
            self.put(&path, plugin);
        }
        path
    }

    /// A copy of a plugin's library under this file name in the folder `plugins.d`.
    pub fn drop_in(&self, file_name: &str, plugin: Plugin) -> PathBuf {
        let path = self.join("plugins.d").join(file_name);
        self.put(&path, plugin);
        path
    }

    /// The command line on this folder's configuration. Of the test's own environment it sees
    /// nothing that could change what it does.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(host_binary());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("TOKEN_HOST") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.args(arguments).env("TOKEN_HOST_CONFIG", self.config()).current_dir(self.path());
        // Shared by all tests, so that what they all load is tried once.
        command.env("XDG_CACHE_HOME", target_folder().join("tmp").join("cache"));
        command
    }

    /// Runs the command line until it ends.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        self.feed(arguments, b"")
    }

    /// Runs the command line with this standard input.
    pub fn feed<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>, stdin: &[u8]) -> Run {
        run(&mut self.command(arguments), stdin)
    }

    /// Starts `verify -`, to be asked token by token.
    pub fn verifier(&self) -> Dialog {
        Dialog::start(&mut self.command(["verify", "-"]))
    }

    fn put(&self, path: &Path, plugin: Plugin) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        set_mode(path.parent().unwrap(), 0o755);
        fs::copy(plugin.path(), path).unwrap();
        set_mode(path, 0o644);
    }

    fn write(&self) {
        self.file("plugins.toml", format!("[host]\n{}\n{}", self.host, self.plugins));
    }
}

/// Sets a file's or folder's permissions, whatever the umask says.
///
/// # Panics
///
/// When that is not allowed.
#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Windows has no such permissions.
#[cfg(not(unix))]
pub fn set_mode(_: &Path, _: u32) {}
