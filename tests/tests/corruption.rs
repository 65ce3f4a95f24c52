//! Damaged copies of a shipped plugin, in the folder of a host that is running and being asked all the time.
//!
//! Libraries stay mapped until a process ends, so the variants are shared out among processes: this test program once
//! more, told by its environment which of them to take.

use std::{
    env,
    env::consts::DLL_SUFFIX,
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use token_host::{CreateToken, Error, ErrorKind, Host};
use token_host_tests::{Plugin, SECRET, Scratch, flipped, host_binary, run, stripped, truncated};

/// Tells a process which variants to take: `truncated 0 200`, `flipped 400 600`.
const SHARE: &str = "TOKEN_HOST_TEST_SHARE";

/// How many damaged files lie in the folder at once.
const AT_ONCE: usize = 8;

#[test]
fn truncated_files() {
    assert_eq!(survived("truncated", 0, 200), Share { refused: 200, ..Share::default() }, "none can be loaded");
}

#[test]
fn flipped_bytes() {
    const VARIANTS: usize = 2000;
    const SHARES: usize = 10;
    let share = |number: usize| survived("flipped", number * VARIANTS / SHARES, (number + 1) * VARIANTS / SHARES);
    // Two at a time: more would only wait for each other.
    let shares: Vec<Share> = thread::scope(|scope| {
        let lanes = [0, 1].map(|lane| scope.spawn(move || (lane..SHARES).step_by(2).map(share).collect::<Vec<_>>()));
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    let (refused, served) = shares.iter().fold((0, 0), |sum, share| (sum.0 + share.refused, sum.1 + share.served));
    // What damaged code does may depend on addresses, which are given out at random, on what a preflight cannot try, and on
    // what other damaged libraries did to the process before: a range of variants that ended its host each time did not
    // when it was cut in two. Of 12,000 variants one ended its host, and did not do so again; of 2,000 of another build one
    // did so each time, and a second one once; of 16,000 of a third, given to 80 hosts, three hosts were ended, two of them
    // again when that was repeated. A share that ends twice counts as two. More than that is more than what is known and
    // told in the README.
    let deaths: usize = shares.iter().map(|share| share.deaths).sum();
    let lost: usize = shares.iter().map(|share| share.lost).sum();
    assert!(deaths <= 3, "{deaths} hosts were ended");
    assert_eq!(refused + served + lost, VARIANTS);
    // Both are what this is about: a host that took none, or all, was not tried.
    assert!(refused > VARIANTS / 20 && served > VARIANTS / 20, "{refused} refused, {served} served");
}

/// What became of a share of the variants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    refused: usize,
    /// They were loaded into the running host, whatever is wrong in them.
    served: usize,
    /// How often the host was ended.
    deaths: usize,
    /// Variants whose host was ended when they were dropped in once more, too: what became of each is not known.
    lost: usize,
}

/// Has a process of its own take these variants, and survive them.
fn survived(kind: &str, from: usize, to: usize) -> Share {
    let once = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([
            "--exact",
            "corruption::a_share_of_the_variants",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        run(command.env(SHARE, format!("{kind} {from} {to}")), b"")
    };
    let (first, mut deaths) = (once(), 0);
    let run = match first.status.code() {
        Some(_) => first,
        None => {
            deaths += 1;
            // Where everybody sees it, whether or not it happens again.
            eprintln!("{kind} {from}..{to}: the host was ended: {first}");
            once()
        }
    };
    if run.status.code().is_none() {
        eprintln!("{kind} {from}..{to}: the host was ended again: {run}");
        return Share { deaths, lost: to - from, ..Share::default() };
    }
    assert!(run.status.success(), "{kind} {from}..{to}: {run}");
    let line = run.stdout.lines().find_map(|line| line.split_once("SHARE ")).map(|(_, line)| line);
    let counts: Vec<usize> = line.unwrap().split(' ').map(|count| count.parse().unwrap()).collect();
    Share { refused: counts[0], served: counts[1], deaths, lost: 0 }
}

#[test]
#[ignore = "part of the others, which run it in processes of their own"]
fn a_share_of_the_variants() {
    let share = env::var(SHARE).unwrap();
    let [kind, from, to] = share.split(' ').collect::<Vec<_>>()[..] else { panic!("{share}") };
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let library = stripped(Plugin::Signed.path());
    let variants: Vec<Vec<u8>> = match kind {
        "truncated" => truncated(&library).skip(from).take(to - from).map(<[u8]>::to_owned).collect(),
        _ => flipped(&library).skip(from).take(to - from).collect(),
    };
    let folder = Folder::new(&library);
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let share = thread::scope(|scope| {
        let load = scope.spawn(|| folder.ask_until(&stop, &calls));
        let share = variants.chunks(AT_ONCE).enumerate().fold(Share::default(), |sum, (chunk, variants)| {
            // The last of these tells what the host did not survive.
            eprintln!("{kind} from {}", from + chunk * AT_ONCE);
            let Share { refused, served, .. } = folder.drop_in(&library, variants);
            Share { refused: sum.refused + refused, served: sum.served + served, ..Share::default() }
        });
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        share
    });
    assert!(calls.load(Ordering::Relaxed) > 1000, "it was asked all the time");
    println!("SHARE {} {}", share.refused, share.served);
}

/// A host with one good handler, and a folder with places for damaged ones, which are called after it.
struct Folder {
    scratch: Scratch,
    host: Host,
    tokens: [String; 2],
}

impl Folder {
    fn new(library: &[u8]) -> Self {
        let mut scratch = Scratch::new();
        scratch.host("drop_in = 'plugins.d'");
        scratch.entry(&format!("[preflight]\nprogram = '{}'\ncache = 'cache'", host_binary().display()));
        for place in 0..AT_ONCE {
            let file = scratch.file(Self::name(place), library);
            scratch.plugin_of(
                &file,
                &format!("damaged{place}"),
                "trylast = true",
                &format!("secret = '{SECRET}{place}'"),
            );
        }
        scratch.signed("");
        let host = Host::from_file(scratch.config()).unwrap();
        let good = host.create_token_blocking(&CreateToken::new("root").expires_after(3600)).unwrap().token;
        let forged = good.replacen("dstok_", "dstok_x", 1);
        Self { scratch, host, tokens: [good, forged] }
    }

    fn name(place: usize) -> String {
        format!("plugins.d/damaged{place}{DLL_SUFFIX}")
    }

    fn path(&self, place: usize) -> PathBuf {
        self.scratch.join(Self::name(place))
    }

    /// Asks what has always the same answer.
    fn ask_until(&self, stop: &AtomicBool, calls: &AtomicU64) {
        while !stop.load(Ordering::Relaxed) {
            let [good, forged] = &self.tokens;
            assert_eq!(self.host.verify_token_blocking(good).unwrap().unwrap().id(), "root");
            let refused = self.host.verify_token_blocking(forged).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::TokenInvalid(_)), "{refused}");
            assert_eq!(self.host.verify_token_blocking("nobody's").unwrap(), None);
            calls.fetch_add(3, Ordering::Relaxed);
        }
    }

    /// Puts these variants into the folder, then in place of those that are refused what is good.
    fn drop_in(&self, library: &[u8], variants: &[Vec<u8>]) -> Share {
        for (place, variant) in variants.iter().enumerate() {
            fs::write(self.path(place), variant).unwrap();
        }
        let mut refused = Vec::new();
        while let Err(error) = self.host.reload() {
            let places = self.refused(&error);
            assert!(!places.is_empty() && places.iter().all(|place| !refused.contains(place)), "{error}");
            places.iter().for_each(|place| fs::write(self.path(*place), library).unwrap());
            refused.extend(places);
        }
        Share { refused: refused.len(), served: variants.len() - refused.len(), ..Share::default() }
    }

    /// The places of the files that are refused, each with a clear message.
    fn refused(&self, error: &Error) -> Vec<usize> {
        let is_error = |place: &usize| {
            let (plugin, path) = (format!("damaged{place}"), self.path(*place).display().to_string());
            let mut findings = error.findings().iter().filter(|finding| finding.plugin.as_deref() == Some(&plugin));
            let finding = findings.find(|finding| finding.severity == token_host::config::Severity::Error);
            finding.is_some_and(|finding| {
                let message = &finding.message;
                let says_which = message.contains(&path)
                    || message.contains("its handler \"")
                    || message.starts_with("it could not be made: ")
                    || message.starts_with("its configuration is not good: ");
                assert!(says_which && message.len() < 1000 && !message.contains(char::is_control), "{message}");
                true
            })
        };
        (0..AT_ONCE).filter(is_error).collect()
    }
}
