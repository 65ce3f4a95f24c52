//! The part of step 4 that only ELF needs: everything `ld.so` reads lies inside what it maps.
//!
//! `ld.so` trusts a library. It maps the segments and then follows the addresses in the dynamic
//! table, without looking whether there is anything behind them.

use std::ptr;

use object::{
    Endianness, elf,
    read::elf::{Dyn, ElfFile, FileHeader, ProgramHeader, SectionHeader, Sym},
};

use super::{elf_tables, image::lower_case, refusal::RefusalReason};

/// Refuses a library whose loading would read outside of the file.
///
/// The caller has made sure that it is a library for this machine and that its `PT_LOAD` segments
/// and its sections lie inside the file.
pub(super) fn check<Header: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, Header>) -> Result<(), RefusalReason> {
    let image = Image { file, loads: loads(file)? };
    image.check_segments()?;
    let dynamic = image.dynamic()?;
    // Of several entries with one tag, the last counts for `ld.so`.
    let value = |tag| dynamic.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
    if value(elf::DT_FLAGS_1).is_some_and(|flags| flags & elf::DF_1_PIE.0 != 0) {
        return Err(RefusalReason::NotALibrary { found: "a program" });
    }
    for (address_tag, size_tag, name) in SIZED_TABLES {
        let Some(address) = value(address_tag) else { continue };
        let size = value(size_tag).ok_or_else(|| RefusalReason::cut_short(format!("its {name} has no size")))?;
        image.expect_loaded(address, size, name)?;
    }
    for (tag, section_type, name) in SECTION_TABLES {
        let Some(address) = value(tag) else { continue };
        image.expect_section(address, section_type, name)?;
    }
    for function in [elf::DT_INIT, elf::DT_FINI].into_iter().filter_map(value) {
        image.expect_loaded(function, 1, "constructor or destructor")?;
    }
    let strings = value(elf::DT_STRTAB).and_then(|address| image.loaded(address, value(elf::DT_STRSZ)?));
    let strings = strings.ok_or_else(|| RefusalReason::cut_short("it has no string table"))?;
    if strings.last() != Some(&0) || value(elf::DT_SYMTAB).is_none() {
        return Err(RefusalReason::cut_short("its names are not complete"));
    }
    // Whatever these bring in runs its constructors too, and nobody examined it.
    let by_folder = |&(tag, offset): &(_, u64)| {
        let name = strings.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        // `$ORIGIN` and its like stand for folders as well.
        let is_of_a_folder = |byte: &u8| matches!(byte, b'/' | b'$');
        tag == elf::DT_NEEDED && name.iter().take_while(|byte| **byte != 0).any(is_of_a_folder)
    };
    if let Some((_, entry)) = BRINGS_IN.iter().find(|(tag, _)| value(*tag).is_some()) {
        return Err(RefusalReason::OtherLibraries { entry });
    }
    if dynamic.iter().any(by_folder) {
        return Err(RefusalReason::OtherLibraries { entry: "DT_NEEDED with a folder" });
    }
    let is_name = |tag| [elf::DT_NEEDED, elf::DT_SONAME].contains(&tag);
    if dynamic.iter().any(|&(tag, offset)| is_name(tag) && offset >= strings.len() as u64) {
        return Err(RefusalReason::cut_short("a library's name lies outside of its string table"));
    }
    // The table ends in a NUL byte, so a name that begins in it ends in it.
    let is_named = |symbol: &Header::Sym| u64::from(symbol.st_name(file.endian())) < strings.len() as u64;
    if !file.elf_dynamic_symbol_table().iter().all(is_named) {
        return Err(RefusalReason::cut_short("a symbol's name lies outside of its string table"));
    }
    elf_tables::check(&image, &value)
}

/// Entries that make the loader bring in libraries from elsewhere than the system's own folders.
const BRINGS_IN: [(elf::DynamicTag, &str); 6] = [
    (elf::DT_RPATH, "DT_RPATH"),
    (elf::DT_RUNPATH, "DT_RUNPATH"),
    (elf::DT_AUDIT, "DT_AUDIT"),
    (elf::DT_DEPAUDIT, "DT_DEPAUDIT"),
    (elf::DT_FILTER, "DT_FILTER"),
    (elf::DT_AUXILIARY, "DT_AUXILIARY"),
];

/// A `PT_LOAD` segment: the only bytes of the file that are there once it is mapped.
pub(super) struct Load<'data> {
    address: u64,
    /// Where it ends in memory, beyond what the file has of it.
    end: u64,
    is_writable: bool,
    data: &'data [u8],
}

/// Linkers make four or five. Each relocation is looked for in all of them.
const MAX_LOADS: usize = 64;

