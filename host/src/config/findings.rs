//! What is wrong with a configuration, and where: each finding names its file, line, column and plugin.

use std::fmt;
use std::path::PathBuf;

/// Where a configuration came from, as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A file, by the path it was asked for.
    File(PathBuf),
    /// Text that the embedder handed over; shown as `<string>`.
    Text,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Text => formatter.write_str("<string>"),
        }
    }
}

/// A place in the configuration's text. Shown as `12:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters (not bytes), as editors count.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Something the operator may want to know: a secret was made.
    Notice,
    /// It works, and is probably not what was meant, or not safe.
    Warning,
    /// The host refuses to start.
    Error,
}

/// One thing to say about a configuration. Holds names, places and what was expected, never a secret.
///
/// Shown as `plugins.toml:12:3: plugin "signed": unknown key ...`; a warning or notice says so after the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file (or `<string>`) that it was found in.
    pub origin: Option<String>,
    /// Where in that text.
    pub place: Option<Place>,
    /// The `[[plugin]]` entry that it is about, by name.
    pub plugin: Option<String>,
    /// What was found and what was expected.
    pub message: String,
    /// Whether the host can start all the same.
    pub severity: Severity,
}

impl Finding {
    /// An error about the whole of `origin`: no place, no plugin. Set these fields where they are known.
    pub fn error(origin: &Origin, message: impl Into<String>) -> Self {
        Self {
            origin: Some(origin.to_string()),
            place: None,
            plugin: None,
            message: message.into(),
            severity: Severity::Error,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.place) {
            (Some(origin), Some(place)) => write!(formatter, "{origin}:{place}: ")?,
            (Some(origin), None) => write!(formatter, "{origin}: ")?,
            (None, Some(place)) => write!(formatter, "{place}: ")?,
            (None, None) => {}
        }
        match self.severity {
            Severity::Error => {}
            Severity::Warning => formatter.write_str("warning: ")?,
            Severity::Notice => formatter.write_str("notice: ")?,
        }
        if let Some(plugin) = &self.plugin {
            write!(formatter, "plugin {plugin:?}: ")?;
        }
        formatter.write_str(&self.message)
    }
}

/// Everything found in a configuration that was refused: its errors, and its warnings beside them. Never empty.
///
/// Shown one finding a line, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// All of `findings`, or `None` when there is nothing to say.
    pub fn from_list(findings: Vec<Finding>) -> Option<Self> {
        (!findings.is_empty()).then_some(Self(findings))
    }

    /// The findings, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(formatter, "{line_break}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_file_place_severity_and_plugin() {
        let mut finding = Finding::error(&Origin::File("plugins.toml".into()), "unknown key `secrt`");
        assert_eq!(finding.to_string(), "plugins.toml: unknown key `secrt`");
        finding.place = Some(Place { line: 12, column: 3 });
        finding.plugin = Some("signed".to_owned());
        assert_eq!(finding.to_string(), r#"plugins.toml:12:3: plugin "signed": unknown key `secrt`"#);
        finding.severity = Severity::Warning;
        assert_eq!(finding.to_string(), r#"plugins.toml:12:3: warning: plugin "signed": unknown key `secrt`"#);
    }

    #[test]
    fn findings_are_one_a_line_and_never_none() {
        assert_eq!(Findings::from_list(Vec::new()), None);
        let two = vec![Finding::error(&Origin::Text, "one"), Finding::error(&Origin::Text, "two")];
        assert_eq!(Findings::from_list(two).unwrap().to_string(), "<string>: one\n<string>: two");
    }
}
