//! How long a running host takes to take up a change: when it is told to reload, and when it watches its files.

use std::{hint, time::Instant};

use crate::{
    changing::Changing,
    sampler::{Effort, Series},
    table::{self, Target},
};

pub(crate) fn measure(effort: Effort) {
    table::section("Taking up a change: a host of two plugins in two files, with preflights");
    let mut changing = Changing::new();
    let reordered = reloads(&mut changing, effort.choose(50, 1), Changing::reorder);
    table::line(&Series::new("reload: the order was changed", reordered), Target::None);
    let replaced = reloads(&mut changing, effort.choose(20, 1), Changing::replace);
    table::line(&Series::new("reload: a file was replaced", replaced), Target::None);

    let _watch = changing.host.watch().unwrap();
    let (mut dropped_in, mut replaced) = (Vec::new(), Vec::new());
    for _ in 0..effort.choose(20, 1) {
        dropped_in.push(taken_up(&mut changing, Changing::drop_in));
        replaced.push(taken_up(&mut changing, Changing::replace));
        taken_up(&mut changing, |changing| changing.take_away());
    }
    let at_worst = Target::WorstNanoseconds(1e9);
    table::line(&Series::new("watch: from the last write of a file dropped in", dropped_in), at_worst);
    table::line(&Series::new("watch: from the last write of a file replaced", replaced), at_worst);
}

/// How long reloads take, each after such a change.
fn reloads(changing: &mut Changing, times: usize, change: impl Fn(&mut Changing)) -> Vec<f64> {
    let reload = |_| {
        change(changing);
        let began = Instant::now();
        changing.host.reload().unwrap();
        began.elapsed().as_secs_f64() * 1e9
    };
    (0..times).map(reload).collect()
}

/// How long it takes from the end of a change to the generation that has it.
fn taken_up(changing: &mut Changing, change: impl Fn(&mut Changing)) -> f64 {
    let generation = changing.host.generation();
    change(changing);
    let began = Instant::now();
    while changing.host.generation() == generation {
        hint::spin_loop();
    }
    began.elapsed().as_secs_f64() * 1e9
}
