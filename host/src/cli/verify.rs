//! `token-host verify`: one token, or one a line.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use clap::Args;
use serde::Serialize;
use token_host::{Actor, Host, Reason, ReasonKind, RequestContext, Verdict, Verification};

use super::{
    exit::Failure,
    host,
    output::{Output, answers, json_text, unless_unread},
};

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The token, or `-` to read one a line from stdin and answer each with one JSON object a line.
    /// Other users of the machine can see a command's arguments: prefer `-` where that matters
    #[arg(allow_hyphen_values = true)]
    token: String,
}

/// A line of answer.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Answer {
    Accepted {
        #[serde(skip_serializing_if = "Option::is_none")]
        handler: Option<String>,
        actor: Actor,
    },
    Rejected {
        #[serde(skip_serializing_if = "Option::is_none")]
        handler: Option<String>,
        reason: String,
    },
    NotRecognized,
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        plugin: Option<String>,
        reason: String,
    },
}

impl From<Verification> for Answer {
    fn from(verification: Verification) -> Self {
        let Verification { handler, plugin, verdict, .. } = verification;
        match verdict {
            Ok(Verdict::Accepted(actor)) => Self::Accepted { handler, actor },
            Ok(Verdict::Rejected(reason)) => Self::Rejected { handler, reason: reason.to_string() },
            Ok(Verdict::NotRecognized) => Self::NotRecognized,
            Err(error) => {
                Self::Error { plugin: plugin.or(error.plugin().map(str::to_owned)), reason: error.to_string() }
            }
        }
    }
}

impl Verify {
    /// Prints the actor, or an answer a line. The exit code tells of a single token what became of
    /// it; for a stream it is 0 once every line is answered.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let host = host(config, output)?;
        if self.token == "-" {
            // It may run for long, so it takes up what changes.
            let watch = host.watch()?;
            #[cfg(unix)]
            let _watch = watch.reload_on_hangup()?;
            #[cfg(not(unix))]
            let _watch = watch;
            return stream(&host);
        }
        let verification = host.verify_blocking(&self.token, &RequestContext::default());
        if output.is_json() {
            output.json(&Answer::from(verification.clone()))?;
        }
        match verification.verdict? {
            Verdict::Accepted(_) if output.is_json() => Ok(()),
            Verdict::Accepted(actor) => output.json(&actor),
            Verdict::Rejected(reason) => Err(Failure::No(reason.to_string())),
            Verdict::NotRecognized => Err(Failure::No("no handler recognizes the token".to_owned())),
        }
    }
}

fn stream(host: &Host) -> Result<(), Failure> {
    let mut lines = BufReader::with_capacity(64 * 1024, io::stdin().lock());
    let mut answers = BufWriter::with_capacity(64 * 1024, answers());
    let mut line = Vec::new();
    while next_line(&mut lines, &mut line, host.max_token_bytes())
        .map_err(|error| Failure::Arguments(format!("cannot read stdin: {error}")))?
    {
        let answer = match std::str::from_utf8(&line) {
            _ if line.len() > host.max_token_bytes() => rejected(host.too_long()),
            Ok(token) => host.verify_blocking(token, &RequestContext::default()).into(),
            Err(_) => rejected(Reason::new(ReasonKind::Malformed, "token is not UTF-8")),
        };
        // As a whole: an actor whose claims cannot be written has its answer, too, and so have the lines behind it.
        let text = json_text(&answer).or_else(|error| json_text(&unwritable(&error)));
        let text = text.map_err(|error| Failure::Arguments(error.to_string()))?;
        unless_unread(answers.write_all(text.as_bytes()).and_then(|()| answers.write_all(b"\n")))?;
        // Whoever waits for the answer before the next line gets it; a long pipe is not slowed down.
        if !lines.buffer().contains(&b'\n') {
            unless_unread(answers.flush())?;
        }
    }
    unless_unread(answers.flush())
}

fn unwritable(error: &serde_json::Error) -> Answer {
    Answer::Error { plugin: None, reason: format!("the actor cannot be written: {error}") }
}

fn rejected(reason: Reason) -> Answer {
    Answer::Rejected { handler: None, reason: reason.to_string() }
}

/// Reads a line without its end. Of a line that is too long one byte more than the limit is kept.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    line.clear();
    // A token as long as the limit, and the end of its line.
    let whole = limit as u64 + 1;
    if input.take(whole).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > limit {
        skip_line(input)?;
    }
    Ok(true)
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(used);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_limit_and_the_next_line_is_whole() {
        let mut input = &b"abc\n\nabcd\nabcdefghij\nx"[..];
        let mut line = Vec::new();
        let mut read = Vec::new();
        while next_line(&mut input, &mut line, 3).unwrap() {
            read.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(read, ["abc", "", "abcd", "abcd", "x"]);
    }
}
