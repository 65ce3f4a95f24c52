//! From an examined file to a loaded image: the one caller of `libloading`.
//!
//! Images are never unloaded. Thread-local destructors of a plugin would make that unsound, and so
//! may its read-only strings, which the host keeps as `'static`.
#![allow(unsafe_code)]

use std::{
    collections::{HashMap, HashSet},
    fmt,
    mem::ManuallyDrop,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use abi_stable::library::{AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use libloading::Library;
use token_plugin_api::abi::v1::PluginRoot_Ref;

use crate::{
    admit::{Examined, Sealed},
    status::Libraries,
};

/// A plugin library in this process.
pub(crate) struct Image {
    pub(crate) root: PluginRoot_Ref,
    pub(crate) sha256: [u8; 32],
    _library: ManuallyDrop<Library>,
    _sealed: Sealed,
}

/// Every image that this process loaded, by the SHA-256 of its file: a file that is named twice,
/// or unchanged at a reload, is mapped once. One that did not fit stays mapped as well, so what was
/// wrong with it is kept, and it is not loaded again.
#[derive(Default)]
pub(crate) struct Images(Mutex<HashMap<[u8; 32], Loaded>>);

struct Loaded {
    image: Result<Arc<Image>, String>,
    size_bytes: usize,
}

impl Images {
    /// The image of these very bytes.
    ///
    /// # Errors
    ///
    /// One sentence: the file could not be sealed or loaded, or its layout is not the host's.
    pub(crate) fn load(&self, examined: &Examined) -> Result<Arc<Image>, String> {
        let images = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = images().get(examined.sha256()) {
            return loaded.image.clone();
        }
        // Nothing is locked meanwhile: who asks how the host is doing is answered also while a constructor hangs. A host
        // builds one generation at a time, so nobody loads the same file.
        let sealed = examined.seal().map_err(|refusal| refusal.to_string())?;
        // On one thread, as one piece: what was opened is mapped for good, whether it fits or not.
        let load = || Opened::new(sealed, examined).map(|opened| opened.image(examined));
        let image = on_a_thread(load).unwrap_or_else(Err)?.map(Arc::new);
        images().insert(*examined.sha256(), Loaded { image: image.clone(), size_bytes: examined.bytes().len() });
        image
    }

    /// What is mapped, and what of it is none of these.
    pub(crate) fn libraries(&self, used: &HashSet<[u8; 32]>) -> Libraries {
        let images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut libraries = Libraries::default();
        for (sha256, loaded) in images.iter() {
            libraries.mapped += 1;
            libraries.mapped_bytes += loaded.size_bytes;
            if !used.contains(sha256) {
                libraries.superseded += 1;
                libraries.superseded_bytes += loaded.size_bytes;
            }
        }
        libraries
    }
}

/// Runs code of a library on a thread of its own. What it leaves in thread-locals is gone with the thread; and its stack
/// looks the same in every process, so that what survived a preflight meets nothing else here.
///
/// # Errors
///
/// When no thread can be started, or the code panicked, which what comes from a library does not.
pub(crate) fn on_a_thread<T: Send>(code: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("token-host-load".to_owned()).spawn_scoped(scope, code);
        let thread = thread.map_err(|error| format!("no thread could be started: {error}"))?;
        thread.join().map_err(|_| "the thread that was to load it panicked".to_owned())
    })
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Images").field(&self.libraries(&HashSet::new())).finish()
    }
}

/// A library that is mapped, of which nobody knows yet whether it fits.
struct Opened {
    library: ManuallyDrop<Library>,
    sealed: Sealed,
}

impl Opened {
    fn new(sealed: Sealed, examined: &Examined) -> Result<Self, String> {
        let path = examined.path().display();
        // SAFETY: loading runs the library's constructors. The bytes were examined and sealed (`admit`), so the
        // loader maps a whole, well-formed library that nobody can change; what its constructors do is the
        // author's word, as with every plugin that runs in this process.
        let opened = unsafe { open(&sealed) };
        match opened {
            Ok(library) => Ok(Self { library: ManuallyDrop::new(library), sealed }),
            Err(error) => {
                sealed.discard();
                Err(format!("cannot load {path}: {error}"))
            }
        }
    }

    fn image(self, examined: &Examined) -> Result<Image, String> {
        let Self { library, sealed } = self;
        let path = examined.path().display();
        // SAFETY: `abi_stable` exports a `LibHeader` under this name, whose address is an `AbiHeaderRef`. That the
        // symbol is defined was checked at admission; that it is `abi_stable`'s, its magic bytes tell `upgrade`.
        let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
        let header: AbiHeaderRef = *header.map_err(|error| format!("cannot load {path}: {error}"))?;
        let header = header.upgrade().map_err(|error| describe(&path, &error))?;
        if header.layout().is_none() {
            return Err(format!("cannot load {path}: it opted out of the layout check, so nobody can tell if it fits"));
        }
        let root = header.init_root_module::<PluginRoot_Ref>().map_err(|error| describe(&path, &error))?;
        Ok(Image { root, sha256: *examined.sha256(), _library: library, _sealed: sealed })
    }
}

/// # Safety
///
/// As for `dlopen`: the library's constructors run.
#[cfg(unix)]
unsafe fn open(sealed: &Sealed) -> Result<Library, libloading::Error> {
    use libloading::os::unix;
    // Everything is bound at once, so that a missing symbol is an error here and not a crash later; and nothing of
    // one plugin is visible to another.
    // SAFETY: the caller's.
    unsafe { unix::Library::open(Some(sealed.load_path()), unix::RTLD_NOW | unix::RTLD_LOCAL) }.map(Library::from)
}

/// # Safety
///
/// As for `LoadLibrary`: the library's `DllMain` runs.
#[cfg(not(unix))]
unsafe fn open(sealed: &Sealed) -> Result<Library, libloading::Error> {
    // SAFETY: the caller's.
    unsafe { Library::new(sealed.load_path()) }
}

/// One sentence for people; the layout dump, which runs over pages, for the debug log.
fn describe(path: &impl fmt::Display, error: &LibraryError) -> String {
    tracing::debug!(path = %path, %error, "a plugin does not fit");
    match error {
        LibraryError::AbiInstability(_) => {
            format!(
                "cannot load {path}: the layout of its interface is not this host's, expected a plugin built with token-plugin-api 1.x"
            )
        }
        LibraryError::InvalidAbiHeader(_) => {
            format!("cannot load {path}: it was built with another version of abi_stable, expected 0.11")
        }
        LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
            format!(
                "cannot load {path}: it was built with token-plugin-api {actual_version}, expected {expected_version} or a compatible version"
            )
        }
        LibraryError::RootModule { .. } => format!("cannot load {path}: its root module could not be initialized"),
        _ => format!("cannot load {path}: it is no plugin of this interface"),
    }
}
