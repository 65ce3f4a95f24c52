//! What calls notice of reloads: how long the slow ones among them take while the host reloads all the time.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use token_host::Host;

use crate::{
    changing::Changing,
    machine::cores,
    sampler::{Effort, Series},
    table::{self, Target},
};

pub(crate) fn measure(effort: Effort) {
    let threads = cores();
    table::section(&format!("Calls under reload: {threads} threads verify signed's token, each call by the clock"));
    let mut changing = Changing::new();
    let (rounds, span) = effort.choose((6, Duration::from_secs(1)), (1, Duration::from_millis(50)));
    let (mut calm, mut under_reload) = (Vec::new(), Vec::new());
    let (mut reloads, mut replaced) = (0, 0);
    for _ in 0..rounds {
        let (host, token) = (changing.host.clone(), changing.token.clone());
        calm.push(calls(threads, &host, &token, || thread::sleep(span)));
        let reload = || {
            let began = Instant::now();
            while began.elapsed() < span {
                changing.reorder();
                reloads += 1;
                if reloads % RELOADS_A_FILE == 0 {
                    changing.replace();
                    replaced += 1;
                }
                changing.host.reload().unwrap();
            }
        };
        under_reload.push(calls(threads, &host, &token, reload));
    }
    for (name, per_mille, target) in
        [("p50", 500, Target::None), ("p99", 990, Target::Ratio(2.0)), ("p99.9", 999, Target::None)]
    {
        let series = |when: &str, phases: &[Calls]| {
            Series::new(format!("{name}, {when}"), phases.iter().map(|calls| calls.percentile(per_mille)).collect())
        };
        let (calm, under_reload) = (series("no reloads", &calm), series("reloading all the time", &under_reload));
        table::line(&calm, Target::None);
        table::compared(&under_reload, &[("no reloads", &calm, target)]);
    }
    let total = |phases: &[Calls]| phases.iter().map(|calls| calls.count).sum::<u64>();
    let failed: u64 = calm.iter().chain(&under_reload).map(|calls| calls.failed).sum();
    table::note(&format!(
        "{} calls without reloads, {} during {reloads} reloads, of which {replaced} with a file replaced and tried; \
         {failed} failed.",
        total(&calm),
        total(&under_reload)
    ));
    assert_eq!(failed, 0, "a reload disturbs no call");
}

/// Verifies on so many threads until `meanwhile` is over.
fn calls(threads: usize, host: &Host, token: &str, meanwhile: impl FnOnce()) -> Calls {
    let is_over = AtomicBool::new(false);
    let call = || {
        let mut calls = Calls::new();
        while !is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let verified = black_box(host.verify_token_blocking(black_box(token)));
            calls.add(began.elapsed(), verified.is_ok_and(|actor| actor.is_some()));
        }
        calls
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(call)).collect();
        meanwhile();
        is_over.store(true, Ordering::Relaxed);
        running.into_iter().fold(Calls::new(), |sum, thread| sum.merged(&thread.join().unwrap()))
    })
}

/// How long calls took: how many are in each of a number of ranges, of which none is wider than a thirty-second of
/// where it begins. Adding one allocates nothing.
struct Calls {
    ranges: Vec<u64>,
    count: u64,
    failed: u64,
}

impl Calls {
    fn new() -> Self {
        Self { ranges: vec![0; (u64::BITS as usize + 1) * STEPS], count: 0, failed: 0 }
    }

    fn add(&mut self, took: Duration, succeeded: bool) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.ranges[range_of(nanoseconds)] += 1;
        self.count += 1;
        self.failed += u64::from(!succeeded);
    }

    fn merged(mut self, other: &Self) -> Self {
        self.ranges.iter_mut().zip(&other.ranges).for_each(|(sum, count)| *sum += count);
        self.count += other.count;
        self.failed += other.failed;
        self
    }

    /// Where the range begins below which so many in a thousand calls are, in nanoseconds.
    fn percentile(&self, per_mille: u64) -> f64 {
        let mut left = self.count * per_mille / 1000;
        let range = self.ranges.iter().position(|count| match left.checked_sub(*count) {
            Some(less) => {
                left = less;
                false
            }
            None => true,
        });
        beginning_of(range.unwrap()) as f64
    }
}

/// Those of below [`STEPS`] nanoseconds each have one; then each power of two has as many as that.
fn range_of(nanoseconds: u64) -> usize {
    let Some(power) = nanoseconds.checked_ilog2().and_then(|power| power.checked_sub(STEPS.ilog2())) else {
        return nanoseconds as usize;
    };
    power as usize * STEPS + (nanoseconds >> power) as usize
}

fn beginning_of(range: usize) -> u64 {
    let power = (range / STEPS).saturating_sub(1);
    ((range - power * STEPS) as u64) << power
}

const STEPS: usize = 32;

/// A file is replaced before every one of so many reloads: those take longer, for the preflight.
const RELOADS_A_FILE: u64 = 5;
