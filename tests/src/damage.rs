//! Plugin libraries as accidents leave them: cut short, or with some bytes that are others.

use std::{collections::BTreeSet, env};

use fastrand::Rng;
use object::{Object, ObjectSection, ObjectSegment};

/// The beginning of a library in 200 lengths, the shortest first and all short of the whole: nothing, about where its
/// headers and segments begin and end, the last bytes, and the rest anywhere, the same in every run.
///
/// # Panics
///
/// When it is no library.
pub fn truncated(library: &[u8]) -> impl Iterator<Item = &[u8]> {
    const COUNT: usize = 200;
    let whole = library.len();
    let mut lengths: BTreeSet<usize> =
        ends_of_parts(library).into_iter().flat_map(|end| [end.saturating_sub(1), end, end + 1]).collect();
    lengths.retain(|length| *length < whole);
    let mut random = Rng::with_seed(0);
    while lengths.len() < COUNT {
        lengths.insert(random.usize(..whole));
    }
    lengths.into_iter().map(|length| &library[..length])
}

/// A library in 2,000 variants, the same in every run unless `TOKEN_HOST_TEST_SEED` says otherwise, in each of which 1 to 8 bytes at random places are others.
///
/// # Panics
///
/// When it has no 8 bytes.
pub fn flipped(library: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Rng::with_seed(seed());
    (0..2000).map(move |_| {
        let mut bytes = library.to_owned();
        let (count, mut places) = (random.usize(1..=8), BTreeSet::new());
        while places.len() < count {
            places.insert(random.usize(..bytes.len()));
        }
        for place in places {
            bytes[place] ^= random.u8(1..);
        }
        bytes
    })
}

/// For campaigns that are longer than a test may be: another number is another 2,000.
fn seed() -> u64 {
    env::var("TOKEN_HOST_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_default()
}

/// Where the parts of a library begin and end.
fn ends_of_parts(library: &[u8]) -> BTreeSet<usize> {
    /// The magic bytes, the part of the header that is the same for all kinds of ELF, the header of a 64-bit one.
    const HEADERS: [usize; 3] = [4, 16, 64];
    let file = object::File::parse(library).unwrap();
    let segments = file.segments().map(|segment| segment.file_range());
    // Where the last section ends, the table of sections begins.
    let sections = file.sections().filter_map(|section| section.file_range());
    let end_of_sections = sections.map(|(offset, size)| offset + size).max();
    let parts = segments.flat_map(|(offset, size)| [offset, offset + size]).chain(end_of_sections);
    let parts = parts.map(|end| usize::try_from(end).unwrap());
    HEADERS.into_iter().chain([0, library.len() - 8, library.len()]).chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plugin, stripped};

    #[test]
    fn accidents_are_many_different_and_the_same_in_every_run() {
        let library = stripped(Plugin::Signed.path());
        let lengths: Vec<usize> = truncated(&library).map(<[u8]>::len).collect();
        assert_eq!(lengths.len(), 200);
        assert!(lengths.is_sorted() && lengths.starts_with(&[0, 1, 3, 4, 5]) && lengths[199] == library.len() - 1);
        assert!(truncated(&library).map(<[u8]>::len).eq(lengths));
        let whole = [0; 100];
        let changed = |variant: Vec<u8>| variant.iter().filter(|byte| **byte != 0).count();
        assert!(flipped(&whole).map(changed).all(|changed| (1..=8).contains(&changed)));
        assert!(flipped(&whole).count() == 2000 && flipped(&whole).eq(flipped(&whole)));
    }
}
