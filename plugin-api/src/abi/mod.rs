//! The boundary. Authors never see it: [`v1`] holds the frozen types, [`convert`] turns them into
//! plain Rust and back at once, the fence keeps panics inside, and the export macro ties it together.

pub mod convert;
pub mod export;
pub mod extension;
mod fence;
pub mod manifest;
pub mod metrics;
mod objects;
pub(crate) mod services;
pub mod stores;
pub mod v1;
