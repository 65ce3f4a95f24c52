//! [`interleave`]: measures variants of one thing against each other.
//!
//! The machine is shared and its speed changes from second to second, so that two variants measured
//! one after the other (as Criterion and Divan do) may differ by a third for no reason of theirs.
//! Here all of them take turns, each for a small batch of calls, over many rounds. A comparison is
//! the median over the rounds of what both needed in the same round: what slows a round down slows
//! both sides of it.

use std::time::{Duration, Instant};

/// How much time to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough for figures.
    Full,
    /// Enough to see that everything runs.
    Quick,
}

impl Effort {
    /// `cargo bench` passes `--bench`; without it (`cargo test`), or with `--test`, only a check is wanted.
    pub(crate) fn asked_for(arguments: impl Iterator<Item = String>) -> Self {
        let arguments: Vec<String> = arguments.collect();
        let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
        if has("--bench") && !has("--test") { Self::Full } else { Self::Quick }
    }

    /// One of two numbers.
    pub(crate) fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Something to measure: a name, and how to do it so many times.
pub(crate) struct Variant<'a> {
    name: String,
    repeat: Box<dyn FnMut(u32) + 'a>,
}

impl<'a> Variant<'a> {
    /// `call` has to pass what goes in and what comes out through `black_box`.
    pub(crate) fn new<T>(name: impl Into<String>, mut call: impl FnMut() -> T + 'a) -> Self {
        Self::batched(name, move |times| {
            for _ in 0..times {
                drop(call());
            }
        })
    }

    /// For what needs a set-up around many calls, such as an async runtime.
    pub(crate) fn batched(name: impl Into<String>, repeat: impl FnMut(u32) + 'a) -> Self {
        Self { name: name.into(), repeat: Box::new(repeat) }
    }

    fn time(&mut self, times: u32) -> Duration {
        let start = Instant::now();
        (self.repeat)(times);
        start.elapsed()
    }

    /// How many calls fill a sample.
    fn batch(&mut self, sample: Duration) -> u32 {
        // The first calls do what is done once, such as seeding a generator: a batch that was measured with them would be
        // of a single call, with the clock's own cost in it.
        self.time(WARM_UP);
        let mut times = 1;
        loop {
            let took = self.time(times);
            if took >= sample / 2 || times >= 1 << 24 {
                let one = took.as_secs_f64() / f64::from(times);
                return ((sample.as_secs_f64() / one) as u32).max(1);
            }
            times *= 2;
        }
    }
}

/// Calls before anything is measured.
const WARM_UP: u32 = 16;

/// What one variant needed, in nanoseconds a call, round by round.
pub(crate) struct Series {
    pub(crate) name: String,
    rounds: Vec<f64>,
}

/// Measures the variants in turns. The order within a round shifts from round to round.
pub(crate) fn interleave(effort: Effort, mut variants: Vec<Variant<'_>>) -> Vec<Series> {
    let (rounds, sample) = effort.choose((600, Duration::from_micros(100)), (3, Duration::from_micros(10)));
    let batches: Vec<u32> = variants.iter_mut().map(|variant| variant.batch(sample)).collect();
    let mut series: Vec<Series> =
        variants.iter().map(|variant| Series::new(variant.name.clone(), Vec::with_capacity(rounds))).collect();
    for round in 0..rounds {
        for turn in 0..variants.len() {
            let place = (round + turn) % variants.len();
            let took = variants[place].time(batches[place]);
            series[place].rounds.push(took.as_secs_f64() * 1e9 / f64::from(batches[place]));
        }
    }
    series
}

impl Series {
    /// From measurements made elsewhere, in nanoseconds.
    pub(crate) fn new(name: impl Into<String>, rounds: Vec<f64>) -> Self {
        Self { name: name.into(), rounds }
    }

    pub(crate) fn median(&self) -> f64 {
        percentile(self.rounds.iter().copied(), 50)
    }

    pub(crate) fn worst(&self) -> f64 {
        percentile(self.rounds.iter().copied(), 100)
    }

    /// What the fastest tenth stayed below, and the slowest tenth above.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (percentile(self.rounds.iter().copied(), 10), percentile(self.rounds.iter().copied(), 90))
    }

    /// How many times as long as `other` it takes.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        percentile(self.pairs(other).map(|(this, other)| this / other), 50)
    }

    /// How many nanoseconds more than `other` it takes.
    pub(crate) fn difference(&self, other: &Self) -> f64 {
        percentile(self.pairs(other).map(|(this, other)| this - other), 50)
    }

    fn pairs(&self, other: &Self) -> impl Iterator<Item = (f64, f64)> {
        self.rounds.iter().copied().zip(other.rounds.iter().copied())
    }
}

/// The value that so many per cent are below.
pub(crate) fn percentile(values: impl Iterator<Item = f64>, per_cent: usize) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * per_cent / 100]
}
