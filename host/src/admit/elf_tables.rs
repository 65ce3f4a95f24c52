//! The part of step 4 about what `ld.so` does with an ELF library's tables: where it writes, and what it looks up.
//!
//! A relocation says where to write, and `ld.so` writes there, wherever that is. One damaged entry
//! may hit memory of the child that tries a library and of no other process, or the other way round,
//! so the preflight does not see it for certain. It shows here.

use object::{
    Endianness, SymbolIndex, elf,
    pod::slice_from_all_bytes,
    read::elf::{FileHeader, Rel, Rela, Relr, Sym},
};

use super::{elf::Image, refusal::RefusalReason};

/// Refuses a library whose relocations, symbols, hash tables or versions lead out of it.
pub(super) fn check<Header: FileHeader<Endian = Endianness>>(
    image: &Image<'_, '_, Header>,
    value: &dyn Fn(elf::DynamicTag) -> Option<u64>,
) -> Result<(), RefusalReason> {
    let tables = Tables { image, endian: image.file.endian(), symbols: image.file.elf_dynamic_symbol_table().len() };
    let content = |address, size| {
        let size = value(size).unwrap_or_default();
        value(address).and_then(|address| image.loaded(address, size)).unwrap_or_default()
    };
    tables.check_rela(content(elf::DT_RELA, elf::DT_RELASZ))?;
    tables.check_rel(content(elf::DT_REL, elf::DT_RELSZ))?;
    tables.check_relr(content(elf::DT_RELR, elf::DT_RELRSZ))?;
    let functions = content(elf::DT_JMPREL, elf::DT_PLTRELSZ);
    match value(elf::DT_PLTREL) {
        Some(kind) if kind == tag(elf::DT_RELA) => tables.check_rela(functions)?,
        Some(kind) if kind == tag(elf::DT_REL) => tables.check_rel(functions)?,
        _ if functions.is_empty() => {}
        _ => return Err(damaged("its function relocations are of an unknown kind")),
    }
    tables.check_symbols()?;
    tables.check_versions()?;
    if let Some(address) = value(elf::DT_GNU_HASH) {
        tables.check_gnu_hash(image.section_at(address, elf::SHT_GNU_HASH).unwrap_or_default())?;
    }
    if let Some(address) = value(elf::DT_HASH) {
        tables.check_hash(image.section_at(address, elf::SHT_HASH).unwrap_or_default())?;
    }
    Ok(())
}

fn tag(tag: elf::DynamicTag) -> u64 {
    u64::try_from(tag.0).unwrap_or(u64::MAX)
}

fn damaged(part: &str) -> RefusalReason {
    RefusalReason::cut_short(part)
}

struct Tables<'i, 'file, 'data, Header: FileHeader<Endian = Endianness>> {
    image: &'i Image<'file, 'data, Header>,
    endian: Endianness,
    symbols: usize,
}

