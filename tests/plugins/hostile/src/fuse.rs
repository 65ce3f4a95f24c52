//! Panics where nobody expects them: in `Drop`, and in the `Drop` of a panic's payload.

use std::panic::panic_any;

use crate::settings;

/// Something that panics when it is dropped, if it was told so.
pub(crate) struct Fuse(pub(crate) settings::Drop);

impl Drop for Fuse {
    fn drop(&mut self) {
        match self.0 {
            settings::Drop::Ok => {}
            settings::Drop::Panic => panic!("it was told to panic when dropped"),
        }
    }
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
