//! A virtual environment with the real systems that the host is held against.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use crate::{Skip, artifact::target_folder};

const REQUIREMENTS: [&str; 3] = ["datasette==1.0a41", "itsdangerous==2.2.0", "pluggy==1.7.0"];

/// A Python that has Datasette, itsdangerous and pluggy.
#[derive(Debug, Clone)]
pub struct Python(PathBuf);

impl Python {
    /// The Python under `target/interop-venv`, made on first use.
    ///
    /// # Errors
    ///
    /// When there is no `python3` with `venv`, or PyPI cannot be reached.
    pub fn find() -> Result<Self, Skip> {
        static FOUND: OnceLock<Result<Python, Skip>> = OnceLock::new();
        FOUND.get_or_init(Self::make).clone()
    }

    /// A call of it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        // Neither what the user has installed nor what the machine is configured to must matter.
        command.args(["-I", "-X", "utf8"]);
        command
    }

    fn make() -> Result<Self, Skip> {
        let folder = target_folder().join("interop-venv");
        let _lock = lock(&folder.with_extension("lock"));
        let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        let (marker, wanted) = (folder.join("requirements.txt"), REQUIREMENTS.join("\n"));
        if fs::read_to_string(&marker).is_ok_and(|made| made == wanted) {
            return Ok(Self(python));
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("a stale environment can be removed");
        }
        attempt(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut pip = Command::new(&python);
        attempt(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(REQUIREMENTS))?;
        fs::write(marker, wanted).expect("the environment can be written to");
        Ok(Self(python))
    }
}

fn attempt(command: &mut Command) -> Result<Output, Skip> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| Skip(format!("{} cannot be run: {error}", program.display())))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.trim_end().lines().last().unwrap_or("it said nothing").to_owned();
    Err(Skip(format!("{command:?} failed: {last}")))
}

/// Waits until no other test program has the lock. It is given back when the file is closed.
fn lock(path: &Path) -> File {
    fs::create_dir_all(path.parent().expect("the lock lies in a folder")).expect("the target folder can be made");
    let file = File::create(path).expect("the target folder can be written to");
    #[cfg(unix)]
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).expect("files can be locked");
    file
}
