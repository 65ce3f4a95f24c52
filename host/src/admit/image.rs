//! Step 4: whether bytes are a plugin library that this host can load, without running any of it.
//!
//! This keeps the accidents out: a truncated copy, another machine's build, a library that is no
//! plugin. It is no proof that `dlopen` survives the file (a flipped bit in its code cannot be
//! seen); that is what the preflight in a child process is for.

use object::{
    Architecture, BinaryFormat, File, FileKind, Object, ObjectKind, ObjectSection, ObjectSegment,
    read::{ExportTarget, NameOrOrdinal},
};
use token_plugin_api::abi::manifest::{ABI_LEVEL, Manifest, PanicStrategy, SECTION_ELF, SECTION_MACHO, SECTION_PE};

use super::{elf, refusal::RefusalReason};

/// The symbol that `abi_stable` exports a root module by: the value of
/// `abi_stable::library::ROOT_MODULE_LOADER_NAME`, which a test below holds it against.
///
/// A literal, so that admission does not depend on the crate whose work it has to precede.
pub(super) const ROOT_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// Makes all static checks. What it accepts is whole as far as the dynamic loader reads it.
pub(super) fn check(bytes: &[u8]) -> Result<Manifest, RefusalReason> {
    let file = parse(bytes)?;
    check_target(&file)?;
    check_kind(&file)?;
    check_extent(&file, bytes.len() as u64)?;
    match &file {
        File::Elf32(elf) => elf::check(elf)?,
        File::Elf64(elf) => elf::check(elf)?,
        _ => {}
    }
    let manifest = manifest_in(&file)?;
    check_root(&file)?;
    if manifest.abi_level != ABI_LEVEL {
        return Err(RefusalReason::AbiLevel { found: manifest.abi_level, expected: ABI_LEVEL });
    }
    match manifest.panic {
        PanicStrategy::Unwind => Ok(manifest),
        PanicStrategy::Abort => Err(RefusalReason::PanicAbort),
    }
}

/// Reads the manifest alone, of a library for any platform.
pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, RefusalReason> {
    manifest_in(&parse(bytes)?)
}

fn parse(bytes: &[u8]) -> Result<File<'_>, RefusalReason> {
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32 | FileKind::MachOFat64) => {
            Err(RefusalReason::NotALibrary { found: "a universal binary of several libraries" })
        }
        Err(_) if !bytes.starts_with(b"\x7fELF") && !bytes.starts_with(b"MZ") => {
            Err(RefusalReason::NotALibrary { found: "a file of unknown format" })
        }
        _ => File::parse(bytes).map_err(|error| RefusalReason::cut_short(lower_case(error))),
    }
}

fn check_target(file: &File<'_>) -> Result<(), RefusalReason> {
    if file.format() != NATIVE_FORMAT {
        return Err(RefusalReason::WrongPlatform {
            expected: format_name(NATIVE_FORMAT),
            found: format_name(file.format()),
        });
    }
    let found = target_name(file.architecture(), file.is_64(), file.is_little_endian());
    let expected = target_name(host_architecture(), cfg!(target_pointer_width = "64"), cfg!(target_endian = "little"));
    if found != expected {
        return Err(RefusalReason::WrongArchitecture { expected, found });
    }
    Ok(())
}

fn check_kind(file: &File<'_>) -> Result<(), RefusalReason> {
    let found = match file.kind() {
        ObjectKind::Dynamic => return Ok(()),
        ObjectKind::Relocatable => "an object file that is not linked",
        ObjectKind::Executable => "a program",
        ObjectKind::Core => "a core dump",
        _ => "an object of unknown kind",
    };
    Err(RefusalReason::NotALibrary { found })
}

/// A mapped page that is beyond the end of the file is a SIGBUS as soon as it is touched.
fn check_extent(file: &File<'_>, length: u64) -> Result<(), RefusalReason> {
    let outside = |(offset, size): (u64, u64)| offset.checked_add(size).is_none_or(|end| end > length);
    for segment in file.segments() {
        if outside(segment.file_range()) {
            let address = segment.address();
            return Err(RefusalReason::cut_short(format!("the segment at {address:#x} ends outside of the file")));
        }
    }
    for section in file.sections() {
        if section.file_range().is_some_and(outside) {
            // Damage may have put anything there.
            let name = section.name().unwrap_or("without a name").escape_debug();
            return Err(RefusalReason::cut_short(format!("the section {name} ends outside of the file")));
        }
    }
    Ok(())
}

