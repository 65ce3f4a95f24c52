//! Load by `wrk`, and what it says of it.

use std::process::Command;

use super::process::LOAD_CORE;

/// Something to put load on.
#[derive(Clone)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) url: String,
    /// The value of `Authorization`.
    pub(crate) authorization: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests_a_second: f64,
    pub(crate) p99_ns: f64,
}

/// Puts load on each of them in turn, round by round.
pub(crate) fn take_turns(
    contestants: &[Contestant],
    rounds: usize,
    seconds: u64,
    connections: usize,
) -> Vec<Vec<Load>> {
    for contestant in contestants {
        load(contestant, 1, connections);
    }
    let mut loads = vec![Vec::new(); contestants.len()];
    for round in 0..rounds {
        for turn in 0..contestants.len() {
            let place = (round + turn) % contestants.len();
            loads[place].push(load(&contestants[place], seconds, connections));
        }
    }
    loads
}

/// Puts load on one of them. Every answer must be a good one.
pub(crate) fn load(contestant: &Contestant, seconds: u64, connections: usize) -> Load {
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE, "wrk", "--latency", "-t1"]);
    command.args([format!("-c{connections}"), format!("-d{seconds}s")]);
    if let Some(authorization) = &contestant.authorization {
        command.args(["-H", &format!("Authorization: {authorization}")]);
    }
    let output = command.arg(&contestant.url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("Non-2xx"), "{}: {said}", contestant.name);
    let figure = |begins: &str| said.lines().find_map(|line| line.trim().strip_prefix(begins).map(str::trim));
    let requests = figure("Requests/sec:").and_then(|text| text.parse().ok());
    Load {
        requests_a_second: requests.unwrap_or_else(|| panic!("{}: {said}", contestant.name)),
        p99_ns: figure("99%").and_then(nanoseconds).unwrap_or_else(|| panic!("{}: {said}", contestant.name)),
    }
}

fn nanoseconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_alphabetic())?;
    let factor = match &text[unit..] {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    text[..unit].parse::<f64>().ok().map(|number| number * factor)
}