/// The loads, which have to ascend without touching each other: `ld.so` reserves room from the
/// first to the last, and maps the others over whatever happens to be where they say.
fn loads<'data, Header: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'data, Header>,
) -> Result<Vec<Load<'data>>, RefusalReason> {
    let endian = file.endian();
    let mut loads = Vec::new();
    let mut end_of_last = 0;
    for header in file.elf_program_headers().iter().filter(|header| header.p_type(endian) == elf::PT_LOAD) {
        let (address, size) = (header.p_vaddr(endian).into(), header.p_memsz(endian).into());
        let data = header.data(endian, file.data()).map_err(|()| outside_file("a loaded segment"))?;
        let alignment: u64 = header.p_align(endian).into();
        let end = address.checked_add(size).filter(|_| size >= data.len() as u64 && address >= end_of_last);
        end_of_last = end.ok_or_else(|| RefusalReason::cut_short("its segments overlap"))?;
        if loads.len() == MAX_LOADS {
            return Err(RefusalReason::cut_short("it has more segments than any library needs"));
        }
        if alignment > 1 && !alignment.is_power_of_two() {
            return Err(RefusalReason::cut_short("a segment's alignment is no power of two"));
        }
        let is_writable = header.p_flags(endian).contains(elf::PF_W);
        loads.push(Load { address, end: end_of_last, is_writable, data });
    }
    Ok(loads)
}

/// A library as it will be in memory.
pub(super) struct Image<'file, 'data, Header: FileHeader<Endian = Endianness>> {
    pub(super) file: &'file ElfFile<'data, Header>,
    loads: Vec<Load<'data>>,
}

impl<'data, Header: FileHeader<Endian = Endianness>> Image<'_, 'data, Header> {
    /// The segments that `ld.so` and the unwinder read by address.
    fn check_segments(&self) -> Result<(), RefusalReason> {
        let endian = self.file.endian();
        for header in self.file.elf_program_headers() {
            let data = header.data(endian, self.file.data()).map_err(|()| outside_file("a segment"))?;
            let name = match header.p_type(endian) {
                elf::PT_DYNAMIC => "dynamic table",
                elf::PT_TLS => "thread-local data",
                elf::PT_NOTE | elf::PT_GNU_PROPERTY => "note",
                elf::PT_GNU_EH_FRAME => "unwind table",
                _ => continue,
            };
            // We read at its offset, `ld.so` at its address: both have to be the same bytes.
            let loaded = self.loaded(header.p_vaddr(endian).into(), data.len() as u64);
            if !data.is_empty() && !loaded.is_some_and(|loaded| ptr::eq(loaded, data)) {
                return Err(outside_file(&format!("its {name}")));
            }
        }
        Ok(())
    }

    /// The entries of the dynamic table, as far as its end mark, which `ld.so` does not do without.
    fn dynamic(&self) -> Result<Vec<(elf::DynamicTag, u64)>, RefusalReason> {
        let endian = self.file.endian();
        let tables = self.file.elf_program_headers().iter().filter_map(|header| {
            let table = header.dynamic(endian, self.file.data());
            table.map_err(|error| RefusalReason::cut_short(lower_case(error))).transpose()
        });
        let table = tables.last().ok_or(RefusalReason::NotALibrary { found: "a file without a dynamic table" })??;
        let length = table.iter().position(|entry| entry.tag(endian) == elf::DT_NULL);
        let length = length.ok_or_else(|| RefusalReason::cut_short("its dynamic table has no end"))?;
        Ok(table.iter().take(length).map(|entry| (entry.tag(endian), entry.val(endian))).collect())
    }

    fn expect_section(&self, address: u64, kind: elf::SectionType, name: &str) -> Result<(), RefusalReason> {
        let size = self.size_of_section(address, kind);
        let size = size.ok_or_else(|| RefusalReason::cut_short(format!("no section describes its {name}")))?;
        self.expect_loaded(address, size, name)
    }

    fn size_of_section(&self, address: u64, kind: elf::SectionType) -> Option<u64> {
        let endian = self.file.endian();
        let mut sections = self.file.elf_section_table().iter();
        let section = sections.find(|section| {
            let found: u64 = section.sh_addr(endian).into();
            section.sh_type(endian) == kind && found == address
        });
        Some(section?.sh_size(endian).into())
    }

    /// The section of this kind that will be at this address.
    pub(super) fn section_at(&self, address: u64, kind: elf::SectionType) -> Option<&'data [u8]> {
        self.loaded(address, self.size_of_section(address, kind)?)
    }

    /// Whether something at this address is in the library, or right behind it.
    pub(super) fn spans(&self, address: u64) -> bool {
        self.loads.iter().any(|load| (load.address..=load.end).contains(&address))
    }

    /// Whether the library may be written to there.
    pub(super) fn is_writable(&self, address: u64, size: u64) -> bool {
        let end = address.checked_add(size);
        let is_inside = |load: &Load<'_>| load.address <= address && end.is_some_and(|end| end <= load.end);
        self.loads.iter().any(|load| load.is_writable && is_inside(load))
    }

    fn expect_loaded(&self, address: u64, size: u64, name: &str) -> Result<(), RefusalReason> {
        match self.loaded(address, size) {
            Some(_) => Ok(()),
            None => Err(outside_file(&format!("its {name}"))),
        }
    }

    /// What will be at an address of the mapped library, if the file has it.
    pub(super) fn loaded(&self, address: u64, size: u64) -> Option<&'data [u8]> {
        self.loads.iter().find_map(|load| {
            let start = usize::try_from(address.checked_sub(load.address)?).ok()?;
            load.data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
        })
    }
}

