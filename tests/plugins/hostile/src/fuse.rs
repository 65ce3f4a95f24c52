//! `Drop` as nobody expects it: it panics, even that of a panic's payload, ends the process, or takes its time.

use std::{fs, panic::panic_any, path::Path, process, thread, time::Duration};

use crate::{harm, settings};

/// Something that misbehaves when it is dropped, if it was told so.
pub(crate) struct Fuse(pub(crate) settings::Drop);

impl Drop for Fuse {
    fn drop(&mut self) {
        match &self.0 {
            settings::Drop::Ok => {}
            settings::Drop::Panic => panic!("it was told to panic when dropped"),
            settings::Drop::Abort => process::abort(),
            settings::Drop::Hang => harm::hang(),
            settings::Drop::WaitFor(path) => {
                say(&path.with_extension("begun"));
                wait_for(path);
                say(&path.with_extension("over"));
            }
        }
    }
}

/// Waits until there is a file at this path.
pub(crate) fn wait_for(path: &Path) {
    while !path.exists() {
        // Only the interval between two looks.
        thread::sleep(Duration::from_millis(2));
    }
}

/// The test waits for the file; that it is not there is seen there, too.
fn say(path: &Path) {
    let _ = fs::write(path, "");
}

/// Panics with a payload that panics when it is dropped.
pub(crate) fn panic_with_bomb() -> ! {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload panicked when dropped");
        }
    }
    panic_any(Bomb)
}
