//! Plugin binaries of every release, loaded by this host: the promise that old plugins keep working.
//!
//! The archive is a folder of libraries, named by the environment variable `TOKEN_HOST_ABI_ARCHIVE`, else
//! `../shared/abi-archive` beside the project. A file `NAME.toml` beside a library `NAME.so` holds its settings.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use token_host::Host;
use token_host_tests::{Plugin, SECRET, Scratch, repository};

fn archive() -> PathBuf {
    env::var_os("TOKEN_HOST_ABI_ARCHIVE").map_or_else(|| repository().join("../shared/abi-archive"), PathBuf::from)
}

/// All libraries of this platform below the folder.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(libraries(&path));
        } else if path.extension().is_some_and(|ending| ending == env::consts::DLL_EXTENSION) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Loads a library and has its first handler make and verify a token, where it can.
fn load(library: &Path) {
    let mut scratch = Scratch::new();
    let name = library.file_name().unwrap().to_str().unwrap();
    // A copy, for the archive's owner and permissions are nobody's business here.
    let copy = scratch.file(name, fs::read(library).unwrap());
    let own_settings = fs::read_to_string(library.with_extension("toml"));
    let settings = own_settings.unwrap_or_else(|_| match name.contains("signed") {
        true => format!("secret = '{SECRET}'"),
        false => String::new(),
    });
    let entry = format!("[[plugin]]\nname = 'archived'\nfile = '{}'\n[plugin.config]\n{settings}", copy.display());
    scratch.entry(&entry);
    let host = Host::from_file(scratch.config()).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    if name.contains("signed") {
        let created = host.create_token_blocking(&token_host::CreateToken::new("root")).unwrap();
        assert_eq!(host.verify_token_blocking(&created.token).unwrap().unwrap().id(), "root", "{}", library.display());
    }
}

#[test]
fn plugins_of_every_release_still_load() {
    let libraries = libraries(&archive());
    libraries.iter().for_each(|library| load(library));
    // Said aloud: with no archive yet there is nothing that could fail.
    let _ = writeln!(std::io::stderr(), "{} archived plugins loaded from {}", libraries.len(), archive().display());
}

#[test]
fn a_library_like_the_archives_is_found_and_loaded() {
    let folder = Scratch::new();
    let name = Plugin::Signed.path().file_name().unwrap();
    folder.file(Path::new("1.0.0").join(name), fs::read(Plugin::Signed.path()).unwrap());
    let found = libraries(folder.path());
    assert_eq!(found.len(), 1);
    load(&found[0]);
}