fn outside_file(part: &str) -> RefusalReason {
    RefusalReason::cut_short(format!("{part} lies outside of the file"))
}

/// Tables that come with their size, each as the tags of its address and of its size in bytes.
const SIZED_TABLES: [(elf::DynamicTag, elf::DynamicTag, &str); 8] = [
    (elf::DT_STRTAB, elf::DT_STRSZ, "string table"),
    (elf::DT_RELA, elf::DT_RELASZ, "relocation table"),
    (elf::DT_REL, elf::DT_RELSZ, "relocation table"),
    (elf::DT_RELR, elf::DT_RELRSZ, "relative relocation table"),
    (elf::DT_JMPREL, elf::DT_PLTRELSZ, "function relocation table"),
    (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ, "list of early constructors"),
    (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ, "list of constructors"),
    (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ, "list of destructors"),
];

/// Tables whose size the dynamic table does not tell: the section that describes them does.
const SECTION_TABLES: [(elf::DynamicTag, elf::SectionType, &str); 6] = [
    (elf::DT_SYMTAB, elf::SHT_DYNSYM, "symbol table"),
    (elf::DT_HASH, elf::SHT_HASH, "hash table"),
    (elf::DT_GNU_HASH, elf::SHT_GNU_HASH, "hash table"),
    (elf::DT_VERSYM, elf::SHT_GNU_VERSYM, "version table"),
    (elf::DT_VERNEED, elf::SHT_GNU_VERNEED, "table of needed versions"),
    (elf::DT_VERDEF, elf::SHT_GNU_VERDEF, "table of defined versions"),
];

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use crate::admit::{fixture, image, refusal::RefusalReason};

    #[test]
    fn every_truncation_is_refused() {
        for bytes in [fixture::plugin(), &fixture::stripped()] {
            for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
                assert!(image::check(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
            }
        }
    }

    /// A file whose tail was never written has its length and its headers, if these came first.
    #[test]
    fn what_is_accepted_with_a_zeroed_tail_does_not_crash_the_loader() {
        let whole = fixture::plugin();
        for length in (0..whole.len()).step_by(97) {
            let mut bytes = whole.to_vec();
            bytes[length..].fill(0);
            if image::check(&bytes).is_ok() {
                assert!(fixture::opens_without_a_crash(&bytes), "{length} of {} bytes", whole.len());
            }
        }
    }

    /// Section headers cannot be relied upon: a truncated file with none left must be refused too.
    #[test]
    fn a_library_without_section_headers_is_refused_at_every_length() {
        let mut whole = fixture::plugin().to_vec();
        whole[0x28..0x30].fill(0);
        whole[0x3c..0x40].fill(0);
        for length in (0..whole.len()).step_by(97) {
            assert!(image::check(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
    }

    /// Flips are for the preflight; here it is our own reader that must survive them.
    #[test]
    fn no_flipped_byte_makes_the_reader_panic() {
        let whole = fixture::plugin();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 0xff;
            refused += usize::from(image::check(&bytes).is_err());
        }
        assert!(refused > 500, "only {refused} were noticed");
    }

    #[test]
    fn a_table_outside_of_the_segments_is_named() {
        let mut bytes = fixture::plugin().to_vec();
        let entry = fixture::dynamic_entry(&bytes, 5);
        bytes[entry + 8..entry + 16].copy_from_slice(&0x7fff_0000_u64.to_ne_bytes());
        let Err(RefusalReason::CutShort { part }) = image::check(&bytes) else { panic!("accepted") };
        assert_eq!(part, "its string table lies outside of the file");
    }
}
