//! Where the plugins are that get loaded: built from the very crates that are linked in here.

use std::path::{Path, PathBuf};

use token_host::Host;

/// The secret of everything that signs.
pub(crate) const SECRET: &str = "a fixed secret for benches";

/// A host of one real library.
pub(crate) fn host_of(library: &str, config: &str) -> Host {
    let path = path_of(library);
    let path = path.display();
    Host::from_str(&format!("[[plugin]]\nname = \"bench\"\nfile = '{path}'\n[plugin.config]\n{config}")).unwrap()
}

/// The settings of `signed`.
pub(crate) fn signed_settings() -> String {
    format!("secret = \"{SECRET}\"\n")
}

/// `library` as Cargo has just built it: dependencies lie in the folder of the program.
pub(crate) fn path_of(library: &str) -> PathBuf {
    let path = folder().join(token_host::admit::library_file_name(library));
    assert!(path.is_file(), "{} is missing, expected Cargo to have built it with the benches", path.display());
    path
}

/// A folder that nobody else writes to, for copies.
pub(crate) fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().map(Path::to_owned).unwrap()
}
