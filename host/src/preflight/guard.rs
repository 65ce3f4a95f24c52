//! Guards: memory of the child around a library, and around the stack that it runs on, that nobody may touch.
//!
//! Code whose displacements are damaged reaches beyond its library, or beyond its stack. What it finds there is chance:
//! another library in the child, nothing in the host, where it then crashes. Between guards as far as
//! a displacement reaches it finds nothing in the child either, and crashes there.
#![cfg_attr(all(unix, target_pointer_width = "64"), allow(unsafe_code))]

#[cfg(unix)]
use std::sync::atomic::{AtomicU64, Ordering};

/// How far code reaches by a displacement of 32 bits.
#[cfg(all(unix, target_pointer_width = "64"))]
const REACH_BYTES: u64 = 1 << 31;

/// The address space that may be taken in gaps among what is mapped already.
#[cfg(all(unix, target_pointer_width = "64"))]
const GAPS_BYTES: u64 = 1 << 29;

/// The address space that the guards may take: above the stack, between that and the library, below the library, and in
/// gaps for each of the two.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(super) const BYTES: u64 = 3 * REACH_BYTES + 2 * GAPS_BYTES;

/// The stack of a thread as Rust starts it, with the system's own guard, and some pages to spare.
#[cfg(all(unix, target_pointer_width = "64"))]
const STACK_BYTES: usize = (2 << 20) + (64 << 10);

#[cfg(all(unix, not(target_pointer_width = "64")))]
pub(super) const BYTES: u64 = 0;

/// Guards what is above the library that is loaded next, of a file of so many bytes, and what is around the stack of
/// the thread that is started next, which is to be the one that loads it. (Later threads that run it get that stack
/// again: the C library keeps it for them.)
///
/// The system gives addresses out from the top, into the highest gap that is large enough. So a guard is put there,
/// and the gaps above it, among what the child has mapped, are closed. Where addresses are given out in another way,
/// there is no guard, and chance decides.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(super) fn put_above(file_bytes: usize) {
    let Some(stack) = guarded_gap(STACK_BYTES) else { return };
    // A library is loaded as one range, larger than this.
    let gap = (file_bytes / 2).max(1);
    if let Some(library) = guarded_gap(gap) {
        give_back(library, gap);
    }
    // The last that is given back is the first to be taken: the thread's stack is there before the library.
    give_back(stack, STACK_BYTES);
}

/// The place of the first gap of this size below a new guard, with all gaps above that closed. It is taken, so far.
#[cfg(all(unix, target_pointer_width = "64"))]
fn guarded_gap(bytes: usize) -> Option<usize> {
    let guard = take(REACH_BYTES as usize)?;
    (0..GAPS_BYTES as usize / bytes).find_map(|_| take(bytes).filter(|place| *place < guard))
}

/// Guards what is below the library that was loaded last.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(super) fn put_below() {
    let _ = take(REACH_BYTES as usize);
}

/// The address space that guards have, in bytes.
#[cfg(unix)]
pub(super) fn taken() -> u64 {
    TAKEN.load(Ordering::Relaxed)
}

#[cfg(unix)]
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The address of a range that nobody can use.
#[cfg(all(unix, target_pointer_width = "64"))]
fn take(bytes: usize) -> Option<usize> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    // SAFETY: a new mapping, where the system chooses; it is never read or written.
    let taken = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE) };
    let address = taken.ok()?.addr();
    TAKEN.fetch_add(bytes as u64, Ordering::Relaxed);
    Some(address)
}

#[cfg(all(unix, target_pointer_width = "64"))]
fn give_back(address: usize, bytes: usize) {
    // SAFETY: `take` has just mapped these bytes at this address, and nothing refers to them.
    let given_back = unsafe { rustix::mm::munmap(std::ptr::without_provenance_mut(address), bytes) };
    if given_back.is_ok() {
        TAKEN.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(not(all(unix, target_pointer_width = "64")))]
pub(super) fn put_above(_: usize) {}

#[cfg(not(all(unix, target_pointer_width = "64")))]
pub(super) fn put_below() {}
