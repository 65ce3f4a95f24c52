//! `token-host new`: a plugin crate to start from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{exit::Failure, output::Output};

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The plugin's name, in small letters, digits and `-`; also the name of the new folder
    name: String,

    /// The folder of the crate token-plugin-api [default: the one this program was built with, if it is still there, else the released one]
    #[arg(long, value_name = "FOLDER")]
    api: Option<PathBuf>,
}

impl New {
    /// Writes the crate into a new folder.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let starts_well = self.name.starts_with(|c: char| c.is_ascii_lowercase());
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !starts_well || self.name.len() > 40 || !self.name.chars().all(is_good) {
            return Err(Failure::Arguments(format!(
                "`{}` is no name for a plugin, expected up to 40 small letters, digits and `-`, a letter first",
                self.name
            )));
        }
        let folder = Path::new(&self.name);
        self.write(folder).map_err(|error| {
            Failure::Arguments(format!("cannot write the crate into {}: {error}", folder.display()))
        })?;
        output.line(&format!(
            "Wrote {name}. Next:\n\n\
             \x20   cd {name} && cargo test && cargo build --release\n\n\
             then put {library} from its target/release into the host's drop-in folder, or name it in plugins.toml.",
            name = self.name,
            library = token_host::admit::library_file_name(&self.library()),
        ))
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        // Fails when there is something of that name already: nothing is overwritten.
        fs::create_dir(folder)?;
        fs::create_dir(folder.join("src"))?;
        fs::write(folder.join("Cargo.toml"), self.filled(include_str!("template/Cargo.toml.txt")))?;
        fs::write(folder.join("src/lib.rs"), self.filled(include_str!("template/lib.rs.txt")))?;
        fs::write(folder.join(".gitignore"), "/target\n")
    }

    fn filled(&self, template: &str) -> String {
        template
            .replace("{{name}}", &self.name)
            .replace("{{package}}", &format!("token-{}", self.name))
            .replace("{{library}}", &self.library())
            .replace("{{prefix}}", &self.name.replace('-', ""))
            .replace("{{api}}", &self.api_source())
    }

    fn library(&self) -> String {
        format!("token_{}", self.name.replace('-', "_"))
    }

    fn api_source(&self) -> String {
        let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api"));
        let folder = self.api.as_deref().or_else(|| Some(beside).filter(|beside| beside.join("Cargo.toml").exists()));
        match folder.and_then(|folder| folder.canonicalize().ok()) {
            // A TOML string in its literal form takes every path but one with a quote in it.
            Some(folder) => format!("path = '{}'", folder.display()),
            None => "version = \"1\"".to_owned(),
        }
    }
}
