//! Node.js with the npm libraries that the host is held against.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{
    Skip, debian_program,
    install::{attempt, installed},
    repository,
};

/// What is copied from `tests/node`: the scripts have to lie where their libraries do.
const FILES: [&str; 5] =
    ["package.json", "package-lock.json", "jwt_oracle.mjs", "oauth2_client.mjs", "oauth2_introspection.mjs"];

/// Node.js, and a folder with the libraries and scripts of `tests/node`.
#[derive(Debug, Clone)]
pub struct Node {
    program: PathBuf,
    folder: PathBuf,
}

impl Node {
    /// The one on the path, else Debian's; the libraries are installed on first use.
    ///
    /// # Errors
    ///
    /// When there is no Node.js and none can be installed, or npm's registry cannot be reached.
    pub fn find() -> Result<Self, Skip> {
        static FOUND: OnceLock<Result<Node, Skip>> = OnceLock::new();
        FOUND.get_or_init(Self::make).clone()
    }

    /// A call of a script in `tests/node`.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.folder.join(script));
        command
    }

    fn make() -> Result<Self, Skip> {
        let node = program("nodejs", "node")?;
        let sources = repository().join("tests/node");
        let content = |name| fs::read_to_string(sources.join(name)).expect("the project has it");
        let folder = installed("interop-node", &FILES.map(content).concat(), |folder| {
            for name in FILES {
                fs::copy(sources.join(name), folder.join(name)).expect("the target folder can be written to");
            }
            let npm = program("npm", if cfg!(windows) { "npm.cmd" } else { "npm" })?;
            let options = ["ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"];
            attempt(Command::new(npm).args(options).current_dir(folder))?;
            Ok(())
        })?;
        Ok(Self { program: node, folder })
    }
}

/// The program on the path, else in a Debian package.
fn program(package: &str, program: &str) -> Result<PathBuf, Skip> {
    match attempt(Command::new(program).arg("--version")) {
        Ok(_) => Ok(Path::new(program).to_owned()),
        Err(_) => debian_program(package, program),
    }
}
