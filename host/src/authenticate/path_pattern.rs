//! [`PathPattern`]: the paths that a rule is for, and what of a path is too ambiguous to be looked up.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use super::credentials::decoded;

/// A path: segments that are as written, or any (`{name}`); with a last `*`: whatever follows, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    parts: Vec<Part>,
    is_open: bool,
}

/// Whether a path is one of a pattern's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit<'s> {
    /// It is. Its parts, by their names.
    Yes(BTreeMap<&'s str, &'s str>),
    No,
    /// To a server that takes letters in either case for the same, leaves out what stands behind a `;`, or reads escapes
    /// once more.
    Perhaps,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Exact(Segment),
    /// Whatever is there, by this name.
    Any(String),
}

/// A segment of a path, without escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    text: String,
    /// What all have in common that some server takes for the same: letters are in lower case; nothing is behind `;`, nor
    /// behind an escaped `?` or `#`, which ends it where escapes are read once more; and Datasette's own escapes, `~2F` and
    /// a plus for a space, are read.
    plain: String,
}

impl Segment {
    fn new(text: String) -> Self {
        let escaped = text.replace('~', "%");
        let read = decoded(&escaped).unwrap_or_else(|| Cow::Owned(escaped.replace('+', " ")));
        let end = read.find([';', '?', '#']).unwrap_or(read.len());
        let plain = read[..end].to_ascii_lowercase();
        Self { text, plain }
    }
}

impl PathPattern {
    /// The names of its parts.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Any(name) => Some(name.as_str()),
            Part::Exact(_) => None,
        })
    }

    /// Whether a path is one of these.
    pub(super) fn fit<'s>(&'s self, segments: &'s [Segment]) -> Fit<'s> {
        let is_right_length = match self.is_open {
            true => segments.len() >= self.parts.len(),
            false => segments.len() == self.parts.len(),
        };
        if !is_right_length {
            return Fit::No;
        }
        let (mut captured, mut is_sure) = (BTreeMap::new(), true);
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Exact(wanted) if wanted.text == segment.text => {}
                Part::Exact(wanted) if wanted.plain == segment.plain => is_sure = false,
                Part::Exact(_) => return Fit::No,
                Part::Any(name) => {
                    is_sure &= !segment.text.contains(';');
                    captured.insert(name.as_str(), segment.text.as_str());
                }
            }
        }
        if is_sure { Fit::Yes(captured) } else { Fit::Perhaps }
    }
}

impl FromStr for PathPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be a path from `/` on, of segments that are plain text or `{name}`, and `*` only as the \
             last one";
        let (path, is_open) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        let written = match (path, is_open) {
            ("", true) => Vec::new(),
            _ => split(path).ok_or(EXPECTED)?,
        };
        let mut names = Vec::new();
        let mut read = Vec::with_capacity(written.len());
        for segment in written {
            match part_name(&segment.text) {
                Some(name) if !name.is_empty() && !names.contains(&name.to_owned()) => {
                    names.push(name.to_owned());
                    read.push(Part::Any(name.to_owned()));
                }
                None if !segment.text.contains(['*', '{', '}', '?', '#']) => read.push(Part::Exact(segment)),
                _ => return Err(EXPECTED),
            }
        }
        Ok(Self { parts: read, is_open })
    }
}

/// The segments of a request's path, without escapes; the `/` that may end it counts for nothing. `None`: programs may
/// take it for different paths.
pub(super) fn segments(path: &str) -> Option<Vec<Segment>> {
    // The path ends there, to some.
    let has_end_within = path.contains(['#', ' ']);
    if has_end_within { None } else { split(path) }
}

fn split(path: &str) -> Option<Vec<Segment>> {
    let rest = path.strip_prefix('/')?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        // `//` has lost its end, and is another thing than `/`.
        return (path == "/").then(Vec::new);
    }
    rest.split('/').map(segment).collect()
}

fn segment(written: &str) -> Option<Segment> {
    // A plus is one: only queries have it for a space, and Datasette's paths.
    let escaped = written.replace('+', "%2B");
    let segment = decoded(&escaped)?.into_owned();
    let is_dots = matches!(segment.as_str(), "" | "." | "..");
    let is_unruly = segment.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'));
    // To a program that reads escapes twice it is another segment.
    let is_escaped_again = segment.as_bytes().windows(3).any(is_escape);
    let is_dots_with_parameter = matches!(without_parameters(&segment), "" | "." | "..");
    (!is_dots && !is_unruly && !is_escaped_again && !is_dots_with_parameter).then(|| Segment::new(segment))
}

fn is_escape(three: &[u8]) -> bool {
    matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// What stands behind `;` is no part of the path to some servers.
fn without_parameters(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(bare, _)| bare)
}

/// `name` of `{name}`.
pub(super) fn part_name(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_strictly() {
        for bad in ["", "a", "/a//b", "/a*", "/*/a", "/{a}/{a}", "/{}", "/a{b}", "/..", "/a?b"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad}");
        }
        let fits = |pattern: &str, path: &str| {
            matches!(pattern.parse::<PathPattern>().unwrap().fit(&segments(path).unwrap()), Fit::Yes(_))
        };
        assert!(fits("/*", "/") && fits("/*", "/a") && fits("/", "/") && !fits("/", "/a"));
        assert!(fits("/a;b", "/a;b") && !fits("/a;b", "/a"));
    }
}
