//! What is installed into the target folder, on first use and again when something else is wanted.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{Skip, artifact::target_folder};

/// The folder of this name in the target folder, filled by `install` unless that was done for the same `wanted`.
pub(crate) fn installed(
    name: &str,
    wanted: &str,
    install: impl FnOnce(&Path) -> Result<(), Skip>,
) -> Result<PathBuf, Skip> {
    let folder = target_folder().join(name);
    let _lock = lock(&folder.with_extension("lock"));
    let marker = folder.join("installed.txt");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("what is stale can be removed");
    }
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    install(&folder)?;
    fs::write(marker, wanted).expect("the target folder can be written to");
    Ok(folder)
}

/// Runs a program that must succeed.
pub(crate) fn attempt(command: &mut Command) -> Result<Output, Skip> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| Skip(format!("{} cannot be run: {error}", program.display())))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    // npm says it first, Python last.
    let error = stderr.lines().find(|line| line.to_ascii_lowercase().contains("error"));
    let why = error.or(stderr.trim_end().lines().last()).unwrap_or("it said nothing");
    Err(Skip(format!("{command:?} failed: {why}")))
}

/// Waits until no other test program has the lock. It is given back when the file is closed.
fn lock(path: &Path) -> File {
    fs::create_dir_all(path.parent().expect("the lock lies in a folder")).expect("the target folder can be made");
    let file = File::create(path).expect("the target folder can be written to");
    #[cfg(unix)]
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).expect("files can be locked");
    file
}
