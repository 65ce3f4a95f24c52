//! Step 2: nobody but root and the host's own user may be able to change what gets loaded.

use std::{fs::Metadata, path::Path};

use super::refusal::RefusalReason;

/// Checks owner and permissions of an open file, and of each folder above it.
///
/// A folder that everybody may write to lets others replace or add files, so it is refused, with
/// one exception: further up, a folder with the sticky bit (`/tmp`) is fine, because there only its
/// owner may rename or remove our entry. In the file's own folder the bit does not help: others
/// could still drop in a plugin of theirs.
///
/// Folders are looked at by their real path, after symbolic links, and the file found there has to
/// be the very one that is open. Access control lists count as far as they show in the group bits,
/// which on Linux is where their mask is. Elsewhere than on Unix nothing is checked: there the
/// folder's access control list is what protects it.
#[cfg(unix)]
pub(super) fn check(path: &Path, file: &Metadata) -> Result<(), RefusalReason> {
    use std::{fs, os::unix::fs::MetadataExt};

    let user = rustix::process::geteuid().as_raw();
    check_one(path, file, user, Sticky::DoesNotHelp)?;

    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(RefusalReason::io("resolve its folder"))?;
    let mut sticky = Sticky::DoesNotHelp;
    for ancestor in folder.ancestors() {
        let metadata = fs::symlink_metadata(ancestor).map_err(RefusalReason::io("look at a folder above it"))?;
        check_one(ancestor, &metadata, user, sticky)?;
        sticky = Sticky::Helps;
    }

    // Without this, a folder swapped between `open` and here could vouch for a file elsewhere.
    let there = path.file_name().map(|name| fs::symlink_metadata(folder.join(name)));
    match there {
        Some(Ok(there)) if (there.dev(), there.ino()) == (file.dev(), file.ino()) => Ok(()),
        _ => Err(RefusalReason::ChangedWhileReading),
    }
}

#[cfg(not(unix))]
pub(super) fn check(_: &Path, _: &Metadata) -> Result<(), RefusalReason> {
    Ok(())
}

#[cfg(unix)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sticky {
    Helps,
    DoesNotHelp,
}

#[cfg(unix)]
fn check_one(what: &Path, metadata: &Metadata, user: u32, sticky: Sticky) -> Result<(), RefusalReason> {
    use std::os::unix::fs::MetadataExt;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY_BIT: u32 = 0o1000;

    let owner = metadata.uid();
    if owner != 0 && owner != user {
        return Err(RefusalReason::Owner { what: what.to_owned(), owner_uid: owner, expected_uid: user });
    }
    let mode = metadata.mode() & 0o7777;
    let excused = sticky == Sticky::Helps && mode & STICKY_BIT != 0;
    if mode & WRITABLE_BY_OTHERS != 0 && !excused {
        return Err(RefusalReason::WritableByOthers { what: what.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
        path::PathBuf,
    };

    use super::*;

    fn file_in(folder: &Path) -> PathBuf {
        let path = folder.join("libx.so");
        fs::write(&path, "x").unwrap();
        set_mode(&path, 0o644);
        path
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn check_now(path: &Path) -> Result<(), RefusalReason> {
        check(path, &fs::metadata(path).unwrap())
    }

    #[test]
    fn our_own_file_below_a_sticky_folder_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        set_mode(&inner, 0o755);
        let path = file_in(&inner);
        check_now(&path).unwrap();
        set_mode(folder.path(), 0o1777);
        check_now(&path).unwrap();
        set_mode(folder.path(), 0o777);
        assert!(matches!(check_now(&path), Err(RefusalReason::WritableByOthers { mode: 0o777, .. })));
    }

    #[test]
    fn a_file_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(folder.path());
        for mode in [0o646, 0o664, 0o777] {
            set_mode(&path, mode);
            let Err(RefusalReason::WritableByOthers { what, mode: found }) = check_now(&path) else {
                panic!("mode {mode:o} passed");
            };
            assert_eq!((what, found), (path.clone(), mode));
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_even_when_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(folder.path());
        for mode in [0o775, 0o757, 0o1777] {
            set_mode(folder.path(), mode);
            let Err(RefusalReason::WritableByOthers { what, .. }) = check_now(&path) else {
                panic!("mode {mode:o} passed");
            };
            assert_eq!(what, folder.path().canonicalize().unwrap());
        }
    }

    #[test]
    fn a_strangers_file_or_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(folder.path());
        let metadata = fs::metadata(&path).unwrap();
        let ours = rustix::process::geteuid().as_raw();
        if ours == 0 {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            assert!(matches!(check_now(&path), Err(RefusalReason::Owner { owner_uid: 12_345, .. })));
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
            std::os::unix::fs::chown(folder.path(), Some(12_345), None).unwrap();
            assert!(matches!(check_now(&path), Err(RefusalReason::Owner { owner_uid: 12_345, .. })));
        } else {
            // Not being root, we cannot give files away: so the check is told that we are another.
            let refused = check_one(&path, &metadata, ours + 1, Sticky::Helps);
            assert!(matches!(refused, Err(RefusalReason::Owner { .. })));
        }
    }

    #[test]
    fn a_folder_does_not_vouch_for_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(folder.path());
        let opened = fs::metadata(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "y").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(matches!(check(&path, &opened), Err(RefusalReason::ChangedWhileReading)));
    }
}
