//! [`Reload`]: what a reload changed, in words.

use crate::{
    order::ordinal,
    registry::{PluginRow, Registry},
};

/// What a reload changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reload {
    /// The generation that it made.
    pub generation: u64,
    /// The differences in call order: `handler "jwt" moved from 3rd to 1st`.
    pub changes: Vec<String>,
}

impl Reload {
    pub(crate) fn between(old: &Registry, new: &Registry) -> Self {
        let lines = |registry: &Registry| registry.rows.iter().map(Line::of_row).collect::<Vec<_>>();
        Self { generation: new.generation, changes: differences(&lines(old), &lines(new)) }
    }
}

/// One line of a listing in call order, as far as a difference tells of it.
pub(crate) struct Line {
    /// What it is, and whose: two lines with the same are the same thing before and after.
    pub(crate) label: String,
    pub(crate) plugin: String,
    pub(crate) kind: &'static str,
    pub(crate) sha256: Option<String>,
    /// What differs when it is not the same instance.
    pub(crate) made: String,
}

impl Line {
    fn of_row(row: &PluginRow) -> Self {
        Self {
            label: format!("{} \"{}\"", row.kind, row.name),
            plugin: row.plugin.clone(),
            kind: row.kind,
            sha256: row.sha256.clone(),
            made: row.generation.to_string(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.label == other.label && self.plugin == other.plugin
    }

    /// Its place among its kind.
    fn place(&self, lines: &[Self]) -> Option<usize> {
        lines.iter().filter(|line| line.kind == self.kind).position(|line| line.is_same(self))
    }
}

/// What is removed, added, at another place, or made anew.
pub(crate) fn differences(old: &[Line], new: &[Line]) -> Vec<String> {
    let removed = old.iter().filter(|line| line.place(new).is_none());
    let mut changes: Vec<String> = removed.map(|line| format!("{} was removed", line.label)).collect();
    for line in new {
        let label = &line.label;
        let now = line.place(new).unwrap_or_default();
        let Some(before) = line.place(old) else {
            changes.push(format!("{label} was added as {}", ordinal(now)));
            continue;
        };
        if before != now {
            changes.push(format!("{label} moved from {} to {}", ordinal(before), ordinal(now)));
        }
        let earlier = old.iter().find(|earlier| earlier.is_same(line));
        if let Some(earlier) = earlier.filter(|earlier| earlier.made != line.made) {
            let how = match earlier.sha256 == line.sha256 {
                true => "was made anew with other settings",
                false => "was replaced by another file",
            };
            changes.push(format!("{label} {how}"));
        }
    }
    changes
}
