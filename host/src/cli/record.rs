//! What is known of a token, for people.

use serde::Serialize;
use token_host::TokenRecord;

use super::{
    exit::Failure,
    output::{Output, json_text, one_line},
    time::{shown, shown_if_any},
};

/// Prints everything, a line each; what is not known has none.
pub(crate) fn print(record: &TokenRecord, now: u64, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(record);
    }
    let extra = (!record.extra.is_empty()).then_some(&record.extra);
    for (name, value) in [
        ("id", record.id.clone()),
        ("actor", record.actor_id.clone()),
        ("state", state(record, now)),
        ("hint", record.hint.clone().unwrap_or_default()),
        ("generator", record.token_generator_id.clone().unwrap_or_default()),
        ("created", shown_if_any(record.created_at)),
        ("updated", shown_if_any(record.updated_at)),
        ("last used", shown_if_any(record.last_used_at)),
        ("expires", record.expires_at.map_or("never".to_owned(), shown)),
        ("note", record.note.clone().unwrap_or_default()),
        ("restrictions", json(record.restrictions.as_ref())),
        ("policy", json(record.policy.as_ref())),
        ("auto-generated", if record.auto_generated { "yes" } else { "no" }.to_owned()),
        ("extra", json(extra)),
    ] {
        if !value.is_empty() {
            output.line(&format!("{name}: {}", one_line(&value)))?;
        }
    }
    Ok(())
}

fn json(value: Option<&impl Serialize>) -> String {
    value.and_then(|value| json_text(value).ok()).unwrap_or_default()
}

/// `valid`, `valid, deprecated`, `expired`, `invalid since 2026-11-21 15:27:59 UTC: it leaked`
pub(crate) fn state(record: &TokenRecord, now: u64) -> String {
    if !record.valid {
        let since = record.invalid_at.map(|at| format!(" since {}", shown(at))).unwrap_or_default();
        let reason = record.invalid_reason.as_deref().filter(|reason| !reason.is_empty());
        return format!("invalid{since}{}", reason.map(|reason| format!(": {reason}")).unwrap_or_default());
    }
    let state = if record.expires_at.is_some_and(|at| now >= at) { "expired" } else { "valid" };
    format!("{state}{}", if record.deprecated { ", deprecated" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_of_these() {
        let mut record = TokenRecord::new("1", "ann", 0);
        assert_eq!(state(&record, 10), "valid");
        record.expires_at = Some(10);
        assert_eq!((state(&record, 9), state(&record, 10)), ("valid".to_owned(), "expired".to_owned()));
        record.deprecated = true;
        assert_eq!(
            (state(&record, 9), state(&record, 10)),
            ("valid, deprecated".to_owned(), "expired, deprecated".to_owned())
        );
        record.valid = false;
        assert_eq!(state(&record, 10), "invalid");
        (record.invalid_at, record.invalid_reason) = (Some(5), Some(String::new()));
        assert_eq!(state(&record, 10), "invalid since 1970-01-01 00:00:05 UTC");
        record.invalid_reason = Some("it leaked".to_owned());
        assert_eq!(state(&record, 10), "invalid since 1970-01-01 00:00:05 UTC: it leaked");
    }
}
