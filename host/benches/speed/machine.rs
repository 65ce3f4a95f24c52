//! What the figures were measured on and built with: without it they mean nothing.

use std::{fs, path::Path};

use token_host::token_plugin_api::abi::manifest;

use crate::sampler::Effort;

pub(crate) fn print(effort: Effort) {
    println!(
        "token-host {}, speed{}",
        env!("CARGO_PKG_VERSION"),
        effort.choose("", " (quick: the figures mean little)")
    );
    println!("  machine   {}, {} cores, {}-{}", processor(), cores(), std::env::consts::ARCH, std::env::consts::OS);
    println!("  load      {}", first_line("/proc/loadavg").unwrap_or_else(|| "unknown".to_owned()));
    println!("  compiler  {}", manifest::RUSTC);
    println!("  profile   {}", profile());
    println!("  flags     {}", flags());
}

/// How many threads run at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Lets the process have as many open files as the system allows: each library that it loads keeps one for good.
#[cfg(unix)]
pub(crate) fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn raise_file_limit() {}

/// The memory that the process has, in bytes; 0 where the system does not tell so.
pub(crate) fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}

fn processor() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = information.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    match (field("model name"), field("cpu family"), field("model\t"), field("cpu MHz")) {
        (Some(name), Some(family), Some(model), Some(speed)) => {
            format!("{name} (family {family}, model {model}, {speed} MHz)")
        }
        (name, ..) => name.unwrap_or_else(|| "unknown processor".to_owned()),
    }
}

/// The settings of the profile as the workspace has them: what is built cannot tell.
fn profile() -> String {
    let optimized = if cfg!(debug_assertions) { "not optimized (dev)" } else { "release" };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap_or_default();
    let settings = |header| {
        let lines = manifest.lines().skip_while(move |line| *line != header).skip(1);
        lines.take_while(|line| !line.starts_with('[')).filter(|line| line.contains(" = ") && !line.starts_with('#'))
    };
    let settings: Vec<&str> = settings("[profile.release]").chain(settings("[profile.bench]")).collect();
    format!("{optimized}; {}", settings.join(", "))
}

fn flags() -> String {
    let flags = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"];
    let flags: Vec<String> = flags.iter().filter_map(|name| std::env::var(name).ok()).collect();
    let set = if flags.is_empty() { "none".to_owned() } else { flags.join(" ") };
    let instructions = match cfg!(any(target_feature = "sha", target_feature = "avx")) {
        true => "SHA or AVX ENABLED STATICALLY: hashing may be 30 times slower",
        false => "SHA and AVX detected at run time",
    };
    format!("{set}; {instructions}")
}

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}