fn manifest_in(file: &File<'_>) -> Result<Manifest, RefusalReason> {
    let name = match file.format() {
        BinaryFormat::Elf => SECTION_ELF,
        BinaryFormat::MachO => SECTION_MACHO,
        _ => SECTION_PE,
    };
    let section = file.section_by_name(name).ok_or(RefusalReason::NotAPlugin)?;
    let data = section.data().map_err(|error| RefusalReason::cut_short(lower_case(error)))?;
    Manifest::parse(data).map_err(RefusalReason::BadManifest)
}

/// The root module has to be exported, and to be data inside of the file: the loader reads it there.
fn check_root(file: &File<'_>) -> Result<(), RefusalReason> {
    let exports = file.exports().map_err(|error| RefusalReason::cut_short(lower_case(error)))?;
    let mut addresses = exports.filter_map(Result::ok).filter_map(|export| {
        let NameOrOrdinal::Name(name) = export.name() else { return None };
        // Mach-O puts an underscore before every C name.
        let name = if file.format() == BinaryFormat::MachO { name.strip_prefix(b"_")? } else { name };
        match export.target() {
            ExportTarget::Address { address } if name == ROOT_SYMBOL.as_bytes() => Some(address),
            _ => None,
        }
    });
    let address = addresses.next().ok_or(RefusalReason::NoRootSymbol)?;
    let inside = file.segments().any(|segment| matches!(segment.data_range(address, 1), Ok(Some(_))));
    if inside { Ok(()) } else { Err(RefusalReason::cut_short("the root module lies outside of the file")) }
}

fn host_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" if cfg!(target_pointer_width = "32") => Architecture::X86_64_X32,
        "x86_64" => Architecture::X86_64,
        "x86" => Architecture::I386,
        "aarch64" => Architecture::Aarch64,
        "arm" => Architecture::Arm,
        "riscv64" => Architecture::Riscv64,
        "riscv32" => Architecture::Riscv32,
        "powerpc64" => Architecture::PowerPc64,
        "powerpc" => Architecture::PowerPc,
        "s390x" => Architecture::S390x,
        "loongarch64" => Architecture::LoongArch64,
        "mips64" => Architecture::Mips64,
        "mips" => Architecture::Mips,
        "sparc64" => Architecture::Sparc64,
        // Then word size and byte order are compared, and the dynamic loader judges the rest.
        _ => Architecture::Unknown,
    }
}

fn target_name(architecture: Architecture, is_64: bool, is_little_endian: bool) -> String {
    let name = match (host_architecture(), architecture) {
        (Architecture::Unknown, _) => "this processor".to_owned(),
        (_, Architecture::Unknown) => "an unknown processor".to_owned(),
        (_, known) => format!("{known:?}").to_lowercase(),
    };
    let bits = if is_64 { 64 } else { 32 };
    let order = if is_little_endian { "little" } else { "big" };
    format!("{name} ({bits}-bit, {order} endian)")
}

fn format_name(format: BinaryFormat) -> &'static str {
    match format {
        BinaryFormat::Elf => "ELF, as on Linux",
        BinaryFormat::MachO => "Mach-O, as on macOS",
        BinaryFormat::Pe => "PE, as on Windows",
        _ => "an object format that no supported platform loads",
    }
}

