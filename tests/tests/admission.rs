//! Files that are not loaded, each with the message that says why, and that nothing is loaded by halves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use token_host_tests::{Plugin, Scratch, replace_once, set_mode, with_manifest};

/// The name of a library on this platform.
fn library(bare: &str) -> String {
    format!("{}{bare}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// A test's folder with one more file to be loaded beside a plugin that is fine.
struct Trial {
    scratch: Scratch,
    file: PathBuf,
}

impl Trial {
    fn new() -> Self {
        let mut scratch = Scratch::new();
        scratch.plugin("good", Plugin::Hostile, "handlers = [{ name = 'good' }]");
        let file = scratch.join("candidates").join(library("candidate"));
        scratch.entry(&format!("[[plugin]]\nname = 'bad'\nfile = '{}'", file.display()));
        fs::create_dir(scratch.join("candidates")).unwrap();
        set_mode(&scratch.join("candidates"), 0o755);
        Self { scratch, file }
    }

    fn with(bytes: &[u8]) -> Self {
        let trial = Self::new();
        fs::write(&trial.file, bytes).unwrap();
        set_mode(&trial.file, 0o644);
        trial
    }

    /// What `check` says, which has to refuse the file; and no command does anything then.
    fn refusal(&self) -> String {
        let checked = self.scratch.run(["check"]);
        assert_eq!(checked.code(), 6, "{checked}");
        for command in [["verify", "token"], ["create", "root"], ["explain", "token"]] {
            let run = self.scratch.run(command);
            assert_eq!((run.code(), run.stdout.as_str()), (6, ""), "{command:?}: {run}");
        }
        let said = format!("{}{}", checked.stdout, checked.stderr);
        let line = said.lines().find(|line| line.contains("plugin \"bad\""));
        line.unwrap_or_else(|| panic!("no finding about the plugin: {checked}")).to_owned()
    }

    /// The refusal names the plugin, the place of its entry, and the file.
    fn refused_because(&self, why: &str) {
        let line = self.refusal();
        let expected = format!("cannot admit {}: {why}", self.file.display());
        assert!(line.contains(&expected), "{line}\n expected {expected}");
        assert!(line.contains("plugins.toml:9:1: plugin \"bad\": "), "{line}");
    }
}

fn hostile() -> Vec<u8> {
    fs::read(Plugin::Hostile.path()).unwrap()
}

#[test]
fn a_good_file_passes() {
    let trial = Trial::with(&hostile());
    let checked = trial.scratch.run(["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
}

#[test]
fn a_missing_file() {
    Trial::new().refused_because("it does not exist");
}

#[test]
fn a_missing_library_by_its_bare_name() {
    let mut scratch = Scratch::new();
    scratch.host("search = ['here', 'there']").entry("[[plugin]]\nname = 'bad'");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    let said = format!("{checked}");
    assert!(said.contains("plugin \"bad\": there is no library ") && said.contains(&library("token_bad")), "{said}");
    assert!(said.contains("here") && said.contains("there"), "where it was looked for: {said}");
}

#[test]
fn a_bare_name_is_found_in_the_search_folders() {
    let mut scratch = Scratch::new();
    scratch.library(Plugin::Hostile);
    scratch.host("search = ['not-there', 'libraries']");
    scratch.entry("[[plugin]]\nname = 'hostile'\n[plugin.config]\nhandlers = [{ name = 'found' }]");
    assert_eq!(scratch.run(["verify", "token"]).code(), 0);
}

#[test]
fn a_folder() {
    let trial = Trial::new();
    fs::create_dir(&trial.file).unwrap();
    trial.refused_because("it is a folder, expected a regular file");
}

#[cfg(unix)]
#[test]
fn a_fifo_is_refused_without_waiting_for_a_writer() {
    let trial = Trial::new();
    rustix::fs::mknodat(rustix::fs::CWD, &trial.file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    trial.refused_because("it is a FIFO, expected a regular file");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link() {
    let trial = Trial::new();
    std::os::unix::fs::symlink(trial.scratch.library(Plugin::Hostile), &trial.file).unwrap();
    trial.refused_because("it is a symbolic link");
}

#[test]
fn an_empty_file() {
    Trial::with(b"").refused_because("it is empty, expected a shared library");
}

#[test]
fn a_file_that_is_no_library() {
    Trial::with(b"#!/bin/sh\nexit 0\n").refused_because("it is a file of unknown format, expected a shared library");
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_that_is_no_plugin() {
    let libz = system_library("libz.so");
    Trial::with(&fs::read(libz).unwrap()).refused_because("it is a library but no token plugin: expected a manifest");
}

/// As the C compiler finds it; libc is everywhere that has one.
#[cfg(target_os = "linux")]
fn system_library(name: &str) -> PathBuf {
    let find = |name: &str| {
        let output = std::process::Command::new("cc").arg(format!("-print-file-name={name}")).output().unwrap();
        let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        path.is_absolute().then(|| path.canonicalize().unwrap())
    };
    find(name).or_else(|| find(&format!("{name}.1"))).or_else(|| find("libc.so.6")).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn another_architecture() {
    let mut bytes = hostile();
    let (other, name) = if cfg!(target_arch = "x86_64") { (183_u16, "aarch64") } else { (62, "x86_64") };
    // ELF's `e_machine`.
    bytes[18..20].copy_from_slice(&other.to_ne_bytes());
    Trial::with(&bytes).refused_because(&format!("it is built for {name} ("));
}

#[test]
fn another_abi_level() {
    let bytes = with_manifest(&hostile(), "abi=1", "abi=2");
    Trial::with(&bytes).refused_because("it is built for ABI level 2, expected level 1: rebuild it");
}

#[test]
fn a_manifest_that_is_none() {
    let bytes = with_manifest(&hostile(), "abi=1", "abj=1");
    Trial::with(&bytes).refused_because("manifest has no `abi`");
}

#[test]
fn a_plugin_whose_panics_would_end_the_host() {
    let bytes = with_manifest(&hostile(), "panic=unwind", "panic=abort");
    Trial::with(&bytes).refused_because("it is built with panic = \"abort\" and would end the host");
}

/// A library whose dynamic table has this entry, in place of one that the loader can do without.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn with_dynamic_entry(library: &[u8], tag: u64, value: u64) -> Vec<u8> {
    const DT_FLAGS_1: u64 = 0x6fff_fffb;
    const DF_1_NOW: u64 = 1;
    let entry = |tag: u64, value: u64| [tag.to_ne_bytes(), value.to_ne_bytes()].concat();
    replace_once(library, &entry(DT_FLAGS_1, DF_1_NOW), &entry(tag, value))
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_library_that_brings_in_others_from_elsewhere() {
    // The values are offsets into the library's names, of which the first ones are those of functions.
    for (tag, name) in [
        (15, "DT_RPATH"),
        (29, "DT_RUNPATH"),
        (0x6fff_fefc, "DT_AUDIT"),
        (0x6fff_fefb, "DT_DEPAUDIT"),
        (0x7fff_ffff, "DT_FILTER"),
        (0x7fff_fffd, "DT_AUXILIARY"),
    ] {
        let trial = Trial::with(&with_dynamic_entry(&hostile(), tag, 1));
        trial.refused_because(&format!("it has {name}, which loads libraries that were not examined"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_that_needs_another_by_its_folder() {
    for name in [b"\0./bc.so.6\0", b"\0/ibc.so.6\0", b"\0libc.so./\0"] {
        let bytes = replace_once(&hostile(), b"\0libc.so.6\0", name.as_slice());
        Trial::with(&bytes).refused_because("it has DT_NEEDED with a folder, which loads libraries that were not");
    }
}

#[test]
fn truncated_files_are_refused_wherever_they_end() {
    let bytes = hostile();
    let trial = Trial::with(&bytes);
    // In the header, in the code, before the section headers, and the last byte alone.
    for length in [40, 4096, bytes.len() / 2, bytes.len() - 64, bytes.len() - 1] {
        fs::write(&trial.file, &bytes[..length]).unwrap();
        let checked = trial.scratch.run(["check"]);
        assert_eq!(checked.code(), 6, "{length} bytes: {checked}");
        assert!(format!("{checked}").contains("it is cut short or damaged: "), "{length} bytes: {checked}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_may_write_to() {
    let trial = Trial::with(&hostile());
    set_mode(&trial.file, 0o666);
    trial.refused_because(&format!("{} can be changed by other users (mode 0666)", trial.file.display()));
}

#[cfg(unix)]
#[test]
fn a_folder_that_everybody_may_write_to() {
    let mut trial = Trial::with(&hostile());
    let folder = trial.file.parent().unwrap();
    set_mode(folder, 0o777);
    let real = folder.canonicalize().unwrap();
    trial.refused_because(&format!("{} can be changed by other users (mode 0777)", real.display()));
    trial.scratch.host("danger_insecure_permissions = true");
    let checked = trial.scratch.run(["check"]);
    assert_eq!(checked.code(), 0, "asked for by its name: {checked}");
}

#[test]
fn a_wrong_sha256_and_the_right_one() {
    let bytes = hostile();
    let right = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wrong = "ab".repeat(32);
    let pinned = |pin: &str| {
        let mut scratch = Scratch::new();
        scratch.plugin_with("pinned", Plugin::Hostile, &format!("sha256 = '{pin}'"), "");
        scratch.run(["check"])
    };
    let checked = pinned(&right);
    assert_eq!(checked.code(), 0, "{checked}");
    let checked = pinned(&wrong);
    assert_eq!(checked.code(), 6, "{checked}");
    let expected = format!("its sha256 is {right}, expected the pinned {wrong}");
    assert!(format!("{checked}").contains(&expected), "{checked}");
}

#[test]
fn a_file_that_is_too_large() {
    let mut trial = Trial::with(&hostile());
    trial.scratch.host("max_plugin_bytes = 1000");
    let expected = format!("it has {} bytes, expected at most 1000", hostile().len());
    assert!(trial.refusal().contains(&expected), "{}", trial.refusal());
}

#[test]
fn a_drop_in_folder_that_is_missing_or_none() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'not-there'");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    assert!(format!("{checked}").contains("not-there: it does not exist"), "{checked}");
    scratch.file("file", "");
    scratch.host("drop_in = 'file'");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    assert!(format!("{checked}").contains("file: it is no folder"), "{checked}");
}

#[test]
fn a_bad_file_in_the_folder_is_refused_and_not_skipped() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'");
    scratch.file(Path::new("plugins.d").join(library("broken")), "no library");
    scratch.file("plugins.d/notes.txt", "no library either, and not named like one");
    set_mode(&scratch.join("plugins.d"), 0o755);
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    let said = format!("{checked}");
    assert!(said.contains(&library("broken")) && !said.contains("notes.txt"), "{said}");
}

#[test]
fn a_dropped_in_file_whose_own_name_is_none() {
    for (name, shown) in [
        ("hos ile", "hos ile"),
        ("hos\u{1b}ile", "hos\\u{1b}ile"),
        ("hos\nile", "hos\\nile"),
        ("../tile", "../tile"),
        ("hosti\u{fc}", "hosti\u{fc}"),
        ("", ""),
    ] {
        let mut scratch = Scratch::new();
        scratch.host("drop_in = 'plugins.d'");
        let bytes = with_manifest(&hostile(), "name=hostile", &format!("name={name}"));
        scratch.file(Path::new("plugins.d").join(library("x")), bytes);
        set_mode(&scratch.join("plugins.d"), 0o755);
        for command in [vec!["check"], vec!["verify", "token"]] {
            let run = scratch.run(&command);
            assert_eq!(run.code(), 6, "{name:?}: {run}");
            let said = format!("{}{}", run.stdout, run.stderr);
            let rule = "expected 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`";
            assert!(said.contains(&format!("its manifest names it `{shown}`, {rule}")), "{name:?}: {said:?}");
            assert!(!said.contains('\u{1b}'), "the terminal is not told anything: {said:?}");
        }
    }
}

#[test]
fn the_same_name_twice_in_folder_and_entries() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'");
    scratch.drop_in(&library("one"), Plugin::Hostile);
    scratch.drop_in(&library("two"), Plugin::Hostile);
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    let said = format!("{checked}");
    assert!(said.contains("plugin \"hostile\"") && said.contains(&library("one")) && said.contains(&library("two")));
}

#[test]
fn a_plugin_that_fails_or_panics_when_it_is_made() {
    for (register, message) in [
        ("fail", "it was told to fail at registration"),
        ("panic", "panicked: it was told to panic at registration"),
        ("panic_with_bomb", "panicked: "),
    ] {
        let mut scratch = Scratch::new();
        scratch.plugin("bad", Plugin::Hostile, &format!("register = '{register}'"));
        for command in [vec!["check"], vec!["verify", "token"]] {
            let run = scratch.run(&command);
            assert_eq!(run.code(), 6, "{command:?}: {run}");
            let said = format!("{}{}", run.stdout, run.stderr);
            let line = said.lines().find(|line| line.contains("plugin \"bad\"")).unwrap_or_default();
            assert!(line.contains(message), "{command:?}: {run}");
        }
    }
}

#[test]
fn a_panic_at_registration_is_reported_with_its_place() {
    let mut scratch = Scratch::new();
    scratch.plugin("bad", Plugin::Hostile, "register = 'panic'");
    let checked = format!("{}", scratch.run(["check"]));
    let place = Path::new("hostile").join("src").join("lib.rs");
    assert!(checked.contains(place.to_str().unwrap()), "{checked}");
}

#[test]
fn a_plugin_that_hashes_slowly_is_a_warning() {
    let bytes = with_manifest(&hostile(), "static_sha_and_avx=false", "static_sha_and_avx=true");
    let checked = Trial::with(&bytes).scratch.run(["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
    let expected = "warning: plugin \"bad\": it was built with SHA and AVX instructions enabled statically";
    assert!(format!("{checked}").contains(expected), "{checked}");
    let checked = Trial::with(&hostile()).scratch.run(["check"]);
    assert!(!format!("{checked}").contains("plugin \"bad\""), "{checked}");
}

#[test]
fn a_hook_that_the_manifest_does_not_declare() {
    let mut scratch = Scratch::new();
    scratch.plugin("sly", Plugin::Undeclared, "");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    assert!(format!("{checked}").contains("plugin \"sly\": "), "{checked}");
    assert!(format!("{checked}").contains("registered a token_generator, which its manifest does not declare"));
}

#[test]
fn a_claim_that_is_empty_or_too_long() {
    for (claim, length) in [(String::new(), 0), ("x".repeat(65), 65)] {
        let mut scratch = Scratch::new();
        scratch.plugin("bad", Plugin::Hostile, &format!("handlers = [{{ name = 'greedy', claims = ['{claim}'] }}]"));
        let checked = scratch.run(["check"]);
        assert_eq!(checked.code(), 6, "{checked}");
        let expected = format!("handler `greedy` claims a prefix of {length} bytes, expected 1 to 64");
        assert!(format!("{checked}").contains(&expected), "{checked}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'");
    scratch.file(Path::new("plugins.d").join(library("broken")), "no library");
    set_mode(&scratch.join("plugins.d"), 0o755);
    scratch.entry("[[plugin]]\nname = 'missing'\nfile = './missing.so'");
    scratch.plugin("failing", Plugin::Hostile, "register = 'fail'");
    scratch.plugin("panicking", Plugin::Hostile, "register = 'panic'");
    scratch.plugin_with("pinned", Plugin::Hostile, &format!("sha256 = '{}'", "0".repeat(64)), "");
    scratch.plugin("curious", Plugin::Hostile, "unknown = 1");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    let said = format!("{}{}", checked.stdout, checked.stderr);
    for finding in [
        &library("broken"),
        "plugin \"missing\": cannot admit",
        "plugin \"failing\": ",
        "plugin \"panicking\": ",
        "plugin \"pinned\": cannot admit",
        "plugin \"curious\": ",
    ] {
        assert!(said.lines().any(|line| line.contains(finding)), "{finding} in: {said}");
    }
}
