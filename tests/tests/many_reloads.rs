//! A long life in a short time: hundreds of reloads under load, and what the process has grown by after them.
//!
//! It happens in a process of its own, this test program once more: beside other tests nothing could be counted.

use std::{
    env,
    env::consts::DLL_SUFFIX,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use token_host::{CreateToken, Host};
use token_host_tests::{Plugin, SECRET, Scratch, host_binary, run, stripped};

/// Tells a process that it is there for this alone.
const ALONE: &str = "TOKEN_HOST_TEST_ALONE";

const RELOADS: usize = 500;

/// The order changes with every reload, a file with every one of so many.
const RELOADS_A_FILE: usize = 10;

const REPLACED: usize = RELOADS / RELOADS_A_FILE;

#[test]
fn five_hundred_reloads_under_load() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "many_reloads::in_a_process_of_its_own", "--ignored", "--nocapture", "--test-threads=1"]);
    let run = run(command.env(ALONE, "1"), b"");
    assert!(run.status.success() && run.stdout.contains("1 passed"), "{run}");
}

#[test]
#[ignore = "part of the other, which runs it in a process of its own"]
fn in_a_process_of_its_own() {
    assert!(env::var_os(ALONE).is_some(), "expected to be run by the other test");
    let mut life = Life::new();
    let host = Host::from_file(life.scratch.config()).unwrap();
    let token = host.create_token_blocking(&CreateToken::new("root").expires_after(3600)).unwrap().token;
    #[cfg(target_os = "linux")]
    let before = process::Size::now();

    let is_over = AtomicBool::new(false);
    let ask_until_it_is_over = || {
        let mut calls = 0_u64;
        while !is_over.load(Ordering::Relaxed) {
            for _ in 0..50 {
                assert_eq!(host.verify_token_blocking(&token).unwrap().unwrap().id(), "root");
                assert_eq!(host.verify_token_blocking("nobody's").unwrap(), None);
                calls += 2;
            }
            // Where others use the cores as well, reloads would hardly have their turn.
            thread::sleep(Duration::from_millis(1));
        }
        calls
    };
    let calls: u64 = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let asking: Vec<_> = (0..cores).map(|_| scope.spawn(ask_until_it_is_over)).collect();
        for number in 1..=RELOADS {
            life.reorder();
            if number % RELOADS_A_FILE == 0 {
                life.replace();
            }
            let changes = host.reload().unwrap().changes;
            assert!(!changes.is_empty(), "the order was changed");
        }
        is_over.store(true, Ordering::Relaxed);
        asking.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(calls > RELOADS as u64, "it was asked all the time: {calls} calls");

    let status = host.status();
    assert_eq!(status.generation, RELOADS as u64 + 1);
    assert_eq!((status.reloads, status.failed_reloads, &status.failed_reload), (RELOADS as u64, 0, &None));
    assert_eq!(status.older_generations, 0);
    let (libraries, bytes) = (status.libraries, life.library_bytes());
    assert_eq!((libraries.mapped, libraries.mapped_bytes), (2 + REPLACED, (2 + REPLACED) * bytes));
    assert_eq!((libraries.superseded, libraries.superseded_bytes), (REPLACED, REPLACED * bytes));
    #[cfg(target_os = "linux")]
    before.assert_grown_by_no_more_than(libraries);
}

/// A configuration of two plugins that both know the token, each from a file of its own.
struct Life {
    scratch: Scratch,
    library: Vec<u8>,
    names: [&'static str; 2],
    /// How many different libraries were written.
    written: usize,
}

impl Life {
    fn new() -> Self {
        let scratch = Scratch::new();
        let mut life = Self { scratch, library: stripped(Plugin::Signed.path()), names: ["one", "two"], written: 0 };
        life.replace();
        life.reorder();
        life.replace();
        life
    }

    /// Names the plugins in the other order.
    fn reorder(&mut self) {
        self.names.reverse();
        self.scratch.no_entries();
        // Remembered from earlier runs, preflights would be none.
        let preflight = format!("[preflight]\nprogram = '{}'\ncache = 'cache'", host_binary().display());
        self.scratch.entry(&preflight);
        for name in self.names {
            let file = self.scratch.join(file_of(name));
            self.scratch.plugin_of(&file, name, "", &format!("secret = '{SECRET}'"));
        }
    }

    /// Writes another library over the file of the plugin that is named first: the same one with another end, where
    /// the loader does not look.
    fn replace(&mut self) {
        self.written += 1;
        let library = [self.library.as_slice(), &self.written.to_le_bytes()].concat();
        self.scratch.file(file_of(self.names[0]), library);
    }

    fn library_bytes(&self) -> usize {
        self.library.len() + size_of::<usize>()
    }
}

fn file_of(name: &str) -> impl AsRef<Path> {
    format!("libraries/{name}{DLL_SUFFIX}")
}

/// How large this process is, as Linux tells it.
#[cfg(target_os = "linux")]
mod process {
    use std::fs;

    use token_host::Libraries;
    use token_host_tests::wait_until;

    #[derive(Debug)]
    pub(super) struct Size {
        threads: usize,
        descriptors: usize,
        resident_bytes: usize,
    }

    impl Size {
        pub(super) fn now() -> Self {
            let count = |folder: &str| fs::read_dir(folder).unwrap().count();
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            let kibibytes: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
            Self {
                threads: count("/proc/self/task"),
                descriptors: count("/proc/self/fd"),
                resident_bytes: kibibytes * 1024,
            }
        }

        /// Asserts that it has since grown by no more than the superseded libraries account for.
        pub(super) fn assert_grown_by_no_more_than(&self, libraries: Libraries) {
            // Some end after what they were started for: those that stop a plugin or listen to a preflight's child.
            wait_until("no thread and no descriptor is left but one a library", || {
                let now = Self::now();
                (now.threads <= self.threads && now.descriptors <= self.descriptors + libraries.superseded)
                    .then_some(())
            });
            // What is resident of a library are the pages of its sealed copy that were touched, and in place of those
            // that were written to when it was loaded, private ones: no page twice. All of the copy is memory, too,
            // but what was not touched of it counts for no process.
            let resident_bytes = Self::now().resident_bytes.saturating_sub(self.resident_bytes);
            assert!(resident_bytes <= libraries.superseded_bytes + SLACK_BYTES, "{resident_bytes}: {libraries:?}");
        }
    }

    /// What allocators may keep. Two megabytes more a library, or two hundred kilobytes a reload, would not fit in.
    const SLACK_BYTES: usize = 32 << 20;
}
