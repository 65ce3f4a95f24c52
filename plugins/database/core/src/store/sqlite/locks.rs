//! Locks that belong to this copy of SQLite, and not to the process.
//!
//! SQLite locks its files with `fcntl`, whose locks belong to the process: two copies of SQLite in one process, as two
//! images of this plugin bring along, do not exclude each other, and when one closes a file the other's locks are gone.
//! A write-ahead log that is used like that loses what was written.
//!
//! Linux has locks that belong to an open file (`F_OFD_SETLK`) and conflict with those of all others, of the same process
//! too. SQLite lets its system calls be replaced, so here its locks become such. They all are set on a file of ours, one
//! for each inode: within one copy SQLite counts who holds what, and may give back through one descriptor what it took
//! through another.
//!
//! Elsewhere nothing is replaced: Windows' locks belong to the handle anyway; on other Unix systems a database must not be
//! open in two copies of the plugin.

#![allow(unsafe_code)]

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::{c_int, c_void},
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
    ptr,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

use rusqlite::ffi;

/// What `fcntl` is called with here: its third argument is a number or a pointer, and as wide as one.
type Fcntl = unsafe extern "C" fn(c_int, c_int, *mut c_void) -> c_int;
type Close = extern "C" fn(c_int) -> c_int;

/// Has SQLite lock for this copy from now on. To be called before the first connection.
pub(super) fn belong_to_this_copy() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: it may be called at any time, and sets up the file systems that are asked for next.
        if unsafe { ffi::sqlite3_initialize() } != ffi::SQLITE_OK {
            return;
        }
        // SAFETY: the name is a C string; what is found lives as long as the program.
        let unix = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
        if unix.is_null() {
            return;
        }
        // SAFETY: not null, and nobody writes to it but SQLite's start, which is over.
        let Some(set) = (unsafe { (*unix).xSetSystemCall }) else { return };
        // SAFETY: SQLite keeps the pointer without its type and calls it as the `close` that it stands for.
        let call = unsafe { std::mem::transmute::<Close, unsafe extern "C" fn()>(close) };
        // SAFETY: the file system is the one that the method was taken from, the name one that it knows.
        let closes = unsafe { set(unix, c"close".as_ptr(), Some(call)) };
        if closes != ffi::SQLITE_OK {
            return;
        }
        // SAFETY: the same, as the `fcntl` that it stands for, with an `int` or a pointer as third argument. That argument
        // is variable there and fixed here: on Linux both are passed in the same register on every architecture.
        let call = unsafe { std::mem::transmute::<Fcntl, unsafe extern "C" fn()>(fcntl) };
        // SAFETY: as above.
        unsafe { set(unix, c"fcntl".as_ptr(), Some(call)) };
    });
}

/// `fcntl`, with locks of this copy instead of the process.
///
/// # Safety
///
/// As for `fcntl`: with a command that takes a pointer, the third argument points to what that command wants.
unsafe extern "C" fn fcntl(descriptor: c_int, command: c_int, argument: *mut c_void) -> c_int {
    let ours = match command {
        libc::F_SETLK => libc::F_OFD_SETLK,
        libc::F_GETLK => libc::F_OFD_GETLK,
        // SAFETY: passed on as it came.
        _ => return unsafe { libc::fcntl(descriptor, command, argument) },
    };
    let done = std::panic::catch_unwind(|| {
        on_own_file(descriptor, |own| {
            let lock = argument.cast::<libc::flock>();
            // SAFETY: both commands come with a `flock` that is the caller's to read and write. These want no process in it.
            unsafe { (*lock).l_pid = 0 };
            // SAFETY: an open descriptor, and the lock from above.
            match unsafe { libc::fcntl(own, ours, lock) } {
                -1 => Err(io::Error::last_os_error()),
                done => Ok(done),
            }
        })
    });
    match done {
        Ok(Ok(done)) => done,
        failed => {
            let code = failed.ok().and_then(Result::err).and_then(|error| error.raw_os_error());
            // SAFETY: it may be called at any time.
            let error_number = unsafe { libc::__errno_location() };
            // SAFETY: it points to this thread's error number.
            unsafe { *error_number = code.unwrap_or(libc::ENOLCK) };
            -1
        }
    }
}

/// The files that this copy's locks are on, and which descriptors of SQLite's each stands for.
static FILES: Mutex<BTreeMap<(u64, u64), Own>> = Mutex::new(BTreeMap::new());

struct Own {
    file: File,
    /// While there is one, the file stays open.
    descriptors: Vec<RawFd>,
}

/// For SQLite's lowest descriptors, which of ours stands for each, plus one; 0: that has to be found out. It is known from a
/// descriptor's first lock until it is closed.
static KNOWN: [AtomicI32; 4_096] = [const { AtomicI32::new(0) }; 4_096];

fn known(descriptor: RawFd) -> Option<&'static AtomicI32> {
    KNOWN.get(usize::try_from(descriptor).ok()?)
}

/// Does something with the file on which this copy's locks for the descriptor's inode are.
fn on_own_file(descriptor: RawFd, lock: impl FnOnce(RawFd) -> io::Result<c_int>) -> io::Result<c_int> {
    // The descriptor is open, so ours is: it is closed after the last one that it stands for.
    if let Some(own @ 1..) = known(descriptor).map(|known| known.load(Ordering::Acquire)) {
        return lock(own - 1);
    }
    let inode = inode(descriptor)?;
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let own = match files.entry(inode) {
        Entry::Occupied(own) => own.into_mut(),
        Entry::Vacant(place) => {
            let path = format!("/proc/self/fd/{descriptor}");
            let file = File::options().read(true).write(true).open(&path).or_else(|_| File::open(&path))?;
            place.insert(Own { file, descriptors: Vec::new() })
        }
    };
    if !own.descriptors.contains(&descriptor) {
        own.descriptors.push(descriptor);
    }
    if let Some(known) = known(descriptor) {
        known.store(own.file.as_raw_fd() + 1, Ordering::Release);
    }
    lock(own.file.as_raw_fd())
}

/// `close`: what stood for the descriptor stands for it no longer.
extern "C" fn close(descriptor: c_int) -> c_int {
    let forget = || {
        if let Some(known) = known(descriptor) {
            known.store(0, Ordering::Release);
        }
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, own| {
            let before = own.descriptors.len();
            own.descriptors.retain(|other| *other != descriptor);
            own.descriptors.len() == before || before > 1
        });
    };
    // Should it panic, the file stays open: nothing that is locked is given free.
    let _ = std::panic::catch_unwind(forget);
    // SAFETY: SQLite's own descriptor, which it gives up.
    unsafe { libc::close(descriptor) }
}

/// Device and number of the inode that a descriptor is of.
fn inode(descriptor: RawFd) -> io::Result<(u64, u64)> {
    // SAFETY: plain numbers, for which zeros are good.
    let mut status = unsafe { std::mem::zeroed::<libc::stat>() };
    // SAFETY: it is written to by the call alone; a descriptor that is not open is an error.
    match unsafe { libc::fstat(descriptor, ptr::from_mut(&mut status)) } {
        0 => Ok((status.st_dev, status.st_ino)),
        _ => Err(io::Error::last_os_error()),
    }
}
