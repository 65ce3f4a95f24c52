//! The panic fence: no panic of a plugin's code leaves the plugin.
//!
//! A panic that reaches a boundary function ends the process, and the host could not catch it
//! (every library has its own panic runtime). So all author code, `Drop` included, runs in here.
#![allow(unsafe_code)]

use std::{
    any::Any,
    mem::ManuallyDrop,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::services::HostServices;
use crate::{PluginError, PluginErrorKind, Result, bridge};

/// Runs author code: a panic comes out as an error with its message and, where known, its place.
pub(super) fn fenced<T>(services: &HostServices, code: impl FnOnce() -> Result<T>) -> Result<T> {
    bridge::entered(services.log_slot(), || {
        // Author code that panics may leave its own state torn; what is torn stays inside its instance.
        catch_unwind(AssertUnwindSafe(code))
            .unwrap_or_else(|payload| Err(PluginError::new(PluginErrorKind::Panicked, describe(payload))))
    })
}

fn describe(payload: Box<dyn Any + Send>) -> String {
    let mut message = bridge::payload_message(&*payload);
    if let Some(place) = bridge::place_of_panic(&message) {
        message = format!("{message}{AT}{place}");
    }
    // The payload is the author's too: its `Drop` may panic in turn. Then it is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
    message
}

/// Stands before the place of a panic.
const AT: &str = ", at ";

/// A panic's message may quote what the code was about: slicing a token at a bad place does. Where it
/// holds a piece of the token, only its place is told.
pub(super) fn without_token<T>(result: Result<T>, token: &str) -> Result<T> {
    /// Shorter pieces say nothing: `dstok_` is in many messages.
    const PIECE_BYTES: usize = 8;
    let quotes = |text: &str| {
        let piece = PIECE_BYTES.min(token.len()).max(1);
        let mut pieces = token.as_bytes().windows(piece);
        pieces.any(|piece| text.as_bytes().windows(piece.len()).any(|part| part == piece))
    };
    result.map_err(|error| {
        if *error.kind() != PluginErrorKind::Panicked || !quotes(error.message()) {
            return error;
        }
        let place = error.message().rsplit_once(AT).map(|(_, place)| place).filter(|place| !quotes(place));
        let place = place.unwrap_or("an unknown place");
        PluginError::new(PluginErrorKind::Panicked, format!("a message that quotes the token{AT}{place}"))
    })
}

/// The same for what was asked with several things that must not be told: of a panic only its place is.
pub(super) fn without_what_was_asked<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| {
        if *error.kind() != PluginErrorKind::Panicked {
            return error;
        }
        let place = error.message().rsplit_once(AT).map_or("an unknown place", |(_, place)| place);
        PluginError::new(PluginErrorKind::Panicked, format!("while it used a store{AT}{place}"))
    })
}

/// A value of the author's that is dropped inside the fence; what goes wrong is told to the host.
pub(super) struct Guarded<T> {
    value: ManuallyDrop<T>,
    services: Arc<HostServices>,
    what: &'static str,
}

impl<T> Guarded<T> {
    pub(super) fn new(value: T, services: Arc<HostServices>, what: &'static str) -> Self {
        Self { value: ManuallyDrop::new(value), services, what }
    }

    pub(super) fn services(&self) -> &Arc<HostServices> {
        &self.services
    }

    /// The value, no longer guarded.
    pub(super) fn into_inner(mut self) -> T {
        // SAFETY: `self` is forgotten below, so the value is neither used nor dropped again.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        // SAFETY: the same for the other field that owns something.
        let services = unsafe { std::ptr::read(&self.services) };
        std::mem::forget(self);
        drop(services);
        value
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let dropped = fenced(&self.services, || {
            // SAFETY: this is `drop`, which runs once, and the field is not touched after it.
            unsafe { ManuallyDrop::drop(&mut self.value) };
            Ok(())
        });
        if let Err(error) = dropped {
            self.services.fault(format!("{} {error} while it was dropped", self.what));
        }
    }
}

/// A future of the author's: polled and dropped inside the fence.
pub(super) struct FencedFuture<F>(Option<Guarded<Pin<Box<F>>>>);

impl<F> FencedFuture<F> {
    pub(super) fn new(future: F, services: Arc<HostServices>) -> Self {
        Self(Some(Guarded::new(Box::pin(future), services, "a future")))
    }
}

impl<T, F: Future<Output = Result<T>>> Future for FencedFuture<F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Some(guarded) = &mut self.0 else {
            return Poll::Ready(Err(PluginError::failed("a future was polled after it was done")));
        };
        let services = Arc::clone(&guarded.services);
        let polled = fenced(&services, || Ok(guarded.value.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => {
                self.0 = None;
                Poll::Ready(result)
            }
            Err(panicked) => {
                self.0 = None;
                Poll::Ready(Err(panicked))
            }
        }
    }
}
