//! A plugin that another compiler built, in this host: what an ABI-stable interface is for.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use token_host::{CreateToken, Host, TokenRestrictions};
use token_host_tests::{SECRET, Scratch, Skip, repository, skipped, target_folder};

/// The minor version of the workspace's `rust-version`.
const OLDEST_MINOR: u32 = 88;

/// Debian's second Rust, which is of another version than the project's.
struct OtherCompiler {
    rustc: PathBuf,
    cargo: PathBuf,
}

impl OtherCompiler {
    fn find() -> Result<Self, Skip> {
        if !cfg!(target_os = "linux") {
            return Err(Skip("it is a Debian package".to_owned()));
        }
        Self::installed().or_else(|_| {
            let install = ["install", "-y", "--no-install-recommends", "rustc-web", "cargo-web"];
            attempt(Command::new("apt-get").arg("update"))
                .and_then(|_| attempt(Command::new("apt-get").args(install)))?;
            Self::installed()
        })
    }

    fn installed() -> Result<Self, Skip> {
        let advice = |Skip(why)| Skip(format!("install the Debian packages rustc-web and cargo-web ({why})"));
        let rustc = file_of("rustc-web", "rustc").map_err(advice)?;
        let cargo = file_of("cargo-web", "cargo").map_err(advice)?;
        let other = Self { rustc, cargo };
        let version = other.version();
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        if minor < Some(OLDEST_MINOR) {
            return Err(Skip(format!("{version} is older than 1.{OLDEST_MINOR}, the oldest that builds plugins")));
        }
        Ok(other)
    }

    /// Builds the signed plugin in a target folder of its own.
    fn build(&self) -> PathBuf {
        let target = target_folder().join("other-compiler");
        let mut cargo = Command::new(&self.cargo);
        cargo.current_dir(repository()).args(["build", "--locked", "-p", "token-signed", "--target-dir"]).arg(&target);
        // What rustup and the cargo that runs this test have set would lead back to their compiler.
        for name in [
            "CARGO",
            "RUSTUP_TOOLCHAIN",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
        ] {
            cargo.env_remove(name);
        }
        let built = cargo.env("RUSTC", &self.rustc).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target.join("debug/libtoken_signed.so")
    }

    fn version(&self) -> String {
        let version = Command::new(&self.rustc).arg("--version").output().unwrap();
        String::from_utf8(version.stdout).unwrap().trim().to_owned()
    }
}

/// The program in a Debian package, wherever the package puts it.
fn file_of(package: &str, program: &str) -> Result<PathBuf, Skip> {
    let listed = attempt(Command::new("dpkg").args(["-L", package]))?;
    let files = String::from_utf8_lossy(&listed.stdout).into_owned();
    let file = files.lines().map(PathBuf::from).find(|file| {
        file.parent().is_some_and(|folder| folder.ends_with("bin"))
            && file.file_name().is_some_and(|name| name == program)
    });
    file.ok_or_else(|| Skip(format!("{package} has no {program}")))
}

fn attempt(command: &mut Command) -> Result<Output, Skip> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.map_err(|error| Skip(format!("{program} cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Skip(format!("{program} failed: {}", stderr.trim_end().lines().last().unwrap_or_default())))
}

#[test]
fn a_plugin_of_another_compiler_creates_and_verifies() {
    let Some(other) = skipped("a_plugin_of_another_compiler_creates_and_verifies", OtherCompiler::find()) else {
        return;
    };
    let built = other.build();
    let mut scratch = Scratch::new();
    let library = scratch.file("libtoken_signed.so", std::fs::read(built).unwrap());
    let file = library.display();
    scratch.entry(&format!("[[plugin]]\nname = 'signed'\nfile = '{file}'\n[plugin.config]\nsecret = '{SECRET}'"));
    let host = Host::from_file(scratch.config()).unwrap();
    let by = host.plugins()[0].rustc.clone().unwrap();
    assert_eq!(by, other.version(), "the manifest says who built it");

    let request = CreateToken::new("rööt").restricted_to(TokenRestrictions::nothing().allow_all("view-instance"));
    let created = host.create_token_blocking(&request.expires_after(60)).unwrap();
    let actor = host.verify_token_blocking(&created.token).unwrap().unwrap();
    assert_eq!(actor.id(), "rööt");
    assert!(actor.allows("view-instance", None, None) && !actor.allows("execute-sql", None, None));
    let forged = format!("{}x", created.token);
    assert!(host.verify_token_blocking(&forged).is_err());
}
