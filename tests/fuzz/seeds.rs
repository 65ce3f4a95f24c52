//! Writes the seeds of each target into its corpus.

use std::{fs, io, path::Path};

use token_host_tests::fuzz;

fn main() -> io::Result<()> {
    for (target, seeds) in [
        ("config", fuzz::configs()),
        ("jwt", fuzz::jwts()),
        ("library", fuzz::libraries()),
        ("signed", fuzz::tokens()),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
