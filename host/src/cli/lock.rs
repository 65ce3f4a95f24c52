//! `token-host lock`: writes `plugins.lock`, the list of the plugin files that may be loaded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
};

use serde_json::json;
use token_host::admit::{Lock, LockedFile};

use super::{builder, exit::Failure, output::Output};

/// Writes the lock, and says what is another than before. Nothing of the files is executed.
pub(crate) fn run(config: &Path, output: &Output) -> Result<(), Failure> {
    let (path, lock) = builder(config).lock()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let before = fs::read_to_string(&path).ok().and_then(|text| Lock::parse(folder, &text).ok());
    write(folder, &path, &lock)
        .map_err(|error| Failure::Arguments(format!("cannot write {}: {error}", path.display())))?;
    let changes = changes(before.as_ref(), &lock);
    if output.is_json() {
        let files: Vec<&str> = lock.files().map(|locked| locked.file.as_str()).collect();
        return output.json(&json!({ "lock": path.display().to_string(), "files": files, "changes": changes }));
    }
    for change in &changes {
        output.line(change)?;
    }
    output.line(&format!("{}: {} files locked", path.display(), lock.files().count()))
}

/// Whole, or not at all.
fn write(folder: &Path, path: &Path, lock: &Lock) -> std::io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there the folder's rights decide"))]
    let mut file = tempfile::Builder::new();
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = file.tempfile_in(folder)?;
    file.write_all(lock.to_string().as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn changes(before: Option<&Lock>, after: &Lock) -> Vec<String> {
    fn by_name(lock: &Lock) -> BTreeMap<&str, &LockedFile> {
        lock.files().map(|locked| (locked.file.as_str(), locked)).collect()
    }
    let (before, after) = (before.map(by_name).unwrap_or_default(), by_name(after));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let shown = |file: &LockedFile| format!("{} {}", file.version, file.sha256);
    let change = |name: &str| match (before.get(name), after.get(name)) {
        (Some(before), Some(after)) if before == after => None,
        (Some(before), Some(after)) => Some(format!("{name}: {}, was {}", shown(after), shown(before))),
        (None, Some(after)) => Some(format!("{name}: {}, was not locked", shown(after))),
        (Some(_), None) => Some(format!("{name}: is not locked any more")),
        (None, None) => None,
    };
    names.into_iter().filter_map(change).collect()
}
