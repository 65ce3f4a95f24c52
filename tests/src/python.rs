//! Virtual environments with the real systems that the host is held against.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{
    Skip,
    install::{attempt, installed},
};

/// A Python with packages of its own.
#[derive(Debug, Clone)]
pub struct Python(PathBuf);

impl Python {
    /// One that has Datasette, itsdangerous and pluggy, made on first use.
    ///
    /// # Errors
    ///
    /// When there is no `python3` with `venv`, or PyPI cannot be reached.
    pub fn with_datasette() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        let packages = ["datasette==1.0a41", "itsdangerous==2.2.0", "pluggy==1.7.0"];
        MADE.get_or_init(|| Self::make("interop-venv", &packages)).clone()
    }

    /// One that has Datasette with its plugin for tokens that are kept.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_datasette_auth_tokens() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        let packages = ["datasette==1.0a41", "datasette-auth-tokens==0.4a13", "itsdangerous==2.2.0"];
        MADE.get_or_init(|| Self::make("interop-auth-tokens-venv", &packages)).clone()
    }

    /// One that has Django, with the libraries that keep tokens in its database.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_djblets() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        let packages = ["Django==4.2.30", "Djblets==6.1", "django-rest-knox==5.1.0", "djangorestframework==3.17.2"];
        MADE.get_or_init(|| Self::make("interop-django-venv", &packages)).clone()
    }

    /// One that has the libraries of JSON Web Tokens, and what Flask has of them.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_jwt() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        let packages = [
            "authlib==1.9.9",
            "cryptography==50.0.2",
            "flask==3.1.3",
            "flask-jwt-extended==4.7.4",
            "flask-jwt-trivial==0.0.3",
            "joserfc==1.8.0",
            "pyjwt==2.15.1",
            "python-jose[cryptography]==3.5.0",
            "werkzeug==3.1.9",
        ];
        MADE.get_or_init(|| Self::make("interop-jwt-venv", &packages)).clone()
    }

    /// One that has clients of OAuth 2.0.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_oauth2_clients() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        let packages = ["authlib==1.9.10", "oauthlib==4.0.1", "requests==2.34.2", "requests-oauthlib==2.0.0"];
        MADE.get_or_init(|| Self::make("interop-oauth2-clients-venv", &packages)).clone()
    }

    /// One that has python-oauth2, and what it keeps things with.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_python_oauth2() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        let packages = ["python-memcached==1.62", "python-oauth2==1.1.1", "redis==8.1.0"];
        MADE.get_or_init(|| Self::make("interop-python-oauth2-venv", &packages)).clone()
    }

    /// One that has Schemathesis.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_schemathesis() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        MADE.get_or_init(|| Self::make("interop-schemathesis-venv", &["schemathesis==4.32.5"])).clone()
    }

    /// One that has `dclient`, a client of Datasette's API.
    ///
    /// # Errors
    ///
    /// As with [`Self::with_datasette`].
    pub fn with_dclient() -> Result<Self, Skip> {
        static MADE: OnceLock<Result<Python, Skip>> = OnceLock::new();
        MADE.get_or_init(|| Self::make("interop-dclient-venv", &["dclient==0.4", "httpx==0.28.1"])).clone()
    }

    /// A call of it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        // Neither what the user has installed nor what the machine is configured to must matter.
        command.args(["-I", "-X", "utf8"]);
        command
    }

    fn make(name: &str, packages: &[&str]) -> Result<Self, Skip> {
        let folder = installed(name, &packages.join("\n"), |folder| {
            attempt(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            let mut pip = Command::new(python_in(folder));
            attempt(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
            Ok(())
        })?;
        Ok(Self(python_in(&folder)))
    }
}

fn python_in(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}
