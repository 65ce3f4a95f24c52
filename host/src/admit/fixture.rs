//! Plugin files for the tests of this module: real libraries, built by the C compiler on first use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::OnceLock,
};

use token_plugin_api::abi::manifest::{MAGIC, SECTION_ELF};

use super::image::ROOT_SYMBOL;

/// A library that looks like a plugin; each field is something a test may get wrong.
pub(super) struct Plugin {
    pub(super) abi_level: &'static str,
    pub(super) panic: &'static str,
    pub(super) section: &'static str,
    pub(super) root: &'static str,
}

impl Default for Plugin {
    fn default() -> Self {
        Self { abi_level: "1", panic: "unwind", section: SECTION_ELF, root: ROOT_SYMBOL }
    }
}

impl Plugin {
    pub(super) fn build(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("fixture.c"), folder.path().join("fixture.so"));
        fs::write(&source, self.source()).unwrap();
        run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source));
        fs::read(&library).unwrap()
    }

    /// With a constructor, thread-local data and a call into libc, to have all the usual tables.
    fn source(&self) -> String {
        let manifest: Vec<String> = self.manifest().iter().map(u8::to_string).collect();
        format!(
            r#"
            #include <stdlib.h>
            __attribute__((section("{}"), used)) static const unsigned char manifest[] = {{ {} }};
            const char *const {}[8] = {{ "root" }};
            __thread int counter = 3;
            __attribute__((constructor)) static void start(void) {{ free(malloc(counter)); }}
            "#,
            self.section,
            manifest.join(","),
            self.root
        )
    }

    fn manifest(&self) -> Vec<u8> {
        let body = format!(
            "name=fixture\0version=1.2.3\0abi={}\0api=1.0.0\0rustc=none\0panic={}\0hook=handler\0",
            self.abi_level, self.panic
        );
        [MAGIC.as_slice(), &u32::try_from(body.len()).unwrap().to_le_bytes(), body.as_bytes()].concat()
    }
}

/// One that is right, built once.
pub(super) fn plugin() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| Plugin::default().build())
}

pub(super) fn stripped() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("fixture.so");
    fs::write(&library, plugin()).unwrap();
    run(Command::new("strip").arg(&library));
    fs::read(&library).unwrap()
}

/// Where the compiler finds a library of the system, links resolved.
pub(super) fn system_library(name: &str) -> PathBuf {
    let output = Command::new("cc").arg(format!("-print-file-name={name}")).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).canonicalize().unwrap()
}

/// The offset in the file of the dynamic table's entry with this tag.
pub(super) fn dynamic_entry(bytes: &[u8], tag: u64) -> usize {
    use object::{Object, ObjectSection};

    let file = object::File::parse(bytes).unwrap();
    let (offset, size) = file.section_by_name(".dynamic").unwrap().file_range().unwrap();
    let (offset, end) = (usize::try_from(offset).unwrap(), usize::try_from(offset + size).unwrap());
    (offset..end).step_by(16).find(|&at| bytes[at..at + 8] == tag.to_ne_bytes()).unwrap()
}

pub(super) fn opens_without_a_crash(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("fixture.so");
    fs::write(&library, bytes).unwrap();
    open_in_a_child(&library).code().is_some()
}

/// Loads a library in a process of its own, which exits with 0 when it worked, 1 when the dynamic
/// loader refused it.
pub(super) fn open_in_a_child(library: &Path) -> ExitStatus {
    static OPENER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, opener) = OPENER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, opener) = (folder.path().join("open.c"), folder.path().join("open"));
        let program = "#include <dlfcn.h>\nint main(int n, char **v) { return dlopen(v[1], RTLD_NOW) ? 0 : 1; }";
        fs::write(&source, program).unwrap();
        run(Command::new("cc").arg("-o").arg(&opener).arg(&source).arg("-ldl"));
        (folder, opener)
    });
    Command::new(opener).arg(library).status().unwrap()
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
