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
        let place = |rows: &[PluginRow], row: &PluginRow| {
            rows.iter().filter(|other| other.kind == row.kind).position(|other| is_same(other, row))
        };
        let mut changes = Vec::new();
        for row in &old.rows {
            if place(&new.rows, row).is_none() {
                changes.push(format!("{} was removed", label(row)));
            }
        }
        for row in &new.rows {
            let now = place(&new.rows, row).unwrap_or_default();
            let Some(before) = place(&old.rows, row) else {
                changes.push(format!("{} was added as {}", label(row), ordinal(now)));
                continue;
            };
            if before != now {
                changes.push(format!("{} moved from {} to {}", label(row), ordinal(before), ordinal(now)));
            }
            let earlier = old.rows.iter().find(|other| is_same(other, row));
            if earlier.is_some_and(|earlier| earlier.generation != row.generation) {
                let file_changed = earlier.is_some_and(|earlier| earlier.sha256 != row.sha256);
                let how =
                    if file_changed { "was replaced by another file" } else { "was made anew with other settings" };
                changes.push(format!("{} {how}", label(row)));
            }
        }
        Self { generation: new.generation, changes }
    }
}

fn is_same(one: &PluginRow, other: &PluginRow) -> bool {
    one.kind == other.kind && one.name == other.name && one.plugin == other.plugin
}

fn label(row: &PluginRow) -> String {
    format!("{} \"{}\"", row.kind, row.name)
}
