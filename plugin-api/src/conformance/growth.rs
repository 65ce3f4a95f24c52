//! The check `growth`: instances that are gone leave nothing behind.

use std::fs;

use super::{
    Suite,
    instance::Instance,
    report::{Checked, failed, skipped},
};

/// Until caches are warm and the allocator has its arenas.
const WARM_UP_ROUNDS: u64 = 10;
const ROUNDS: u64 = 60;

/// What else runs in this process may grow meanwhile: other tests do. So growth counts only when it is found again and
/// again, each time with twice the rounds: what leaks keeps up with that.
pub(super) fn growth(suite: &Suite<'_>, instance: impl Fn() -> Checked<Instance>) -> Checked {
    let round = || instance().and_then(|instance| use_once(&instance, suite));
    // Also where nothing can be measured: what panics in `Drop` shows.
    (0..WARM_UP_ROUNDS).try_for_each(|_| round())?;
    let mut attempt = 1;
    loop {
        let rounds = ROUNDS << (attempt - 1);
        let before = Usage::now();
        (0..rounds).try_for_each(|_| round())?;
        let (Some(before), Some(after)) = (before, Usage::now()) else {
            return skipped("what a process uses is read from /proc/self, which is not there");
        };
        match after.grown_since(&before, rounds) {
            None => return Ok(()),
            Some(grown) if attempt >= grown.enough_attempts => {
                return failed(format!(
                    "{} after {rounds} instances that were made and dropped, expected no growth",
                    grown.what
                ));
            }
            Some(_) => attempt += 1,
        }
    }
}

fn use_once(instance: &Instance, suite: &Suite<'_>) -> Checked {
    for index in 0..instance.handlers.len() {
        let handler = instance.handler(index, suite)?;
        // Whether the answers are right is for other checks.
        let token = handler.create(&handler.request()).map_or_else(|_| "nobody's".to_owned(), |created| created.token);
        let _ = handler.verify(&token);
    }
    for entry in &instance.generators {
        let _ = instance.generate(entry).and_then(|value| instance.validate(entry, &value));
    }
    Ok(())
}

/// What this process uses.
struct Usage {
    threads: u64,
    open_files: u64,
    resident_kib: u64,
}

impl Usage {
    fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line?.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            threads: number("Threads:")?,
            open_files: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
            resident_kib: number("VmRSS:")?,
        })
    }

    /// What has grown by more than can be by chance.
    fn grown_since(&self, before: &Self, rounds: u64) -> Option<Grown> {
        let by = self.threads.saturating_sub(before.threads);
        if by >= rounds / 2 {
            return Some(Grown { what: format!("{by} more threads"), enough_attempts: 3 });
        }
        let by = self.open_files.saturating_sub(before.open_files);
        if by >= rounds / 2 {
            return Some(Grown { what: format!("{by} more open files"), enough_attempts: 3 });
        }
        let by = self.resident_kib.saturating_sub(before.resident_kib);
        let enough_attempts = if by >= MUCH_KIB { 3 } else { 6 };
        (by >= SLACK_KIB + rounds * SLACK_KIB_OF_A_ROUND)
            .then(|| Grown { what: format!("{by} KiB more memory"), enough_attempts })
    }
}

struct Grown {
    what: String,
    /// How many attempts must find it: fewer where a machine has less of it, more where others use it too.
    enough_attempts: u32,
}

/// What the allocator keeps.
const SLACK_KIB: u64 = 1024;
/// What it keeps for each round, at the most.
const SLACK_KIB_OF_A_ROUND: u64 = 8;
/// To go on leaking would do harm.
const MUCH_KIB: u64 = 64 << 10;
