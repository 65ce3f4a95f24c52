//! A plugin that another compiler built, in this host: what an ABI-stable interface is for.

use std::{path::PathBuf, process::Command};

use token_host::{CreateToken, Host, TokenRestrictions};
use token_host_tests::{SECRET, Scratch, Skip, debian_program, repository, skipped, target_folder};

/// The minor version of the workspace's `rust-version`.
const OLDEST_MINOR: u32 = 88;

/// Debian's second Rust, which is of another version than the project's.
struct OtherCompiler {
    rustc: PathBuf,
    cargo: PathBuf,
}

impl OtherCompiler {
    fn find() -> Result<Self, Skip> {
        let (rustc, cargo) = (debian_program("rustc-web", "rustc")?, debian_program("cargo-web", "cargo")?);
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
