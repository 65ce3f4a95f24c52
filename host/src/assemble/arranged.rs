//! Puts what was made into call order, and says of each why it stands where it does.

use std::sync::Arc;

use token_plugin_api::abi::{convert::GeneratorDetails, manifest::Hook};

use crate::{
    admit,
    breaker::Rules,
    config::{OnError, Severity},
    metrics::Metrics,
    order::{Registration, call_order},
    registry::{HandlerSlot, Parts, PluginRow, Slot},
    stores::StoreSlot,
};

use super::{Made, finding_list::FindingList, planned::Registered};

/// The places of these plugins in call order: for each place which of them, and whether it is there as a wrapper.
///
/// A plugin's wrappers are one registration, everything else in it another one.
pub(crate) fn places<'r>(registered: impl Iterator<Item = &'r Registered>) -> Vec<(usize, bool)> {
    let registrations: Vec<Registration> = registered
        .flat_map(|registered| {
            let (tryfirst, trylast) = registered.flags();
            let name = &registered.entry.name;
            [true, false].map(|wrapper| Registration { name: name.clone(), tryfirst, trylast, wrapper })
        })
        .collect();
    call_order(&registrations).into_iter().map(|place| (place / 2, registrations[place].wrapper)).collect()
}

/// Puts everything into call order.
pub(super) fn arrange(made: Vec<Made>, metrics: &Metrics) -> Parts {
    let mut parts = Parts::default();
    let (mut sinks, mut generators, mut stores) = (Vec::new(), Vec::new(), Vec::new());
    for (place, as_wrapper) in places(made.iter().map(|made| &made.registered)) {
        let Made { instance, registered, .. } = &made[place];
        let (entry, (tryfirst, trylast)) = (&registered.entry, registered.flags());
        let slot = |index| Slot { instance: Arc::clone(instance), index, deadline: entry.deadline };
        let deadline_ms = Some(u64::try_from(entry.deadline.as_millis()).unwrap_or(u64::MAX));
        let row = |name: &str, kind: Hook| PluginRow {
            name: name.to_owned(),
            plugin: entry.name.clone(),
            kind: kind.name(),
            tryfirst,
            trylast,
            wrapper: kind == Hook::Wrapper,
            reason: registered.reason(place),
            file: registered.file.as_ref().map(|file| file.path.display().to_string()),
            sha256: registered.file.as_ref().map(|file| admit::hexadecimal(&file.sha256)),
            version: registered.file.as_ref().map(|file| file.manifest.version.clone()),
            abi_level: registered.file.as_ref().map(|file| file.manifest.abi_level),
            rustc: registered.file.as_ref().map(|file| file.manifest.rustc.clone()),
            execution: None,
            pattern: None,
            claims: Vec::new(),
            on_error: None,
            deadline_ms: None,
            state: None,
            failures_in_a_row: None,
            last_failure: None,
            slow_calls: None,
            generation: instance.generation,
        };
        if as_wrapper {
            for (index, wrapper) in instance.wrappers.iter().enumerate() {
                parts.wrappers.push(slot(index));
                parts.rows.push(row(&wrapper.name, Hook::Wrapper));
            }
            continue;
        }
        for (index, handler) in instance.handlers.iter().enumerate() {
            parts.handlers.push(HandlerSlot::new(slot(index), entry, metrics));
            parts.rows.push(PluginRow {
                execution: Some(handler.execution()),
                claims: handler.claims.clone(),
                on_error: Some(if entry.on_error == OnError::Stop { "stop" } else { "continue" }),
                deadline_ms: deadline_ms.filter(|_| !handler.is_inline()),
                ..row(&handler.name, Hook::TokenHandler)
            });
        }
        for (index, sink) in instance.sinks.iter().enumerate() {
            parts.sinks.push(slot(index));
            let deadline_ms = deadline_ms.filter(|_| sink.required);
            sinks.push(PluginRow { deadline_ms, ..row(&sink.name, Hook::EventSink) });
        }
        for generator in &instance.generators {
            parts.generators.push(Arc::clone(generator));
            let GeneratorDetails { pattern, .. } = GeneratorDetails::from_v1(&generator.details);
            generators.push(PluginRow { pattern, ..row(&generator.id, Hook::TokenGenerator) });
        }
        for (index, store) in instance.stores.iter().enumerate() {
            let (slot, manage_deadline) = (slot(index), entry.manage_deadline);
            parts.stores.push(Arc::new(StoreSlot { slot, manage_deadline, rules: Rules::of(entry) }));
            let name = format!("{} ({})", store.name, store.kind.name());
            stores.push(PluginRow { deadline_ms, ..row(&name, Hook::Store) });
        }
    }
    parts.rows.extend(sinks.into_iter().chain(generators).chain(stores));
    parts.instances = made.into_iter().map(|made| made.instance).collect();
    parts
}

/// Two handlers may have one name, as in Datasette; by name only the first is reached.
pub(super) fn warn_of_shadowed_names(parts: &Parts, findings: &mut FindingList<'_>) {
    for (place, later) in parts.handlers.iter().enumerate() {
        if let Some(first) = parts.handlers[..place].iter().find(|first| first.name() == later.name()) {
            let message = format!(
                "its handler \"{}\" cannot be chosen by name: plugin \"{}\" has one of the same name before it",
                later.name(),
                first.plugin()
            );
            findings.add(Severity::Warning, None, Some(later.plugin()), message);
        }
    }
}
