//! Whether two threads verify twice as much as one.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    floor::{Floor, Form, now},
    libraries::{SECRET, host_of, signed_settings},
    machine::cores,
    sampler::{Effort, percentile},
    table::{self, Target},
};

pub(crate) fn measure(effort: Effort) {
    table::section("Two threads against one: calls in the same time");
    if cores() < 2 {
        table::note("skipped: there is one core");
        return;
    }
    let floor = Floor::new(SECRET);
    let token = floor.token(&format!(r#"{{"a":"root","t":{},"d":3600}}"#, now()), Form::Plain);
    let host = host_of("token_signed", &signed_settings());
    let verify = || drop(black_box(host.verify_token_blocking(black_box(&token))));
    let nothing_shared = || {
        black_box(floor.verify(black_box(&token), now(), &mut [0; 256]));
    };

    // The first shares nothing at all: as much as the machine has to give while others use it, too.
    let [machine, ours] = measured(effort, [&nothing_shared, &verify]);
    let by_the_clock = |rate: &Rate| rate.wall;
    let by_processor = |rate: &Rate| rate.processor;
    print("the floor, which shares nothing, by the clock", &machine, by_the_clock, Target::None);
    print("signed through the host, by the clock", &ours, by_the_clock, Target::SpeedUp(1.8));
    print("the floor, by processor time", &machine, by_processor, Target::None);
    print("signed through the host, by processor time", &ours, by_processor, Target::SpeedUp(1.8));
    table::note(
        "By the clock, others who use the cores count; by processor time, only what the threads do to each other.",
    );
}

/// How much more two threads do of something than one, by the clock, beside a spin that shares nothing.
pub(crate) fn compare(effort: Effort, name: &str, call: &(dyn Fn() + Sync), target: Target) {
    if cores() < 2 {
        return table::note("two threads: skipped, there is one core");
    }
    let nothing_shared = || {
        for number in 0..1_000_u32 {
            black_box(number);
        }
    };
    let [machine, ours] = measured(effort, [&nothing_shared, call]);
    print("a loop that shares nothing, two threads against one", &machine, |rate| rate.wall, Target::None);
    print(name, &ours, |rate| rate.wall, target);
}

/// Both in turns, with one thread and with two.
fn measured(effort: Effort, calls: [&(dyn Fn() + Sync); 2]) -> [Vec<[Rate; 2]>; 2] {
    let (rounds, span) = effort.choose((50, Duration::from_millis(20)), (2, Duration::from_millis(2)));
    let mut measured = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (rounds, call) in measured.iter_mut().zip(calls) {
            rounds.push([1, 2].map(|threads| rate(threads, span, &call)));
        }
    }
    measured
}

/// The median over the rounds; and at best: the fastest round of two threads against the fastest of one.
fn print(name: &str, rounds: &[[Rate; 2]], by: impl Fn(&Rate) -> f64, target: Target) {
    let median = percentile(rounds.iter().map(|[one, two]| by(two) / by(one)), 50);
    let [fastest_one, fastest_two] = [0, 1].map(|place| percentile(rounds.iter().map(|round| by(&round[place])), 100));
    table::speed_up(name, median, fastest_two / fastest_one, target);
}

/// Calls a second, summed over the threads.
struct Rate {
    wall: f64,
    processor: f64,
}

fn rate(threads: usize, span: Duration, call: &(impl Fn() + Sync)) -> Rate {
    let start = Barrier::new(threads);
    let count = || {
        start.wait();
        let (began, processor, mut calls) = (Instant::now(), processor_time(), 0_u32);
        while began.elapsed() < span {
            // Seldom enough that the clock does not count.
            for _ in 0..64 {
                call();
            }
            calls += 64;
        }
        let calls = f64::from(calls);
        let processor = processor_time().zip(processor).map_or(f64::NAN, |(end, start)| end - start);
        Rate { wall: calls / began.elapsed().as_secs_f64(), processor: calls / processor }
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        let rates = running.into_iter().map(|thread| thread.join().unwrap());
        rates.fold(Rate { wall: 0.0, processor: 0.0 }, |sum, one| Rate {
            wall: sum.wall + one.wall,
            processor: sum.processor + one.processor,
        })
    })
}

/// How long this thread ran, in seconds, where the system tells it.
fn processor_time() -> Option<f64> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = statistics.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
