//! `token-host audit verify`: whether audit files are what the audit plugin wrote.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use token_audit_chain::{Broken, Findings, Hash, Seal, Unverified, Verification};
use zeroize::Zeroizing;

use super::{exit::Failure, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify that no line of audit files was changed, removed, put in or moved
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    /// The files, oldest first, as in `audit.jsonl.* audit.jsonl`; `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// A file with the key that the lines are bound with; may be given several times. Then a file without a key is no
    /// good one
    #[arg(long, value_name = "PATH")]
    key_file: Vec<PathBuf>,

    /// The same from an environment variable
    #[arg(long, value_name = "NAME")]
    key_env: Vec<String>,

    /// The first line must follow the one with this hash
    #[arg(long, value_name = "HASH", value_parser = hash)]
    after: Option<Hash>,

    /// There must be a line with this hash, which was noted earlier; may be given several times
    #[arg(long, value_name = "HASH", value_parser = hash)]
    contains: Vec<Hash>,

    /// The last line must have this hash
    #[arg(long, value_name = "HASH", value_parser = hash)]
    expect_last: Option<Hash>,
}

impl Audit {
    /// Says of what was verified what there is to know, and where it is not right.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let Command::Verify(verify) = self.command;
        let mut verification = verify.verification()?;
        let ended = verify.files.iter().try_for_each(|path| read(&mut verification, path));
        let broken = match ended.and_then(|()| verification.finish()) {
            Ok(()) => None,
            Err(Unverified::Broken(broken)) => Some(broken),
            Err(needs_key @ Unverified::NeedsKey { .. }) => {
                return Err(Failure::Arguments(printable(&format!("{needs_key}, by `--key-file` or `--key-env`"))));
            }
            Err(other) => return Err(Failure::Arguments(printable(&other.to_string()))),
        };
        let findings = verification.findings();
        match output.is_json() {
            true => output.json(&Answer { good: broken.is_none(), broken: broken.as_ref(), findings })?,
            false => tell(findings, output)?,
        }
        broken.map_or(Ok(()), |broken| Err(Failure::No(printable(&broken.to_string()))))
    }
}

impl Verify {
    fn verification(&self) -> Result<Verification, Failure> {
        let from_files = self.key_file.iter().map(|path| {
            let unusable =
                |why: String| Failure::Arguments(format!("the key in {} cannot be used: {why}", path.display()));
            let text = key_text(path).map_err(|error| unusable(error.to_string()))?;
            Seal::keyed(text.trim_end_matches(['\n', '\r']).as_bytes()).map_err(|short| unusable(short.to_string()))
        });
        let from_variables = self.key_env.iter().map(|name| {
            let unusable =
                |why: &str| Failure::Arguments(format!("the key in the variable `{name}` cannot be used: {why}"));
            let text = std::env::var(name).map(Zeroizing::new).map_err(|error| unusable(&error.to_string()))?;
            Seal::keyed(text.as_bytes()).map_err(|short| unusable(&short.to_string()))
        });
        let keys = from_files.chain(from_variables).collect::<Result<_, _>>()?;
        let mut verification = Verification::default().with_keys(keys);
        if let Some(hash) = self.after {
            verification = verification.after(hash);
        }
        if let Some(hash) = self.expect_last {
            verification = verification.ending_with(hash);
        }
        Ok(self.contains.iter().fold(verification, |verification, hash| verification.containing(*hash)))
    }
}

fn key_text(path: &Path) -> io::Result<Zeroizing<String>> {
    const MAX_BYTES: u64 = 64 * 1024;
    // Allocated once: a buffer that grew would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| "expected 64 hex digits in lower case".to_owned())
}

fn read(verification: &mut Verification, path: &Path) -> Result<(), Unverified> {
    let name = path.display().to_string();
    let file: Box<dyn BufRead> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => match File::open(path) {
            Ok(file) => Box::new(BufReader::with_capacity(BUFFER_BYTES, file)),
            Err(error) => return Err(Unverified::Unreadable { file: name, error }),
        },
    };
    verification.file(&name, file)
}

#[derive(Serialize)]
struct Answer<'a> {
    good: bool,
    broken: Option<&'a Broken>,
    #[serde(flatten)]
    findings: &'a Findings,
}

fn tell(findings: &Findings, output: &Output) -> Result<(), Failure> {
    for warning in &findings.warnings {
        output.note(&printable(&format!("warning: {warning}")));
    }
    if findings.more_warnings > 0 {
        output.note(&format!("and {} more warnings", findings.more_warnings));
    }
    output.line(&format!("{:9} {} good, {} files to their end", "lines", findings.lines, findings.files))?;
    let (Some(first), Some(last)) = (&findings.first, &findings.last) else { return Ok(()) };
    let [from, to] = [findings.earliest_at, findings.latest_at].map(|time| date_time(time.unwrap_or_default()));
    output.line(&format!("{:9} {from} to {to}", "time"))?;
    if first.sequence > 1 {
        output.line(&format!("{:9} {}, after the hash {}", "first", first.sequence, first.previous))?;
    }
    output.line(&format!("{:9} {}, with the hash {}", "last", last.sequence, last.hash))
}

/// Names of files and texts in them must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The date and time (RFC 3339, UTC) of Unix seconds, for people; in years after 9999 the number.
fn date_time(unix_seconds: u64) -> String {
    if unix_seconds >= YEAR_10000 {
        return format!("{unix_seconds} s");
    }
    let (days, seconds) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Years begin in March here, so that leap days come last; 400 of them have 146,097 days. Day 0 is 0000-03-01.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

const YEAR_10000: u64 = 253_402_300_800;
/// Reading costs less than hashing then.
const BUFFER_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d @SECONDS +%FT%TZ
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (YEAR_10000 - 1, "9999-12-31T23:59:59Z"),
            (YEAR_10000, "253402300800 s"),
            (u64::MAX, "18446744073709551615 s"),
        ] {
            assert_eq!(date_time(seconds), expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let days_of = |year: u64, month: u64| match month {
            2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..YEAR_10000 / 86_400 {
            assert_eq!(date_time(days * 86_400), format!("{year:04}-{month:02}-{day:02}T00:00:00Z"));
            day += 1;
            if day > days_of(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
