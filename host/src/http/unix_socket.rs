//! [`SocketFile`]: the file of a Unix socket, which only its owner and its group can open, and which goes with the service.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::{Errno, ioctl_fionbio},
    net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket},
};

/// A socket's file. It is removed when this is dropped, if it is still the one that was made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Owner and group may open it: a proxy gets in by the group.
const MODE: u32 = 0o660;

/// How often a file that nobody listens at is removed before another is made in its place.
const TRIES: usize = 3;

/// Opens a socket at a path. What an ended process left there is replaced; where somebody listens, or something else is, it
/// is left alone.
///
/// The socket is made in a folder that nobody else can enter, gets its mode there, and then its name: so there is no moment
/// in which others can connect, whatever the umask is, and none in which a name leads to nothing.
///
/// # Errors
///
/// `AddrInUse` where somebody listens, and whatever the system says.
pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Short names: the whole path has to fit into some 100 bytes.
    let ours = Permissions::from_mode(0o700);
    let private = tempfile::Builder::new().prefix(".").rand_bytes(6).permissions(ours).tempdir_in(folder)?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, Permissions::from_mode(MODE))?;
    let file = SocketFile { path: path.to_owned(), identity: identity(&fs::symlink_metadata(&made)?) };
    for _ in 0..TRIES {
        match name(&made, path) {
            Ok(()) => return Ok((listener, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_unused(path, &private.path().join("old"))?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(in_use())
}

impl SocketFile {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let now = fs::symlink_metadata(&self.path);
        if now.is_ok_and(|now| identity(&now) == self.identity) {
            // Where it cannot be removed, the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The device and the number on it, of a file.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Gives the socket its name, unless something has it.
fn name(made: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(made, path) {
        // Some systems have no second names for sockets.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
                && !fs::exists(path)? =>
        {
            fs::rename(made, path)
        }
        linked => linked,
    }
}

/// Removes a socket's file that nobody listens at.
fn remove_unused(path: &Path, aside: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something is there that is no socket"));
    }
    if is_in_use(path)? {
        return Err(in_use());
    }
    match fs::rename(path, aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    if identity(&fs::symlink_metadata(aside)?) == identity(&found) {
        return Ok(());
    }
    // Another process put its own there meanwhile, and gets it back.
    let _ = fs::hard_link(aside, path);
    Err(in_use())
}

/// Whether somebody listens at a socket's file. Does not wait for one who is slow to answer.
fn is_in_use(path: &Path) -> io::Result<bool> {
    let client = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    ioctl_fionbio(&client, true)?;
    Ok(match connect(&client, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => false,
        // It cannot be told, and perhaps it is not ours to know.
        Err(error @ (Errno::ACCESS | Errno::PERM)) => return Err(error.into()),
        Ok(()) | Err(_) => true,
    })
}

fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_is_for_owner_and_group_and_goes_with_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (listener, file) = bind(&path).unwrap();
        assert_eq!(mode(&path), MODE);
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_an_ended_process_left_is_replaced_and_a_successors_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (listener, left) = bind(&path).unwrap();
        drop(listener);
        let (_listener, _file) = bind(&path).unwrap();
        drop(left);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn one_that_is_in_use_and_what_is_no_socket_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = bind(&path).unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(first);

        fs::write(&path, "mine").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_file(&path).unwrap();

        // Not even through a link.
        let (_listener, _file) = bind(&folder.path().join("other")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("other"), &path).unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn of_two_that_start_at_once_one_gets_the_path_of_an_ended_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        for _ in 0..50 {
            std::mem::forget(bind(&path).unwrap().1);
            let bound: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..2).map(|_| scope.spawn(|| bind(&path))).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            let won: Vec<_> = bound.into_iter().flatten().collect();
            assert_eq!(won.len(), 1);
            UnixStream::connect(&path).unwrap();
            won[0].0.set_nonblocking(true).unwrap();
            won[0].0.accept().unwrap();
        }
    }
}
