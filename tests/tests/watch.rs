//! A running host takes up what changes in its files, and refuses what is not good, by itself.

use std::{
    env::consts::DLL_SUFFIX,
    fs,
    io::{BufRead, BufReader, Write},
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use serde_json::json;
use token_host::{Host, Watch};
use token_host_tests::{PATIENCE, Plugin, Scratch, wait_until};

/// A folder with a host that watches it.
struct Watched {
    scratch: Scratch,
    host: Host,
    _watch: Watch,
}

impl Watched {
    /// With the handlers `one` and `two`, of which `two` is called first.
    fn new() -> Self {
        let mut scratch = Scratch::new();
        scratch.host("drop_in = 'plugins.d'").preflight("");
        fs::create_dir(scratch.join("plugins.d")).unwrap();
        handler(&mut scratch, "one");
        handler(&mut scratch, "two");
        let host = Host::from_file(scratch.config()).unwrap();
        let watch = host.watch().unwrap();
        Self { scratch, host, _watch: watch }
    }

    fn reloads(&self) -> u64 {
        self.host.status().reloads
    }

    /// The names of the handlers in call order.
    fn order(&self) -> Vec<String> {
        self.host.plugins().iter().filter(|row| row.kind == "handler").map(|row| row.name.clone()).collect()
    }
}

fn handler(scratch: &mut Scratch, name: &str) {
    scratch.plugin(name, Plugin::Hostile, &format!("handlers = [{{ name = '{name}', claims = ['{name}'] }}]"));
}

/// Replaces a file as careful programs do.
fn rename_over(scratch: &Scratch, name: &str, content: impl AsRef<[u8]>) {
    let new = scratch.file("new", content);
    fs::rename(new, scratch.join(name)).unwrap();
}

#[test]
fn an_edited_order_however_the_editor_writes_it() {
    let mut watched = Watched::new();
    assert_eq!(watched.order(), ["two", "one"]);
    let first = fs::read_to_string(watched.scratch.config()).unwrap();
    watched.scratch.no_entries().preflight("");
    handler(&mut watched.scratch, "two");
    handler(&mut watched.scratch, "one");
    wait_until("written in place", || (watched.order() == ["one", "two"]).then_some(()));
    rename_over(&watched.scratch, "plugins.toml", &first);
    wait_until("renamed over", || (watched.order() == ["two", "one"]).then_some(()));
    // Gone for a moment, as some editors have it.
    fs::rename(watched.scratch.config(), watched.scratch.join("plugins.toml~")).unwrap();
    watched.scratch.file("plugins.toml", first.replace("name = 'one'", "name = 'three'"));
    let named = || watched.host.plugins().iter().any(|row| row.plugin == "three").then_some(());
    wait_until("written anew", named);
}

#[cfg(unix)]
#[test]
fn a_configuration_that_is_a_link_into_a_folder_that_is_swapped() {
    use std::os::unix::fs::symlink;
    // As Kubernetes mounts a ConfigMap.
    let mut scratch = Scratch::new();
    handler(&mut scratch, "one");
    let text = fs::read_to_string(scratch.config()).unwrap();
    scratch.file("..1/plugins.toml", &text);
    scratch.file("..2/plugins.toml", text.replace("name = 'one'\nfile", "name = 'other'\nfile"));
    fs::remove_file(scratch.config()).unwrap();
    symlink("..1", scratch.join("..data")).unwrap();
    symlink("..data/plugins.toml", scratch.config()).unwrap();
    let host = Host::from_file(scratch.config()).unwrap();
    let _watch = host.watch().unwrap();
    symlink("..2", scratch.join("..new")).unwrap();
    fs::rename(scratch.join("..new"), scratch.join("..data")).unwrap();
    wait_until("the link is followed", || (host.plugins()[0].plugin == "other").then_some(()));
}

#[test]
fn a_library_is_dropped_in_replaced_overwritten_and_removed() {
    let watched = Watched::new();
    let bytes = fs::read(Plugin::Constructor.path()).unwrap();
    let has = |version: usize| {
        let sha256 = watched.host.plugins().iter().find(|row| row.name == "made").and_then(|row| row.sha256.clone());
        let expected =
            token_host::admit::hexadecimal(&<sha2::Sha256 as sha2::Digest>::digest(content(&bytes, version)).into());
        (sha256 == Some(expected)).then_some(())
    };
    let name = format!("plugins.d/x{DLL_SUFFIX}");
    let path = watched.scratch.file(&name, content(&bytes, 1));
    wait_until("dropped in", || has(1));
    rename_over(&watched.scratch, &name, content(&bytes, 2));
    wait_until("renamed over", || has(2));
    fs::write(&path, content(&bytes, 3)).unwrap();
    wait_until("overwritten in place", || has(3));
    fs::remove_file(&path).unwrap();
    wait_until("removed", || (watched.order() == ["two", "one"]).then_some(()));
    // A reload is counted a moment after it serves.
    let status = wait_until("the last reload is counted", || {
        let status = watched.host.status();
        (status.generation == status.reloads + 1).then_some(status)
    });
    assert_eq!(status.libraries.superseded, 3, "{status:?}");
    assert_eq!(status.libraries.superseded_bytes, bytes.len() * 3 + 1 + 2 + 3);
}

/// The library with so many bytes at its end that no loader looks at.
fn content(library: &[u8], version: usize) -> Vec<u8> {
    [library, &vec![0; version]].concat()
}

#[test]
fn a_file_that_an_entry_names_and_one_that_was_not_there() {
    let mut scratch = Scratch::new();
    scratch.host("search = ['first', 'second']").preflight("");
    scratch.entry("[[plugin]]\nname = 'x'\nfile = 'token_x'\n");
    fs::create_dir(scratch.join("second")).unwrap();
    let library = fs::read(Plugin::Constructor.path()).unwrap();
    let name = token_host::admit::library_file_name("token_x");
    scratch.file(format!("second/{name}"), &library);
    let host = Host::from_file(scratch.config()).unwrap();
    let _watch = host.watch().unwrap();
    // A folder that is searched before, and did not exist when the watch began.
    scratch.file(format!("first/{name}"), content(&library, 1));
    let is_first = || host.plugins()[0].file.as_ref().is_some_and(|file| file.contains("first")).then_some(());
    wait_until("the new folder is found", is_first);
    fs::remove_dir_all(scratch.join("first")).unwrap();
    wait_until("the old one again", || is_first().is_none().then_some(()));
}

#[test]
fn a_change_that_is_not_good_is_reported_and_counted_and_changes_nothing() {
    let watched = Watched::new();
    let bad = watched.scratch.file(format!("plugins.d/bad{DLL_SUFFIX}"), "no library");
    let failed = || watched.host.status().failed_reload;
    let failure = wait_until("the file is refused", failed);
    assert!(failure.findings.iter().any(|finding| finding.contains("it is a file of unknown format")), "{failure:?}");
    let status = watched.host.status();
    assert!(status.failed_reloads >= 1 && status.generation == 1, "{status:?}");
    assert!(watched.host.verify_token_blocking("one").unwrap().is_some());
    let checked = watched.scratch.run(["check"]);
    assert!(checked.code() == 6 && checked.stdout.contains("it is a file of unknown format"), "{checked}");

    fs::remove_file(bad).unwrap();
    wait_until("all is well again", || failed().is_none().then_some(()));
    watched.scratch.file("plugins.toml", "this is no TOML");
    wait_until("the configuration is refused", failed);
    assert!(watched.host.verify_token_blocking("one").unwrap().is_some());
}

#[test]
fn what_else_happens_in_the_folders_reloads_nothing() {
    let watched = Watched::new();
    for number in 0..20 {
        watched.scratch.file("notes.txt", number.to_string());
        watched.scratch.file("plugins.d/notes.txt", number.to_string());
    }
    // A change that is one comes after all of those.
    let text = fs::read_to_string(watched.scratch.config()).unwrap();
    watched.scratch.file("plugins.toml", format!("{text}\n# changed"));
    wait_until("the change is seen", || (watched.reloads() > 0).then_some(()));
    assert_eq!(watched.reloads(), 1);
}

#[test]
fn no_call_fails_while_everything_changes() {
    let mut watched = Watched::new();
    let library = fs::read(Plugin::Constructor.path()).unwrap();
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let host = watched.host.clone();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for token in ["one", "two"] {
                        assert!(host.verify_token_blocking(token).unwrap().is_some());
                    }
                    calls.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        for version in 1..=5 {
            let before = watched.reloads();
            watched.scratch.file(format!("plugins.d/x{DLL_SUFFIX}"), content(&library, version));
            wait_until("replaced", || (watched.reloads() > before).then_some(()));
            let before = watched.reloads();
            watched.scratch.no_entries().preflight("");
            let names = if version % 2 == 0 { ["one", "two"] } else { ["two", "one"] };
            names.iter().for_each(|name| handler(&mut watched.scratch, name));
            wait_until("reordered", || (watched.reloads() > before).then_some(()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_host_whose_watch_is_dropped_stays_as_it_is() {
    let Watched { scratch, host, _watch: watch } = Watched::new();
    drop(watch);
    scratch.file("plugins.toml", "");
    assert!(host.verify_token_blocking("one").unwrap().is_some());
    assert_eq!(host.reload().unwrap().generation, 2, "nobody else has reloaded it");
}

/// The command line, which logs what changes, and reloads on the signal that servers know.
#[cfg(unix)]
#[test]
fn a_running_command_logs_the_differences_and_reloads_on_sighup() {
    let mut scratch = Scratch::new();
    let order = |scratch: &mut Scratch, names: [&str; 2]| {
        scratch.no_entries();
        names.iter().for_each(|name| handler(scratch, name));
    };
    scratch.host("drop_in = 'plugins.d'\nsuperseded_warning_bytes = 0");
    let library = fs::read(Plugin::Constructor.path()).unwrap();
    let dropped_in = format!("plugins.d/x{DLL_SUFFIX}");
    scratch.file(&dropped_in, &library);
    order(&mut scratch, ["one", "two"]);
    let mut command = scratch.command(["verify", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(stdout).lines();
    let mut ask = || {
        stdin.write_all(b"one\n").unwrap();
        serde_json::from_str::<serde_json::Value>(&answers.next().unwrap().unwrap()).unwrap()
    };
    assert_eq!(ask()["status"], json!("accepted"));
    let (sender, log) = std::sync::mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let logged = |part: &str| {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = log.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return;
            }
        }
        panic!("not logged: {part}");
    };
    order(&mut scratch, ["two", "one"]);
    logged("handler \"one\" moved from 2nd to 1st");
    rename_over(&scratch, &dropped_in, content(&library, 1));
    logged("handler \"made\" was replaced by another file");
    logged("replaced libraries cannot be unloaded: only a restart frees them");
    // A secret that a file holds is nothing that the watch looks at.
    let secret = scratch.file("secret", "first secret of all");
    let settings = |scratch: &mut Scratch| {
        scratch.plugin("signed", Plugin::Signed, &format!("secret = {{ file = '{}' }}", secret.display()));
    };
    settings(&mut scratch);
    logged("handler \"signed\" was added as 1st");
    scratch.file("secret", "second secret of all");
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    logged("handler \"signed\" was made anew with other settings");
    scratch.file("plugins.toml", "[[plugin]]\nname = 'x'\nfile = './none.so'");
    logged("the change is refused, and nothing changes: ");
    assert_eq!(ask()["status"], json!("accepted"));
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
