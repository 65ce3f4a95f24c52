//! The table: one line for each thing measured, and what it is held against.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sampler::Series;

/// What a figure may be at most (or, of a speed-up, at least).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Only told.
    None,
    Nanoseconds(f64),
    /// Of the slowest one.
    WorstNanoseconds(f64),
    MoreNanoseconds(f64),
    Ratio(f64),
    SpeedUp(f64),
}

pub(crate) fn section(title: &str) {
    println!("\n{title}");
    println!("  {:<52} {:>9}  {:>22}", "", "median", "10% .. 90%");
}

/// A line with the figure alone.
pub(crate) fn line(series: &Series, target: Target) {
    print_line(series);
    match target {
        Target::Nanoseconds(most) => judge("", &format!("at most {}", time(most)), series.median() <= most),
        Target::WorstNanoseconds(most) => {
            let worst = series.worst();
            judge(&format!("worst {}", time(worst)), &format!("at most {}", time(most)), worst <= most);
        }
        _ => {}
    }
    println!();
}

/// A line with comparisons beside the figure.
pub(crate) fn compared(series: &Series, with: &[(&str, &Series, Target)]) {
    print_line(series);
    for (what, other, target) in with {
        let (ratio, more) = (series.ratio(other), series.difference(other));
        match *target {
            Target::MoreNanoseconds(most) => {
                judge(&format!("{what} {}", signed_time(more)), &format!("at most +{}", time(most)), more <= most);
            }
            Target::Ratio(most) => judge(&format!("{ratio:.2}x {what}"), &format!("at most {most:.2}x"), ratio <= most),
            _ => print!("  {ratio:.2}x {what} ({})", signed_time(more)),
        }
    }
    println!();
}

/// A line about how many times as fast something got.
pub(crate) fn speed_up(name: &str, median: f64, best: f64, target: Target) {
    print!("  {name:<52} {median:>8.2}x  {:>22}", format!("best {best:.2}x"));
    if let Target::SpeedUp(least) = target {
        judge("", &format!("at least {least:.2}x"), median >= least);
    }
    println!();
}

pub(crate) fn note(text: &str) {
    println!("  {text}");
}

/// How many targets were met, at the end.
pub(crate) fn print_verdict() {
    let (met, missed) = (MET.load(Ordering::Relaxed), MISSED.load(Ordering::Relaxed));
    println!("\n{met} targets met, {missed} missed");
}

fn print_line(series: &Series) {
    let (low, high) = series.spread();
    let spread = format!("{} .. {}", time(low), time(high));
    print!("  {:<52} {:>9}  {spread:>22}", series.name, time(series.median()));
}

fn judge(figure: &str, target: &str, met: bool) {
    if met { &MET } else { &MISSED }.fetch_add(1, Ordering::Relaxed);
    let space = if figure.is_empty() { "" } else { " " };
    print!("  {figure}{space}[{target}: {}]", if met { "met" } else { "MISSED" });
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        few if few < 1e3 => format!("{few:.1} ns"),
        micro if micro < 1e6 => format!("{:.2} us", micro / 1e3),
        milli if milli < 1e9 => format!("{:.2} ms", milli / 1e6),
        whole => format!("{:.2} s", whole / 1e9),
    }
}

fn signed_time(nanoseconds: f64) -> String {
    format!("{}{}", if nanoseconds < 0.0 { '-' } else { '+' }, time(nanoseconds.abs()))
}

static MET: AtomicUsize = AtomicUsize::new(0);
static MISSED: AtomicUsize = AtomicUsize::new(0);
