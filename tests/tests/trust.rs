//! Which files may be loaded: signatures by real minisign, and `plugins.lock`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use token_host::Host;
use token_host_tests::{Plugin, Run, SECRET, Scratch, Skip, debian_program, run, skipped, with_manifest};

/// Real minisign, with a pair of keys.
struct Minisign {
    program: PathBuf,
    folder: PathBuf,
}

impl Minisign {
    fn new(scratch: &Scratch, name: &str) -> Result<Self, Skip> {
        let program = debian_program("minisign", "minisign")?;
        let folder = scratch.join(name);
        fs::create_dir(&folder).unwrap();
        let minisign = Self { program, folder };
        minisign.run(&["-G", "-W", "-p", "public", "-s", "secret"]);
        Ok(minisign)
    }

    fn public_key(&self) -> String {
        fs::read_to_string(self.folder.join("public")).unwrap().lines().nth(1).unwrap().to_owned()
    }

    /// Writes `FILE.minisig`.
    fn sign(&self, file: &Path, more: &[&str]) {
        self.run(&[&["-S", "-s", "secret", "-m", file.to_str().unwrap()], more].concat());
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = std::process::Command::new(&self.program);
        let run = run(command.args(arguments).current_dir(&self.folder), b"");
        assert_eq!(run.code(), 0, "{run}");
    }
}

fn check(scratch: &Scratch) -> Run {
    scratch.run(["check"])
}

fn refused(scratch: &Scratch, why: &str) {
    let checked = check(scratch);
    assert_eq!(checked.code(), 6, "{checked}");
    assert!(format!("{checked}").contains(why), "{why}: {checked}");
}

#[test]
fn signatures_by_a_trusted_key_are_required() {
    let mut scratch = Scratch::new();
    let name = "signatures_by_a_trusted_key_are_required";
    let Some(ours) = skipped(name, Minisign::new(&scratch, "ours")) else { return };
    let Some(theirs) = skipped(name, Minisign::new(&scratch, "theirs")) else { return };
    scratch.entry(&format!("[trust]\npublic_keys = ['{}']", ours.public_key())).signed("");
    let library = scratch.library(Plugin::Signed);
    let signature = PathBuf::from(format!("{}.minisig", library.display()));

    refused(&scratch, "libtoken_signed.so.minisig is not good: it does not exist; expected one by a key of `[trust]");
    ours.sign(&library, &[]);
    assert_eq!(check(&scratch).code(), 0, "{}", check(&scratch));
    let good = fs::read_to_string(&signature).unwrap();

    theirs.sign(&library, &[]);
    refused(&scratch, "it is of a key that is not trusted");
    ours.sign(&library, &["-l"]);
    refused(&scratch, "it is of the form of minisign before 0.10");
    for junk in [String::new(), "text".to_owned(), good.replace("trusted comment", "comment"), "x".repeat(40_000)] {
        fs::write(&signature, junk).unwrap();
        refused(&scratch, "is not good: ");
    }
    // The signature of another file, and the comment that it signs, changed.
    fs::write(&signature, good.replace("timestamp:", "timestamp:1")).unwrap();
    refused(&scratch, "it is not of this file");
    fs::write(&signature, &good).unwrap();
    assert_eq!(check(&scratch).code(), 0);
    fs::write(&library, [fs::read(&library).unwrap(), b"x".to_vec()].concat()).unwrap();
    refused(&scratch, "it is not of this file");
}

#[test]
fn any_of_several_keys_will_do_and_dropped_in_files_are_asked_as_well() {
    let mut scratch = Scratch::new();
    let name = "any_of_several_keys_will_do_and_dropped_in_files_are_asked_as_well";
    let Some(one) = skipped(name, Minisign::new(&scratch, "one")) else { return };
    let Some(two) = skipped(name, Minisign::new(&scratch, "two")) else { return };
    scratch.host("drop_in = 'plugins.d'");
    scratch.entry(&format!("[trust]\npublic_keys = ['{}', '{}']", one.public_key(), two.public_key()));
    let library = scratch.drop_in("libx.so", Plugin::Hostile);
    refused(&scratch, "libx.so.minisig is not good");
    two.sign(&library, &[]);
    assert_eq!(check(&scratch).code(), 0, "{}", check(&scratch));
}

#[test]
fn a_key_that_is_none_is_an_error_of_the_configuration() {
    let mut scratch = Scratch::new();
    for key in ["", "RWx", "untrusted comment: minisign public key"] {
        scratch.no_entries().entry(&format!("[trust]\npublic_keys = ['{key}']"));
        refused(&scratch, "plugins.toml:4:16: `public_keys`: expected a public key as `minisign -G` prints it");
    }
}

