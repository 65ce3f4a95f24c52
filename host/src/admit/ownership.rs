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

    const WRITABLE_BY_GROUP: u32 = 0o020;
    const WRITABLE_BY_EVERYBODY: u32 = 0o002;
    const STICKY_BIT: u32 = 0o1000;

    let owner = metadata.uid();
    if owner != 0 && owner != user {
        return Err(RefusalReason::Owner { what: what.to_owned(), owner_uid: owner, expected_uid: user });
    }
    let mode = metadata.mode() & 0o7777;
    let excused = sticky == Sticky::Helps && mode & STICKY_BIT != 0;
    let by_others = mode & WRITABLE_BY_EVERYBODY != 0
        || mode & WRITABLE_BY_GROUP != 0 && !is_private_group(metadata.gid(), user, &groups());
    if by_others && !excused {
        return Err(RefusalReason::WritableByOthers { what: what.to_owned(), mode });
    }
    Ok(())
}

#[cfg(unix)]
fn groups() -> String {
    std::fs::read_to_string("/etc/group").unwrap_or_default()
}

/// Whether a group is the user's alone, so that "writable by the group" means "writable by the user".
///
/// Distributions that give each user a group of the same number also give them the umask 002, under
/// which every file they make is writable by that group.
#[cfg(unix)]
fn is_private_group(group: u32, user: u32, groups: &str) -> bool {
    let has_no_members = |line: &str| {
        let mut fields = line.split(':').skip(2);
        fields.next().is_some_and(|number| number.parse() == Ok(group)) && fields.next() == Some("")
    };
    user != 0 && group == user && groups.lines().any(has_no_members)
}

/// [`check`] for a file that is only to be relied on: it and each folder above it are root's or the host's user's.
pub(crate) fn check_path(path: &Path) -> Result<(), RefusalReason> {
    check(path, &std::fs::metadata(path).map_err(RefusalReason::io("ask whose it is"))?)
}

/// A folder by its real path, when nobody but root and the host's user can put anything into it. `own`: whether it is
/// the folder itself that is to be used, or a folder above the one that is to be made.
#[cfg(unix)]
pub(crate) fn check_folder(path: &Path, own: bool) -> Result<std::path::PathBuf, RefusalReason> {
    let folder = path.canonicalize().map_err(RefusalReason::io("resolve it"))?;
    let user = rustix::process::geteuid().as_raw();
    let mut sticky = if own { Sticky::DoesNotHelp } else { Sticky::Helps };
    for ancestor in folder.ancestors() {
        let metadata = std::fs::symlink_metadata(ancestor).map_err(RefusalReason::io("look at a folder above it"))?;
        check_one(ancestor, &metadata, user, sticky)?;
        sticky = Sticky::Helps;
    }
    Ok(folder)
}

#[cfg(not(unix))]
pub(crate) fn check_folder(path: &Path, _: bool) -> Result<std::path::PathBuf, RefusalReason> {
    path.canonicalize().map_err(RefusalReason::io("resolve it"))
}

/// What lets others than root and the host's user change this very file.
pub(crate) fn changeable_by_others(path: &Path) -> Option<RefusalReason> {
    #[cfg(unix)]
    {
        let metadata = std::fs::metadata(path).ok()?;
        check_one(path, &metadata, rustix::process::geteuid().as_raw(), Sticky::DoesNotHelp).err()
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
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

    #[test]
    fn a_group_is_private_when_it_has_the_users_number_and_no_members() {
        let groups = "root:x:0:\nann:x:1000:\nbob:x:1001:ann\nstaff:x:50:\n";
        assert!(is_private_group(1000, 1000, groups));
        assert!(!is_private_group(1001, 1001, groups), "it has a member");
        assert!(!is_private_group(50, 1000, groups), "it is not the user's");
        assert!(!is_private_group(1002, 1002, groups), "nobody knows it");
        assert!(!is_private_group(0, 0, groups), "root's group is not private");
    }

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
