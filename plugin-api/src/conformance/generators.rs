//! The checks `generators` and `generator_checksums`: a generator's values differ, and it knows them again.

use std::collections::BTreeSet;

use super::{
    instance::Instance,
    report::{Checked, failed, skipped},
};
use crate::{PluginError, PluginErrorKind, abi::v1::TokenGeneratorEntryV1};

const VALUES: usize = 50;

pub(super) fn generators(instance: &Instance, index: usize) -> Checked {
    let entry = instance.generator(index)?;
    let values = values(instance, entry)?;
    if values.iter().collect::<BTreeSet<_>>().len() < VALUES {
        return failed(format!("of {VALUES} values some are the same, expected each to differ"));
    }
    for value in &values {
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_graphic()) {
            return failed("a value has other characters than printable ASCII, expected one that fits into a header");
        }
        match instance.validate(entry, value) {
            Ok(true) => {}
            Ok(false) => return failed("a value that it made does not validate, expected it to"),
            Err(error) => return cannot_tell(instance, &error),
        }
    }
    Ok(())
}

/// One character is changed at a time, to one that another value has at that place: what then does not validate is not
/// refused for its form.
pub(super) fn generator_checksums(instance: &Instance, index: usize) -> Checked {
    let entry = instance.generator(index)?;
    let values: Vec<_> = values(instance, entry)?.into_iter().filter(|value| value.is_ascii()).collect();
    let Some((first, others)) = values.split_first() else { return skipped("its values are not ASCII") };
    let (mut tried, mut missed) = (0_usize, Vec::new());
    for (at, was) in first.bytes().enumerate() {
        let Some(instead) = others.iter().filter_map(|other| other.as_bytes().get(at)).find(|byte| **byte != was)
        else {
            continue;
        };
        let changed = format!("{}{}{}", &first[..at], char::from(*instead), &first[at + 1..]);
        tried += 1;
        match instance.validate(entry, &changed) {
            Ok(true) => missed.push((at + 1).to_string()),
            Ok(false) => {}
            Err(error) => return cannot_tell(instance, &error),
        }
    }
    match missed.len() {
        _ if tried == 0 => skipped("its values do not differ"),
        0 => Ok(()),
        // Most are refused, so there is a checksum.
        some if some * 2 < tried => failed(format!(
            "its checksum misses a change of the character at {}, expected every change to be found",
            missed.join(", ")
        )),
        _ => skipped("it validates changed values too: it has no checksum"),
    }
}

fn values(instance: &Instance, entry: &TokenGeneratorEntryV1) -> Checked<Vec<String>> {
    let values: crate::Result<Vec<_>> = (0..VALUES).map(|_| instance.generate(entry)).collect();
    values.or_else(|error| cannot_tell(instance, &error))
}

fn cannot_tell<T>(instance: &Instance, error: &PluginError) -> Checked<T> {
    match error.kind() {
        PluginErrorKind::MissingTokenInfo(key) => {
            skipped(format!("it makes no values without the `token_info` key `{key}`"))
        }
        _ => failed(format!("it got an error: {}", instance.ledger.quotable(&error.to_string()))),
    }
}