#[test]
fn only_locked_files_are_loaded() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'").signed("");
    fs::create_dir(scratch.join("plugins.d")).unwrap();
    let locked = scratch.run(["lock"]);
    assert_eq!(locked.code(), 0, "{locked}");
    assert!(locked.stdout.contains("libraries/libtoken_signed.so: 1.0.0 ") && locked.stdout.contains("1 files locked"));
    let text = fs::read_to_string(scratch.join("plugins.lock")).unwrap();
    for part in
        ["version = 1\n", "file = \"libraries/libtoken_signed.so\"", "sha256 = \"", "abi_level = 1", "rustc = \"rustc "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(check(&scratch).code(), 0, "{}", check(&scratch));

    // Another file, of another version: the difference is told.
    let library = scratch.library(Plugin::Signed);
    let bytes = fs::read(&library).unwrap();
    fs::write(&library, with_manifest(&bytes, "version=1.0.0", "version=1.0")).unwrap();
    refused(&scratch, "it is not the file in plugins.lock (sha256 ");
    refused(&scratch, "version 1.0, locked 1.0.0)");
    let error = Host::from_file(scratch.config()).unwrap_err().to_string();
    assert!(error.contains("it is not the file in plugins.lock"), "{error}");

    // A file that nobody locked.
    fs::write(&library, &bytes).unwrap();
    scratch.drop_in("libx.so", Plugin::Hostile);
    refused(&scratch, "libx.so: it is not in plugins.lock");
    let relocked = scratch.run(["lock", "--json"]).json();
    assert_eq!(relocked["files"].as_array().unwrap().len(), 2, "{relocked}");
    assert!(relocked["changes"][0].as_str().unwrap().starts_with("plugins.d/libx.so: "), "{relocked}");
    assert_eq!(relocked["changes"].as_array().unwrap().len(), 1, "{relocked}");
    assert_eq!(check(&scratch).code(), 0, "{}", check(&scratch));

    // One that is locked and gone.
    fs::remove_file(scratch.join("plugins.d/libx.so")).unwrap();
    let checked = check(&scratch);
    assert!(
        checked.code() == 0 && checked.stdout.contains("notice: plugins.lock has plugins.d/libx.so, which no plugin")
    );
}

#[test]
fn a_lock_may_be_required_and_keys_must_be_named() {
    let mut scratch = Scratch::new();
    scratch.entry("[trust]\nrequire_lock = true").signed("");
    refused(&scratch, "there is no plugins.lock, which [trust] requires");
    assert_eq!(scratch.run(["lock"]).code(), 0);
    assert_eq!(check(&scratch).code(), 0, "{}", check(&scratch));
    fs::remove_file(scratch.join("plugins.lock")).unwrap();
    refused(&scratch, "there is no plugins.lock, which [trust] requires");
    scratch.no_entries().entry("[trust]\npublic_keys = []");
    refused(&scratch, "`public_keys` must name at least one key");
}

#[test]
fn a_lock_that_cannot_be_read_lets_nothing_in() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    for text in ["version = 2", "version = 1\n[[plugin]]\nfile = 'x'", "no toml", "version = 1\nnew = 1"] {
        scratch.file("plugins.lock", text);
        refused(&scratch, "plugins.lock: cannot read the lock: ");
    }
    scratch.file("plugins.lock", "version = 1");
    refused(&scratch, "it is not in plugins.lock");
    assert_eq!(scratch.run(["lock"]).code(), 0, "a new one can be written whatever the old one says");
    assert_eq!(check(&scratch).code(), 0);
}

#[test]
fn plan_shows_both_orders_and_loads_nothing() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal();
    for (name, keys) in [("one", ""), ("two", ""), ("three", "trylast = true")] {
        scratch.plugin_with(
            name,
            Plugin::Hostile,
            keys,
            &format!("{}handlers = [{{ name = '{name}' }}]", journal.setting()),
        );
    }
    let before = fs::read_to_string(scratch.config()).unwrap();
    let moved = before
        .replace("name = 'three'", "name = 'signed'")
        .replace("name = 'one'\n", "name = 'one'\ntryfirst = true\n");
    let library = scratch.library(Plugin::Signed);
    let new = moved
        + &format!("\n[[plugin]]\nname = 'last'\nfile = '{}'\n[plugin.config]\nsecret = '{SECRET}'", library.display());
    scratch.file("new.toml", new);

    let planned = scratch.run(["plan", "new.toml"]);
    assert_eq!(planned.code(), 0, "{planned}");
    let changes: Vec<&str> = planned.stdout.split("Changes:\n\n").nth(1).unwrap().lines().collect();
    let expected = [
        "handler of \"three\" was removed",
        "handler of \"one\" moved from 2nd to 1st",
        "handler of \"last\" was added as 2nd",
        "handler of \"two\" moved from 1st to 3rd",
        "handler of \"signed\" was added as 4th",
    ];
    for change in expected {
        assert!(changes.contains(&change), "{change}: {planned}");
    }
    assert!(planned.stdout.contains("registered 1st; tryfirst from config"), "{planned}");
    let json = scratch.run(["plan", "--json", "new.toml"]).json();
    assert_eq!(json["after"]["rows"][0]["reason"].as_str().map(|_| ()), Some(()), "{json}");
    assert_eq!(journal.entries().len(), 0, "nothing was made");
    assert_eq!(scratch.run(["plan", "plugins.toml"]).stdout.lines().last(), Some("Nothing changes."));

    // Of a running host the same, which goes on as it is.
    let host = Host::from_file(scratch.config()).unwrap();
    let made = journal.entries().len();
    let plan = host.plan(scratch.join("new.toml")).unwrap();
    assert!(expected.iter().all(|change| plan.changes.iter().any(|planned| planned == change)), "{:?}", plan.changes);
    assert_eq!((host.generation(), journal.entries().len()), (1, made));

    scratch.file("new.toml", "[[plugin]]\nname = 'x'\nfile = './none.so'");
    let refused = scratch.run(["plan", "new.toml"]);
    assert!(refused.code() == 6 && format!("{refused}").contains("none.so: it does not exist"), "{refused}");
}
