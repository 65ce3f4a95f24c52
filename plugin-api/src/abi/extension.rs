//! [`ExtensionV1`]: a typed object that level 1 of the ABI carries without knowing its type.
//!
//! This is how the interface grows. Both sides name an extension by a string with a version in it
//! (`"stores/1"`) and agree on a type for it; the type's layout travels with the object and is
//! checked before it is used, as the root's is when a library is loaded.
#![allow(unsafe_code)]

use abi_stable::{
    StableAbi, abi_stability::abi_checking::check_layout_compatibility, pointer_trait::TransmuteElement,
    std_types::RBox, type_layout::TypeLayout,
};

/// An object of a type that only the two ends know.
#[repr(C)]
#[derive(StableAbi)]
pub struct ExtensionV1 {
    layout: &'static TypeLayout,
    object: RBox<()>,
}

// SAFETY: `ExtensionV1::new`, the only constructor, takes objects that are `Send` and `Sync`.
unsafe impl Send for ExtensionV1 {}
// SAFETY: as above; the only access to the object is a shared reference from `downcast_ref`.
unsafe impl Sync for ExtensionV1 {}

impl std::fmt::Debug for ExtensionV1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtensionV1").field("type", &self.layout.name()).finish_non_exhaustive()
    }
}

impl ExtensionV1 {
    /// Packs an object.
    pub fn new<T: StableAbi + Send + Sync + 'static>(object: T) -> Self {
        let object = RBox::new(object);
        // SAFETY: an `RBox` frees its content through a function stored in it, which knows the
        // real type; as an `RBox<()>` the content is not touched until `downcast_ref`.
        let object = unsafe { object.transmute_element::<()>() };
        Self { layout: T::LAYOUT, object }
    }

    /// The object itself, when it is a `T` in the layout that this side knows; else what it was.
    ///
    /// # Errors
    ///
    /// The object, unchanged, when it is none.
    pub fn downcast<T: StableAbi + Send + Sync + 'static>(self) -> Result<T, Self> {
        if check_layout_compatibility(T::LAYOUT, self.layout).is_err() {
            return Err(self);
        }
        // SAFETY: the box was made from a box of the type with `self.layout`, which was just found to be compatible with
        // `T`'s: same name, package, size, alignment and fields.
        let object = unsafe { self.object.transmute_element::<T>() };
        Ok(RBox::into_inner(object))
    }

    /// The object, when it is a `T` in the layout that this side knows.
    pub fn downcast_ref<T: StableAbi + Send + Sync + 'static>(&self) -> Option<&T> {
        check_layout_compatibility(T::LAYOUT, self.layout).is_ok().then(|| {
            let object: *const () = &raw const *self.object;
            // SAFETY: the box holds an object of the type with `self.layout`, which was just found to be
            // compatible with `T`'s: same name, package, size, alignment and fields.
            unsafe { &*object.cast::<T>() }
        })
    }
}

#[cfg(test)]
mod tests {
    use abi_stable::std_types::RString;

    use super::*;

    #[test]
    fn comes_out_as_what_went_in_and_as_nothing_else() {
        let extension = ExtensionV1::new(RString::from("store"));
        assert!(extension.downcast_ref::<u64>().is_none());
        assert_eq!(extension.downcast_ref::<RString>().unwrap(), "store");
        let extension = extension.downcast::<u64>().unwrap_err();
        assert_eq!(extension.downcast::<RString>().unwrap(), "store");
    }
}
