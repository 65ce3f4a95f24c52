//! What it takes to start: one plugin, a hundred entries of one file, a hundred files, with preflights and without.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use token_host::admit::{self, Policy};

use crate::{
    installed::{Entry, Installed, Preflight, start},
    sampler::{Effort, Series},
    table::{self, Target},
};

pub(crate) fn measure(effort: Effort) {
    let installed = Installed::new();
    let mebibytes = installed.library_bytes() as f64 / 1024.0 / 1024.0;
    table::section(&format!("Starting a host: signed's library has {mebibytes:.2} MiB"));
    let many = effort.choose(100, 5);
    let entries = installed.entries(many);
    table::line(&admission(&entries[0].1, effort.choose(50, 1)), Target::Nanoseconds(5e6));
    measure_one(&installed, &entries[..1], effort.choose(25, 1));

    let same: Vec<Entry> = (0..many).map(|number| (format!("p{number}"), entries[0].1.clone())).collect();
    let same = installed.configure("same", "", Preflight::Skipped, &same);
    let same =
        Series::new(format!("{many} entries of one file"), repeated(effort.choose(5, 1), || took_to_start(&same)));
    table::line(&same, Target::Nanoseconds(1e9));
    measure_many(&installed, &entries, effort);
}

/// Steps 1 to 5 of admission: all that is done before a library is loaded, but for its preflight.
fn admission(library: &Path, times: usize) -> Series {
    let admit = || {
        let began = Instant::now();
        let sealed = admit::examine(library, None, &Policy::default()).unwrap().seal().unwrap();
        let took = began.elapsed();
        sealed.discard();
        took.as_secs_f64() * 1e9
    };
    Series::new("admission: examined and sealed, not loaded", repeated(times, admit))
}

/// One plugin, in turns: without its preflight, with one that was passed before, with one that is run.
fn measure_one(installed: &Installed, entry: &[Entry], rounds: usize) {
    let cache = |name: &str| installed.join(format!("cache-{name}"));
    let skipped = installed.configure("one-skipped", "", Preflight::Skipped, entry);
    let passed = installed.configure("one-passed", "", Preflight::RememberedIn(&cache("passed")), entry);
    drop(start(&passed));
    let run = |round| {
        let cache = cache(&format!("round-{round}"));
        installed.configure("one-run", "", Preflight::RememberedIn(&cache), entry)
    };
    let [skipped, passed, run] = in_turns(rounds, |round| [skipped.clone(), passed.clone(), run(round)]);
    let skipped = Series::new("one plugin, without a preflight", skipped);
    let passed = Series::new("one plugin, its preflight passed before", passed);
    let run = Series::new("one plugin, its preflight run", run);
    table::line(&skipped, Target::Nanoseconds(5e6));
    table::compared(&passed, &[("without", &skipped, Target::Ratio(1.05))]);
    table::compared(&run, &[("without", &skipped, Target::MoreNanoseconds(100e6))]);
}

/// As many files, in turns without preflights and with such that were passed before; and once with all of them run.
fn measure_many(installed: &Installed, entries: &[Entry], effort: Effort) {
    /// Libraries are never unloaded, so each start takes their size in memory, and a descriptor each, for good.
    const BYTES: usize = 2 << 30;
    let affordable = BYTES / (2 * entries.len() * installed.library_bytes());
    let rounds = effort.choose(3, 1).min(affordable.max(1));
    let skipped = installed.configure("many-skipped", "", Preflight::Skipped, entries);
    let cache = installed.join("cache-many");
    let passed = installed.configure("many-passed", "", Preflight::RememberedIn(&cache), entries);
    let run = vec![took_to_start(&passed)];
    let [skipped, passed] = in_turns(rounds, |_| [skipped.clone(), passed.clone()]);
    let many = entries.len();
    let skipped = Series::new(format!("{many} files, without preflights"), skipped);
    let passed = Series::new(format!("{many} files, their preflights passed before"), passed);
    let run = Series::new(format!("{many} files, their preflights run (once)"), run);
    table::line(&skipped, Target::Nanoseconds(1e9));
    table::line(&passed, Target::Nanoseconds(1e9));
    table::line(&run, Target::None);
}

/// The times to start each of these configurations, round by round, with the order in a round shifting.
fn in_turns<const N: usize>(rounds: usize, configs: impl Fn(usize) -> [PathBuf; N]) -> [Vec<f64>; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..rounds {
        let configs = configs(round);
        for turn in 0..N {
            let place = (round + turn) % N;
            times[place].push(took_to_start(&configs[place]));
        }
    }
    times
}

fn took_to_start(config: &Path) -> f64 {
    let began = Instant::now();
    let host = start(config);
    let took = began.elapsed();
    // Not counted: stopping.
    drop(host);
    took.as_secs_f64() * 1e9
}

fn repeated(times: usize, measure: impl Fn() -> f64) -> Vec<f64> {
    (0..times).map(|_| measure()).collect()
}
