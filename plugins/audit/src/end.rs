//! [`End`]: how a file ends, found out by reading its beginning and its end alone.

use std::io;

use token_audit_chain::{FORMAT, FileStart, Line, MAX_LINE_BYTES, Position, Seal};

/// How a file ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// There is no whole line in it.
    Nothing {
        /// A line that was not written to its end.
        torn: Vec<u8>,
    },
    /// In a line.
    Line {
        position: Position,
        /// The bytes until the end of that line.
        length: u64,
        /// What was written of the next one.
        torn: Vec<u8>,
        /// What the file's first line says.
        start: FileStart,
        /// Whether the lines are bound as ours are; else nobody here can tell whether this one is right.
        is_ours: bool,
    },
    /// In something that nobody can go on from.
    Damaged(&'static str),
}

impl End {
    /// Reads the end of a file of this length.
    pub(crate) fn read(length: u64, seal: &Seal, read: impl Fn(u64, u64) -> io::Result<Vec<u8>>) -> io::Result<Self> {
        let window = length.saturating_sub(WINDOW_BYTES);
        let end = read(window, length)?;
        let Some(line_break) = end.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(match window {
                0 if end.len() <= MAX_LINE_BYTES => Self::Nothing { torn: end },
                _ => Self::Damaged("its end is no line"),
            });
        };
        let (lines, torn) = (&end[..line_break], &end[line_break + 1..]);
        let last = match lines.iter().rposition(|byte| *byte == b'\n') {
            Some(before) => &lines[before + 1..],
            None if window == 0 => lines,
            None => return Ok(Self::Damaged("its last line is too long")),
        };
        let beginning = read(0, length.min(MAX_LINE_BYTES as u64 + 1))?;
        let first = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let Some(Ok(start)) = Line::read(first).ok().and_then(|line| line.file_start()) else {
            return Ok(Self::Damaged("its first line is not `file_started`"));
        };
        if start.format != FORMAT {
            return Ok(Self::Damaged("it is of another format"));
        }
        let is_ours = start.is_sealed_by(seal);
        Ok(match Line::read(last) {
            Ok(line) if !is_ours || line.is_sealed_by(seal) => Self::Line {
                position: line.position,
                length: window + line_break as u64 + 1,
                torn: torn.to_vec(),
                start,
                is_ours,
            },
            Ok(_) => Self::Damaged("the hash of its last line does not fit"),
            Err(_) => Self::Damaged("its last line is none"),
        })
    }
}

/// Room for a line of the greatest length, and for one that was not written to its end.
const WINDOW_BYTES: u64 = 2 * (MAX_LINE_BYTES as u64 + 1);

#[cfg(test)]
mod tests {
    use serde_json::json;
    use token_audit_chain::{FILE_STARTED, append};

    use super::*;

    fn end(text: &[u8], seal: &Seal) -> End {
        let read = |from: u64, to: u64| Ok(text[from as usize..to as usize].to_vec());
        End::read(text.len() as u64, seal, read).unwrap()
    }

    fn file(lines: usize) -> (Vec<u8>, Position) {
        let start = json!({ "file": 3, "format": 1, "chain": "sha256" });
        let mut text = Vec::new();
        let mut position = append(&mut text, &Seal::Plain, Position::START, 1, FILE_STARTED, &start).unwrap();
        for _ in 0..lines {
            position = append(&mut text, &Seal::Plain, position, 1, "token_used", &json!({ "x": 1 })).unwrap();
        }
        (text, position)
    }

    #[test]
    fn the_last_line_is_found_however_long_the_file_is() {
        for lines in [0, 1, 2, 50, 1000] {
            let (text, last) = file(lines);
            let End::Line { position, length, torn, start, is_ours } = end(&text, &Seal::Plain) else { panic!() };
            assert_eq!((position, length, torn, start.file, is_ours), (last, text.len() as u64, vec![], 3, true));
        }
    }

    #[test]
    fn every_torn_line_is_told_from_whole_ones() {
        let (text, last) = file(3);
        let (longer, _) = file(4);
        for cut in text.len() + 1..longer.len() {
            let End::Line { position, length, torn, .. } = end(&longer[..cut], &Seal::Plain) else { panic!() };
            assert_eq!((position, length, &*torn), (last, text.len() as u64, &longer[text.len()..cut]));
        }
        let (start, _) = file(0);
        for cut in 0..start.len() {
            assert_eq!(end(&start[..cut], &Seal::Plain), End::Nothing { torn: start[..cut].to_vec() });
        }
    }

    #[test]
    fn the_lines_of_another_key_are_not_judged() {
        let (text, last) = file(2);
        let key = Seal::keyed(&[1; 32]).unwrap();
        let End::Line { position, is_ours, .. } = end(&text, &key) else { panic!() };
        assert_eq!((position, is_ours), (last, false));
    }

    #[test]
    fn nobody_goes_on_from_what_is_damaged() {
        let (text, _) = file(2);
        let damaged = |text: &[u8]| match end(text, &Seal::Plain) {
            End::Damaged(why) => why,
            other => panic!("{other:?}"),
        };
        let changed = String::from_utf8(text.clone()).unwrap();
        let (rest, last) = changed.trim_end().rsplit_once('\n').unwrap();
        let other = format!("{rest}\n{}\n", last.replace("\"x\":1", "\"x\":2"));
        assert_eq!(damaged(other.as_bytes()), "the hash of its last line does not fit");
        assert_eq!(damaged(&[&text[..], b"{}\n"].concat()), "its last line is none");
        assert_eq!(damaged(&[&text[..], &vec![0; 40_000]].concat()), "its end is no line");
        assert_eq!(damaged(&[&text[..], &vec![b'x'; 40_000], b"\n"].concat()), "its last line is too long");
        assert_eq!(damaged(format!("{last}\n").as_bytes()), "its first line is not `file_started`");
        assert_eq!(damaged(b"something else\n"), "its first line is not `file_started`");
        assert_eq!(damaged(&[0; 20_000]), "its end is no line");
    }
}
