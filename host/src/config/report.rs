//! The list that findings are collected in while one text is read: it turns byte offsets into places.

use std::ops::Range;

use super::{Finding, Findings, Origin, Place, Severity};

/// Collects what is found in one text, so that all of it is reported and not just the first.
pub(super) struct Report<'t> {
    origin: &'t Origin,
    text: &'t str,
    /// The byte at which each line begins.
    line_starts: Vec<usize>,
    /// The bytes that continue a character. With them a column is two searches, however long its line is.
    continuations: Vec<usize>,
    /// The entry being read; findings are about it until it is set anew.
    pub(super) plugin: Option<String>,
    findings: Vec<Finding>,
}

impl<'t> Report<'t> {
    pub(super) fn new(origin: &'t Origin, text: &'t str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let continues = |at: &usize| !text.is_char_boundary(*at);
        let continuations = (0..text.len()).filter(continues).collect();
        Self { origin, text, line_starts, continuations, plugin: None, findings: Vec::new() }
    }

    /// The place of the first byte of `span`.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let at = span.start.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts[line - 1]; // `line` is at least 1, for the first line starts at byte 0
        let continuations_before = |end: usize| self.continuations.partition_point(|byte| *byte < end);
        let column = 1 + (at - start) - (continuations_before(at) - continuations_before(start));
        Place { line, column }
    }

    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.add(Severity::Error, Some(place), message.into());
    }

    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.add(Severity::Warning, Some(place), message.into());
    }

    pub(super) fn notice(&mut self, place: Place, message: impl Into<String>) {
        self.add(Severity::Notice, Some(place), message.into());
    }

    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The warnings and notices, or everything when there is an error among them; by place in the text.
    pub(super) fn finish(mut self) -> Result<Vec<Finding>, Findings> {
        self.findings.sort_by_key(|finding| finding.place);
        match self.has_errors() {
            false => Ok(self.findings),
            true => Err(Findings(self.findings)),
        }
    }

    fn add(&mut self, severity: Severity, place: Option<Place>, message: String) {
        let (origin, plugin) = (Some(self.origin.to_string()), self.plugin.clone());
        self.findings.push(Finding { origin, place, plugin, message: one_line(message), severity });
    }
}

/// Some messages name what the text does (a path, say), which may have been copied from anywhere: a finding stays one
/// line all the same, and tells a terminal nothing.
fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let shown = |letter: char| if letter.is_control() { letter.escape_debug().collect() } else { String::from(letter) };
    message.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let report = Report::new(&Origin::Text, "a = 'ü' # ü\r\n\nkey = 1");
        assert_eq!(report.place(&(0..1)), Place { line: 1, column: 1 });
        assert_eq!(report.place(&(9..10)), Place { line: 1, column: 9 });
        assert_eq!(report.place(&(16..19)), Place { line: 3, column: 1 });
        assert_eq!(report.place(&(99..99)), Place { line: 3, column: 8 }, "past the end: the end");
    }

    #[test]
    fn findings_come_in_the_order_of_the_text_and_an_error_brings_all() {
        let mut report = Report::new(&Origin::Text, "a\nb");
        report.warning(Place { line: 2, column: 1 }, "second");
        report.notice(Place { line: 1, column: 1 }, "first");
        assert_eq!(report.finish().unwrap().len(), 2);

        let mut report = Report::new(&Origin::Text, "a\nb");
        report.plugin = Some("x".to_owned());
        report.error(Place { line: 2, column: 1 }, "second");
        report.warning(Place { line: 1, column: 1 }, "first");
        let shown = report.finish().unwrap_err().to_string();
        assert_eq!(shown, "<string>:1:1: warning: plugin \"x\": first\n<string>:2:1: plugin \"x\": second");
    }

    #[test]
    fn a_finding_is_one_line_whatever_it_names() {
        let mut report = Report::new(&Origin::Text, "");
        report.error(Place { line: 1, column: 1 }, "the file \"a\nb\u{1b}[2J\u{85}\" is missing");
        let shown = report.finish().unwrap_err().to_string();
        assert_eq!(shown, r#"<string>:1:1: the file "a\nb\u{1b}[2J\u{85}" is missing"#);
    }
}
