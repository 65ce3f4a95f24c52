//! What it takes to start: one plugin, a hundred entries of one file, a hundred files.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use token_host::Host;

use crate::{
    libraries::{folder, path_of, signed_settings},
    sampler::{Effort, Series},
    table::{self, Target},
};

pub(crate) fn measure(effort: Effort) {
    let library = fs::read(path_of("token_signed")).unwrap();
    // Beside the program and not in the system's folder: others may write to that one.
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(folder()).unwrap();
    let copy = |number: usize| {
        // Other bytes at the end: the host takes it for another library, the loader does not look there.
        let path = folder.path().join(format!("copy-{number}.so"));
        fs::write(&path, [&library[..], &number.to_le_bytes()].concat()).unwrap();
        path
    };
    let many = effort.choose(100, 5);
    let copies: Vec<PathBuf> = (0..many).map(copy).collect();

    let title = format!("Starting a host: signed's library has {:.2} MiB", library.len() as f64 / 1024.0 / 1024.0);
    table::section(&title);
    // Libraries are never unloaded, so each start takes their size in memory for good.
    let starts = |config: &Path, full| effort.choose(full, 1).min(starts_within_memory(config, &library));
    let one = config(folder.path(), "one", &copies[..1]);
    table::line(&start("one plugin", &one, starts(&one, 30)), Target::Nanoseconds(5e6));
    let same = config(folder.path(), "same", &vec![copies[0].clone(); many]);
    table::line(&start(&format!("{many} entries of one file"), &same, starts(&same, 5)), Target::Nanoseconds(1e9));
    let distinct = config(folder.path(), "distinct", &copies);
    table::line(&start(&format!("{many} files"), &distinct, starts(&distinct, 5)), Target::Nanoseconds(1e9));
}

fn starts_within_memory(config: &Path, library: &[u8]) -> usize {
    const BYTES: usize = 3 << 30;
    let entries = fs::read_to_string(config).unwrap().matches("[[plugin]]").count();
    (BYTES / (entries * library.len())).max(1)
}

fn config(folder: &Path, name: &str, files: &[PathBuf]) -> PathBuf {
    let mut text = String::new();
    for (number, file) in files.iter().enumerate() {
        writeln!(text, "[[plugin]]\nname = \"p{number}\"\nfile = '{}'", file.display()).unwrap();
        writeln!(text, "[plugin.config]\n{}", signed_settings()).unwrap();
    }
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, text).unwrap();
    path
}

fn start(name: &str, config: &Path, times: usize) -> Series {
    let start = |_| {
        let began = Instant::now();
        let host = Host::from_file(config).unwrap();
        let took = began.elapsed();
        // Not counted: stopping.
        drop(host);
        took.as_secs_f64() * 1e9
    };
    Series::new(name, (0..times).map(start).collect())
}
