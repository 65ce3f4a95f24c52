//! Guards: memory of the child around a library that nobody may touch.
//!
//! Code whose displacements are damaged reaches beyond its library. What it finds there is chance:
//! another library in the child, nothing in the host, where it then crashes. Between guards as far as
//! a displacement reaches it finds nothing in the child either, and crashes there.
#![cfg_attr(all(unix, target_pointer_width = "64"), allow(unsafe_code))]

/// How far code reaches by a displacement of 32 bits.
#[cfg(all(unix, target_pointer_width = "64"))]
const REACH_BYTES: u64 = 1 << 31;

/// The address space that may be taken in gaps among what is mapped already.
#[cfg(all(unix, target_pointer_width = "64"))]
const GAPS_BYTES: u64 = 1 << 30;

/// The address space that the guards may take, before and after a library, and in gaps.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(super) const BYTES: u64 = 2 * REACH_BYTES + GAPS_BYTES;

#[cfg(all(unix, not(target_pointer_width = "64")))]
pub(super) const BYTES: u64 = 0;

/// Guards what is above the library that is loaded next, of a file of so many bytes.
///
/// The system gives addresses out from the top, into the highest gap that is large enough. So a guard is put there,
/// and the gaps above it, among what the child has mapped, are closed. Where addresses are given out in another way,
/// there is no guard, and chance decides.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(super) fn put_above(file_bytes: usize) {
    let Some(guard) = take(REACH_BYTES as usize) else { return };
    // A library is loaded as one range, larger than this.
    let gap = (file_bytes / 2).max(1);
    let fillers = GAPS_BYTES as usize / gap;
    for _ in 0..fillers {
        match take(gap) {
            Some(filler) if filler > guard => {}
            // The first below the guard: where the library is to be.
            Some(below) => return give_back(below, gap),
            None => return,
        }
    }
}

/// Guards what is below the library that was loaded last.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(super) fn put_below() {
    let _ = take(REACH_BYTES as usize);
}

/// The address of a range that nobody can use.
#[cfg(all(unix, target_pointer_width = "64"))]
fn take(bytes: usize) -> Option<usize> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    // SAFETY: a new mapping, where the system chooses; it is never read or written.
    let taken = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE) };
    taken.ok().map(|address| address.addr())
}

#[cfg(all(unix, target_pointer_width = "64"))]
fn give_back(address: usize, bytes: usize) {
    // SAFETY: `take` has just mapped these bytes at this address, and nothing refers to them.
    let _ = unsafe { rustix::mm::munmap(std::ptr::without_provenance_mut(address), bytes) };
}

#[cfg(not(all(unix, target_pointer_width = "64")))]
pub(super) fn put_above(_: usize) {}

#[cfg(not(all(unix, target_pointer_width = "64")))]
pub(super) fn put_below() {}
