//! What a library was told to do: a marker in its read-only data, which tests overwrite in the file.
//!
//! A configuration would come too late. Each marker makes another file, as bad libraries are.

use std::{
    hint::black_box,
    io::{self, Write},
    process::{self, Command},
    ptr, thread,
};

/// Does what the marker says.
pub(crate) fn obey() {
    // SAFETY: a static can be read. Volatile, or else the compiler would believe what it was initialized with.
    let marker = unsafe { (&raw const MARKER).read_volatile() };
    let told = str::from_utf8(&marker).unwrap_or_default().trim_end_matches('.');
    let deed = told.rsplit_once(':').map_or(told, |(_, deed)| deed);
    match deed.split_once(' ').unwrap_or((deed, "")) {
        ("nothing", _) => {}
        ("abort", _) => process::abort(),
        // With `atexit` and destructors, under whatever locks the loader holds.
        ("exit", _) => process::exit(7),
        // Without them.
        // SAFETY: `_exit` takes every number.
        ("_exit", _) => unsafe { _exit(7) },
        ("panic", _) => panic!("the library was told to panic"),
        ("sleep", _) => sleep(),
        ("thread", _) => drop(thread::spawn(|| sleep())),
        ("stdout", _) => drop(writeln!(io::stdout(), "the library was told to write to standard output")),
        ("segfault", _) => segfault(),
        ("child", seconds) => drop(Command::new("sleep").arg(seconds).spawn()),
        _ => panic!("{deed}: no such deed"),
    }
}

unsafe extern "C" {
    fn _exit(status: i32) -> !;
}

fn sleep() -> ! {
    loop {
        thread::park();
    }
}

/// Not at address 0: what is checked for null would not be written.
fn segfault() {
    let nowhere = black_box(ptr::without_provenance_mut::<u8>(8));
    // SAFETY: it is not safe: nothing is mapped in the first page, and the process is to die of it.
    unsafe { nowhere.write_volatile(1) };
}

/// The dots are room for longer deeds.
#[used]
static MARKER: [u8; 48] = *b"hostile-deed:nothing............................";
