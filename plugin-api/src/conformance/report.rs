//! [`Report`]: what a run of the suite found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run of the suite found. As text it has a line for each check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Each check, in the order in which they ran.
    pub checks: Vec<Check>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// The check's name: see the [table of them](super).
    pub name: String,
    /// The handler or the token generator that it is about; none: the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How it went.
    pub outcome: Outcome,
}

/// How a check went. Exhaustive: whoever reads a report must not take a fourth way for a good one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What it expects is so.
    Passed,
    /// It is not so: in which way.
    Failed(String),
    /// It does not apply: why.
    Skipped(String),
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A check begins.
    Begun {
        /// See [`Check::name`].
        name: &'a str,
        /// See [`Check::subject`].
        subject: Option<&'a str>,
    },
    /// The check that had begun has ended.
    Ended(&'a Check),
}

impl Report {
    /// A report of these checks: for whoever runs the suite in another process, and puts the report together.
    pub fn new(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// Whether there were checks, and none failed.
    pub fn is_good(&self) -> bool {
        !self.checks.is_empty() && self.failures().next().is_none()
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed(_)))
    }

    /// For tests.
    ///
    /// # Panics
    ///
    /// Unless the report is good: with every check that failed.
    #[track_caller]
    pub fn assert_good(&self) {
        let failures: Vec<_> = self.failures().map(|check| format!("\n  {check}")).collect();
        assert!(self.is_good(), "the plugin does not conform:{}", failures.concat());
    }
}

impl Check {
    /// A check of this name, about the plugin as a whole or one of its parts.
    pub fn new(name: impl Into<String>, subject: Option<&str>, outcome: Outcome) -> Self {
        Self { name: name.into(), subject: subject.map(str::to_owned), outcome }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checks.iter().try_for_each(|check| writeln!(f, "{check}"))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcome, why) = match &self.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(why) => ("failed", Some(why)),
            Outcome::Skipped(why) => ("skipped", Some(why)),
        };
        write!(f, "{outcome} {}", self.name)?;
        if let Some(subject) = &self.subject {
            // A name may be what is wrong.
            write!(f, " of `{}`", subject.escape_debug())?;
        }
        why.map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// What a check's code answers.
pub(super) type Checked<T = ()> = Result<T, Stop>;

/// Why a check goes no further. Unlike an [`Outcome`] it cannot say that all is well.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(String),
    Skipped(String),
}

pub(super) fn failed<T>(why: impl Into<String>) -> Checked<T> {
    Err(Stop::Failed(why.into()))
}

pub(super) fn skipped<T>(why: impl Into<String>) -> Checked<T> {
    Err(Stop::Skipped(why.into()))
}

impl From<Checked> for Outcome {
    fn from(checked: Checked) -> Self {
        match checked {
            Ok(()) => Self::Passed,
            Err(Stop::Failed(why)) => Self::Failed(why),
            Err(Stop::Skipped(why)) => Self::Skipped(why),
        }
    }
}
