//! `plugins.lock`: where it lies, and its reading.

use std::path::{Path, PathBuf};

use super::{Finding, Findings, MAX_CONFIG_BYTES, Origin, bounded_file};
use crate::admit::Lock;

/// The lock of a configuration: beside it, with the ending `lock`.
pub(crate) fn path_of(config: &Path) -> PathBuf {
    config.with_extension("lock")
}

/// Reads the lock of a configuration; `None` when there is none.
///
/// # Errors
///
/// When there is one that cannot be read: then nobody can tell what may be loaded.
pub(crate) fn read(config: &Path) -> Result<Option<Lock>, Findings> {
    let path = path_of(config);
    // A configuration that itself ends in `lock`.
    if path == config {
        return Ok(None);
    }
    let refuse =
        |problem: String| Finding::error(&Origin::File(path.clone()), format!("cannot read the lock: {problem}"));
    let bytes = match bounded_file::read(&path, MAX_CONFIG_BYTES) {
        Ok((bytes, _)) => bytes,
        Err(bounded_file::Problem::Missing) => return Ok(None),
        Err(problem) => return Err(refuse(problem.to_string()).into()),
    };
    let text = str::from_utf8(&bytes).map_err(|_| refuse("expected UTF-8 text".to_owned()))?;
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Lock::parse(folder, text).map(Some).map_err(|problem| refuse(problem).into())
}
