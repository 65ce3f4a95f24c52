//! The libraries and the executable under test, built once by the cargo that runs the tests.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// A plugin library of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// `plugins/signed`: Datasette's tokens.
    Signed,
    /// `plugins/database`: tokens that a database keeps.
    Database,
    /// `plugins/jwt`: JSON Web Tokens.
    Jwt,
    /// `plugins/oauth2`: the stores of an authorization server, and its tokens.
    OAuth2,
    /// `plugins/audit`: an event sink that writes files.
    Audit,
    /// `tests/plugins/hostile`: does what its configuration says, right or wrong.
    Hostile,
    /// Registers a hook that its manifest does not declare.
    Undeclared,
    /// Does nothing wrong as it is; with another deed in its file (see [`with_deed`](crate::with_deed)), does that
    /// when it is loaded.
    Constructor,
    /// The same when it is asked for its root.
    Root,
    /// Its root has another layout than a plugin's.
    OtherLayout,
}

impl Plugin {
    /// The library, in the target folder.
    pub fn path(self) -> &'static Path {
        &built().libraries.iter().find(|(plugin, _)| *plugin == self).expect("all are built").1
    }

    const ALL: [Self; 10] = [
        Self::Signed,
        Self::Audit,
        Self::Database,
        Self::Jwt,
        Self::OAuth2,
        Self::Hostile,
        Self::Undeclared,
        Self::Constructor,
        Self::Root,
        Self::OtherLayout,
    ];

    /// Cargo's name for it.
    fn target(self) -> &'static str {
        match self {
            Self::Signed => "token_signed",
            Self::Database => "token_database",
            Self::Jwt => "token_jwt",
            Self::OAuth2 => "token_oauth2",
            Self::Audit => "token_audit",
            Self::Hostile => "token_hostile",
            Self::Undeclared => "undeclared",
            Self::Constructor => "constructor",
            Self::Root => "root",
            Self::OtherLayout => "other_layout",
        }
    }

    /// Whether it is one of the examples beside the hostile plugin.
    fn is_example(self) -> bool {
        let is_own = matches!(self, Self::Signed | Self::Audit | Self::Database | Self::Jwt | Self::OAuth2);
        !is_own && self != Self::Hostile
    }
}

/// The `token-host` executable.
pub fn host_binary() -> &'static Path {
    &built().host
}

/// One of the host's examples, built as a program.
///
/// # Panics
///
/// When it cannot be built.
pub fn host_example(name: &str) -> PathBuf {
    static BUILT: OnceLock<Vec<Value>> = OnceLock::new();
    // Apart from the rest: what examples depend on besides must not change what is tested.
    let messages = BUILT.get_or_init(|| build(Command::new(cargo()).args(["build", "--examples"]), &["host"]));
    file_of(messages, name, is_program)
}

/// The root of the project.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The target folder that the running test was built in.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("the profile's folder lies in the target folder").to_owned()
}

struct Built {
    host: PathBuf,
    libraries: [(Plugin, PathBuf); Plugin::ALL.len()],
}

/// One call of cargo for everything, so that features are unified once. Cargo's own lock keeps
/// test programs that run side by side apart.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(cargo());
        cargo.args(["build", "--lib", "--bins"]);
        for example in Plugin::ALL.into_iter().filter(|plugin| plugin.is_example()) {
            cargo.args(["--example", example.target()]);
        }
        let messages = build(&mut cargo, &["host", "signed", "audit", "database", "jwt", "oauth2", "hostile"]);
        Built {
            host: file_of(&messages, "token-host", is_program),
            libraries: Plugin::ALL.map(|plugin| {
                let library = file_of(&messages, plugin.target(), is_library);
                let is_large = matches!(plugin, Plugin::Database | Plugin::Jwt);
                (plugin, if is_large { lean(&library).unwrap_or(library) } else { library })
            }),
        }
    })
}

/// Has cargo build something of these packages, and returns what it says of that.
fn build(cargo: &mut Command, packages: &[&str]) -> Vec<Value> {
    cargo.args(["--message-format", "json"]);
    for package in packages {
        cargo.args(["-p", &format!("token-{package}")]);
    }
    cargo.args(["--profile", profile()]).arg("--target-dir").arg(target_folder());
    let output = cargo.current_dir(repository()).stdin(Stdio::null()).output().expect("cargo can be run");
    let messages = String::from_utf8(output.stdout).expect("cargo's messages are UTF-8");
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if !output.status.success() {
        let errors = messages.iter().filter_map(|message| message["message"]["rendered"].as_str());
        panic!("{}\n{}", errors.collect::<String>(), String::from_utf8_lossy(&output.stderr));
    }
    messages
}

/// The file of this kind that cargo has built for a target.
fn file_of(messages: &[Value], target: &str, is_it: fn(&Path) -> bool) -> PathBuf {
    let artifacts = messages.iter().filter(|message| message["target"]["name"] == target);
    let files = artifacts.filter_map(|artifact| artifact["filenames"].as_array()).flatten();
    let mut files = files.filter_map(Value::as_str).map(PathBuf::from);
    files.find(|file| is_it(file)).unwrap_or_else(|| panic!("cargo did not say where {target} is"))
}

fn is_library(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == env::consts::DLL_EXTENSION)
}

fn is_program(file: &Path) -> bool {
    file.extension().unwrap_or_default() == env::consts::EXE_EXTENSION
}

/// A copy without what is only for debuggers, which is most of it: libraries are never unloaded, and a test program has
/// hundreds of copies in memory. None: there is nothing here that could make it.
fn lean(library: &Path) -> Option<PathBuf> {
    let folder = target_folder().join("tmp").join("libraries").join(profile());
    fs::create_dir_all(&folder).ok()?;
    // Other test programs may be making it, too: whoever has it ready puts it there whole.
    let making = folder.join(format!("{}.{}", library.file_name()?.display(), process::id()));
    let strip = Command::new("strip").arg("--strip-debug").arg("-o").arg(&making).arg(library).output().ok()?;
    let copy = folder.join(library.file_name()?);
    (strip.status.success() && fs::rename(&making, &copy).is_ok()).then_some(copy)
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `target/debug`, when the test runs as `target/debug/deps/black_box-...`.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("the test knows where it is");
    test.parent().and_then(Path::parent).expect("a test is built in the profile's `deps` folder").to_owned()
}

fn profile() -> &'static str {
    static PROFILE: OnceLock<String> = OnceLock::new();
    PROFILE.get_or_init(|| {
        let folder = profile_folder();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("profiles have names of ASCII");
        // The one profile whose folder has another name.
        if name == "debug" { "dev".to_owned() } else { name.to_owned() }
    })
}
