//! A plugin's figures at the boundary: the extension `metrics/1`.

// What `sabi_trait` generates beside these items carries no docs and no lint discipline of ours.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    missing_debug_implementations,
    clippy::all,
    non_local_definitions,
    non_camel_case_types
)]

use std::sync::Arc;

use abi_stable::{
    StableAbi,
    sabi_trait::TD_Opaque,
    std_types::{RBox, RResult, RString},
};

use super::{
    convert::{error_from_v1, result_to_v1},
    fence::{Guarded, fenced},
    objects::to_json,
    v1::ErrorV1,
};
use crate::{Hooks, Metric, PluginError, Result};

/// The extension's id.
pub const METRICS: &str = "metrics/1";

/// What tells figures, as it crosses.
#[repr(C)]
#[derive(StableAbi)]
pub struct MetricsEntryV1 {
    pub metrics: Metrics,
}

pub type Metrics = MetricsV1_TO<RBox<()>>;

/// Something that tells figures.
#[abi_stable::sabi_trait]
pub trait MetricsV1: Send + Sync + 'static {
    /// JSON: a list of [`Metric`]s.
    fn metrics(&self) -> RResult<RString, ErrorV1>;
}

impl MetricsEntryV1 {
    /// The figures as they are now; those that are not sound, and more than there may be, are left out.
    ///
    /// # Errors
    ///
    /// When the plugin's code panicked, or told something that is no list of figures.
    pub fn now(&self) -> Result<Vec<Metric>> {
        let text = self.metrics.metrics().into_result().map_err(error_from_v1)?;
        let metrics: Vec<Metric> = serde_json::from_str(&text).map_err(PluginError::failed)?;
        Ok(metrics.into_iter().filter(Metric::is_sound).take(Metric::MOST).collect())
    }
}

struct Object<F>(Guarded<F>);

impl<F: Fn() -> Vec<Metric> + Send + Sync + 'static> MetricsV1 for Object<F> {
    fn metrics(&self) -> RResult<RString, ErrorV1> {
        result_to_v1(fenced(self.0.services(), || to_json(Ok((*self.0)()))))
    }
}

impl Hooks {
    pub(crate) fn put_metrics(&mut self, measure: impl Fn() -> Vec<Metric> + Send + Sync + 'static) {
        let measure = Guarded::new(measure, Arc::clone(&self.host().0), "what tells metrics");
        let metrics = Metrics::from_value(Object(measure), TD_Opaque);
        self.extension(METRICS, MetricsEntryV1 { metrics });
    }
}