impl<Header: FileHeader<Endian = Endianness>> Tables<'_, '_, '_, Header> {
    fn check_rela(&self, table: &[u8]) -> Result<(), RefusalReason> {
        for entry in slice_from_all_bytes::<Header::Rela>(table).map_err(|()| damaged("a relocation table is cut"))? {
            let kind = entry.r_type(self.endian, false);
            // Type 0 is "none" on every machine.
            if kind.0 == 0 {
                continue;
            }
            self.check_one(entry.r_offset(self.endian).into(), entry.r_sym(self.endian, false))?;
            // What it writes is the library's own address and this: it has to lie inside, too.
            let addend: i64 = entry.r_addend(self.endian).into();
            if is_relative(kind) && !u64::try_from(addend).is_ok_and(|address| self.image.spans(address)) {
                return Err(damaged("a relocation points outside of the library"));
            }
        }
        Ok(())
    }

    fn check_rel(&self, table: &[u8]) -> Result<(), RefusalReason> {
        for entry in slice_from_all_bytes::<Header::Rel>(table).map_err(|()| damaged("a relocation table is cut"))? {
            self.check_one(entry.r_offset(self.endian).into(), entry.r_sym(self.endian))?;
        }
        Ok(())
    }

    /// An entry without its lowest bit is an address; one with it is a mask of the words that follow.
    fn check_relr(&self, table: &[u8]) -> Result<(), RefusalReason> {
        let word = self.word();
        let mut next = None;
        for entry in slice_from_all_bytes::<Header::Relr>(table).map_err(|()| damaged("a relocation table is cut"))? {
            let entry: u64 = entry.get(self.endian).into();
            if entry & 1 == 0 {
                self.check_one(entry, 0)?;
                next = entry.checked_add(word);
                continue;
            }
            let base = next.ok_or_else(|| damaged("a relocation has no place"))?;
            for bit in (1..8 * word).filter(|bit| entry >> bit & 1 == 1) {
                self.check_one(base.saturating_add((bit - 1) * word), 0)?;
            }
            next = base.checked_add((8 * word - 1) * word);
        }
        Ok(())
    }

    fn word(&self) -> u64 {
        if self.image.file.elf_header().is_type_64() { 8 } else { 4 }
    }

    /// Where it writes, and the symbol whose address that is about.
    fn check_one(&self, offset: u64, symbol: u32) -> Result<(), RefusalReason> {
        if !self.image.is_writable(offset, self.word()) {
            return Err(damaged("a relocation lies outside of its writable segments"));
        }
        if symbol as usize >= self.symbols.max(1) {
            return Err(damaged("a relocation is of a symbol that there is not"));
        }
        Ok(())
    }

    fn check_symbols(&self) -> Result<(), RefusalReason> {
        for symbol in self.image.file.elf_dynamic_symbol_table().iter() {
            let section = symbol.st_shndx(self.endian);
            let has_address = section != elf::SHN_UNDEF && section != elf::SHN_ABS && symbol.st_type() != elf::STT_TLS;
            if has_address && !self.image.spans(symbol.st_value(self.endian).into()) {
                return Err(damaged("a symbol lies outside of the library"));
            }
        }
        Ok(())
    }

    /// `ld.so` takes a symbol's version for an index into an array.
    fn check_versions(&self) -> Result<(), RefusalReason> {
        let (file, endian) = (self.image.file, self.endian);
        let broken = |_| damaged("its versions are damaged");
        let Some(versions) = file.elf_section_table().versions(endian, file.data()).map_err(broken)? else {
            return Ok(());
        };
        for symbol in 0..self.symbols {
            versions.version(versions.version_index(endian, SymbolIndex(symbol)).index()).map_err(broken)?;
        }
        Ok(())
    }

    /// Four words, the Bloom filter, the buckets, and a chain word for each symbol from the first that is hashed.
    fn check_gnu_hash(&self, table: &[u8]) -> Result<(), RefusalReason> {
        let broken = || damaged("its hash table is damaged");
        let words = words(table).ok_or_else(broken)?;
        let [buckets, first, bloom, _] = *words.get(..4).ok_or_else(broken)? else { return Err(broken()) };
        let bloom_words = (bloom as usize).checked_mul(self.word() as usize / 4).ok_or_else(broken)?;
        let rest = words.get(4..).and_then(|rest| rest.get(bloom_words..)).ok_or_else(broken)?;
        let (buckets, chain) = rest.split_at_checked(buckets as usize).ok_or_else(broken)?;
        let hashed = self.symbols.checked_sub(first as usize).ok_or_else(broken)?;
        let is_bucket = |bucket: &u32| *bucket == 0 || (*bucket >= first && (*bucket as usize) < self.symbols);
        // A chain ends at a word with its lowest bit set, so the last of all has to have it.
        let is_empty = buckets.iter().all(|bucket| *bucket == 0);
        let ends = is_empty || hashed == 0 || chain.get(hashed - 1).is_some_and(|last| last & 1 == 1);
        if buckets.is_empty() || !bloom.is_power_of_two() || !buckets.iter().all(is_bucket) || !ends {
            return Err(broken());
        }
        Ok(())
    }

    /// The numbers of buckets and symbols, the buckets, and for each symbol the next one.
    fn check_hash(&self, table: &[u8]) -> Result<(), RefusalReason> {
        let broken = || damaged("its hash table is damaged");
        let words = words(table).ok_or_else(broken)?;
        let [buckets, symbols] = *words.get(..2).ok_or_else(broken)? else { return Err(broken()) };
        let entries = (buckets as usize).checked_add(symbols as usize);
        let entries = entries.and_then(|entries| words.get(2..)?.get(..entries)).ok_or_else(broken)?;
        let is_good = buckets > 0 && entries.iter().all(|symbol| (*symbol as usize) < self.symbols);
        if is_good { Ok(()) } else { Err(broken()) }
    }
}

/// A table of 32-bit words, in this machine's order: the library is for this machine.
fn words(table: &[u8]) -> Option<Vec<u32>> {
    let (words, rest) = table.as_chunks::<4>();
    rest.is_empty().then(|| words.iter().map(|word| u32::from_ne_bytes(*word)).collect())
}

/// Whether a relocation writes the address of something in its own library.
fn is_relative(kind: elf::RelocationType) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => kind == elf::R_X86_64_RELATIVE || kind == elf::R_X86_64_IRELATIVE,
        "aarch64" => kind == elf::R_AARCH64_RELATIVE || kind == elf::R_AARCH64_IRELATIVE,
        _ => false,
    }
}