/// The reader's messages start in upper case, ours do not.
pub(super) fn lower_case(error: object::Error) -> String {
    let message = error.to_string();
    let mut characters = message.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// What this host loads.
const NATIVE_FORMAT: BinaryFormat = if cfg!(windows) {
    BinaryFormat::Pe
} else if cfg!(target_vendor = "apple") {
    BinaryFormat::MachO
} else {
    BinaryFormat::Elf
};

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::admit::fixture::{self, Plugin};

    fn refused(bytes: &[u8]) -> RefusalReason {
        check(bytes).unwrap_err()
    }

    #[test]
    fn the_root_symbol_is_the_one_that_the_export_macro_writes() {
        assert_eq!(ROOT_SYMBOL, abi_stable::library::ROOT_MODULE_LOADER_NAME);
    }

    #[test]
    fn accepts_a_plugin_and_reads_its_manifest() {
        let manifest = check(fixture::plugin()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("fixture", "1.2.3"));
    }

    #[test]
    fn a_stripped_plugin_is_a_plugin() {
        let bytes = fixture::stripped();
        assert!(bytes.len() < fixture::plugin().len());
        check(&bytes).unwrap();
    }

    #[test]
    fn text_is_no_library() {
        assert!(matches!(refused(b"/* GNU ld script */ GROUP ( libc.so.6 )"), RefusalReason::NotALibrary { .. }));
        assert!(matches!(refused(b"x"), RefusalReason::NotALibrary { .. }));
        assert!(matches!(refused(b"\x7fELF"), RefusalReason::CutShort { .. }));
    }

    #[test]
    fn a_library_that_is_no_plugin_is_told_so() {
        let name = "libc.so.6";
        let path = fixture::system_library(name);
        assert!(matches!(refused(&std::fs::read(path).unwrap()), RefusalReason::NotAPlugin), "{name}");
    }

    #[test]
    fn a_program_is_no_library() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(refused(&own), RefusalReason::NotALibrary { found: "a program" }));
    }

    #[test]
    fn another_processor_or_word_size_or_byte_order_is_refused() {
        let mut bytes = fixture::plugin().to_vec();
        let (other, name) = if cfg!(target_arch = "x86_64") { (183_u16, "aarch64") } else { (62, "x86_64") };
        bytes[18..20].copy_from_slice(&other.to_ne_bytes());
        let message = refused(&bytes).to_string();
        assert!(message.starts_with(&format!("it is built for {name} (")), "{message}");
        for (at, name) in [(4, "class"), (5, "byte order")] {
            let mut bytes = fixture::plugin().to_vec();
            bytes[at] ^= 3;
            // Read as the other class or order, its header does not make sense any more.
            assert!(check(&bytes).is_err(), "{name}");
        }
    }

    #[test]
    fn an_object_of_another_kind_is_refused() {
        let mut bytes = fixture::plugin().to_vec();
        bytes[16..18].copy_from_slice(&1_u16.to_ne_bytes());
        assert!(matches!(refused(&bytes), RefusalReason::NotALibrary { found: "an object file that is not linked" }));
    }

    #[test]
    fn a_damaged_name_of_a_section_is_shown_harmlessly() {
        let mut bytes = fixture::plugin().to_vec();
        let number = |bytes: &[u8], at: usize| {
            usize::try_from(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
        };
        let file = File::parse(fixture::plugin()).unwrap();
        // Of ELF's header the place of the section headers, 64 bytes each, and of such a one the size.
        let header = number(&bytes, 0x28) + file.section_by_name(".comment").unwrap().index().0 * 64;
        bytes[header + 32..header + 40].fill(0x7f);
        let name = bytes.windows(10).position(|bytes| bytes == b"\0.comment\0").unwrap();
        bytes[name + 2..name + 4].copy_from_slice(b"\n\x1b");
        let message = refused(&bytes).to_string();
        assert!(message.contains(r"the section .\n\u{1b}mment ends outside of the file"), "{message}");
    }

    #[test]
    fn the_manifest_decides() {
        let build = |plugin: Plugin| refused(&plugin.build());
        let level = build(Plugin { abi_level: "2", ..Plugin::default() });
        assert!(matches!(level, RefusalReason::AbiLevel { found: 2, expected: ABI_LEVEL }));
        assert!(matches!(build(Plugin { panic: "abort", ..Plugin::default() }), RefusalReason::PanicAbort));
        assert!(matches!(build(Plugin { abi_level: "one", ..Plugin::default() }), RefusalReason::BadManifest(_)));
        assert!(matches!(build(Plugin { section: ".other", ..Plugin::default() }), RefusalReason::NotAPlugin));
        assert!(matches!(build(Plugin { root: "other", ..Plugin::default() }), RefusalReason::NoRootSymbol));
    }

    #[test]
    fn a_manifest_alone_is_read_of_what_does_not_fit() {
        let bytes = Plugin { panic: "abort", ..Plugin::default() }.build();
        assert_eq!(manifest(&bytes).unwrap().panic, PanicStrategy::Abort);
    }
}
