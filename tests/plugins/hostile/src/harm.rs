//! What ends the process or a thread of it for good: no panic fence is of any help here.

use std::{hint::black_box, process, thread};

/// Waits for ever. A thread may be unparked by mistake, hence the loop.
pub(crate) fn hang() -> ! {
    loop {
        thread::park();
    }
}

/// Computes for ever.
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Ends the process as if all were well but for the code, which no command of the host has.
pub(crate) fn exit() -> ! {
    process::exit(7)
}

/// Uses up the stack, in steps that no guard page is stepped over with.
pub(crate) fn overflow() -> ! {
    #[expect(unconditional_recursion, reason = "that is how a stack overflows")]
    fn deeper(above: &[u8; 1024]) -> u8 {
        let here = black_box([above[0].wrapping_add(1); 1024]);
        deeper(&here).wrapping_add(here[0])
    }
    panic!("the stack has no end, after {}", deeper(&[0; 1024]))
}

/// Takes memory, and writes to it so that it is really there, until the process is ended for it. Without a limit of
/// the process's own that is the end of more than the process.
pub(crate) fn allocate() -> ! {
    const STEP_BYTES: usize = 16 * 1024 * 1024;
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; STEP_BYTES]));
    }
}
