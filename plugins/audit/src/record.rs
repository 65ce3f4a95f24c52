//! [`Record`]: an event as it is written down, cut to a size that a line has room for.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Map, Value};
use token_plugin_api::{Event, EventKind};

/// What a line says of an event, beside its kind and time.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'e> {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_id: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    auto_generated: bool,
    #[serde(skip_serializing_if = "Map::is_empty")]
    context: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
    /// What does not stand here as a whole, with the bytes that it has in JSON.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cut: BTreeMap<&'static str, usize>,
}

impl<'e> Record<'e> {
    pub(crate) fn of(event: &'e Event) -> Self {
        let mut cut = BTreeMap::new();
        let mut text = |name, text: &'e Option<String>| {
            let text = text.as_deref()?;
            let (kept, whole) = shortened(text, MAX_TEXT_BYTES);
            whole.map(|bytes| cut.insert(name, bytes));
            Some(Cow::Borrowed(kept))
        };
        let (handler, actor_id) = (text("handler", &event.handler), text("actor_id", &event.actor_id));
        let (token_id, reason) = (text("token_id", &event.token_id), text("reason", &event.reason));
        let mut object = |name, object, max_bytes| {
            let (kept, whole) = lightened(object, max_bytes);
            whole.map(|bytes| cut.insert(name, bytes));
            kept
        };
        let context = object("context", context(event), MAX_CONTEXT_BYTES);
        let extra = object("extra", event.extra.clone(), MAX_EXTRA_BYTES);
        Self {
            outcome: outcome(event.kind),
            handler,
            actor_id,
            token_id,
            reason,
            auto_generated: event.auto_generated,
            context,
            extra,
            cut,
        }
    }
}

/// The event's kind as text.
pub(crate) fn kind(kind: EventKind) -> Cow<'static, str> {
    match serde_json::to_value(kind) {
        Ok(Value::String(name)) => Cow::Owned(name),
        // Kinds are written as strings.
        _ => Cow::Borrowed("unknown"),
    }
}

/// The beginning of a text that takes at most so many bytes in JSON; and how many the whole would, when it was cut.
pub(crate) fn shortened(text: &str, max_bytes: usize) -> (&str, Option<usize>) {
    let (mut bytes, mut end) = (0, None);
    for (at, character) in text.char_indices() {
        bytes += json_bytes(character);
        if bytes > max_bytes {
            end.get_or_insert(at);
        }
    }
    match end {
        None => (text, None),
        Some(end) => (&text[..end], Some(bytes)),
    }
}

/// What a character takes in a string of JSON, as `serde_json` writes it.
fn json_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

/// The words of the Elastic Common Schema: `event.outcome`.
fn outcome(kind: EventKind) -> &'static str {
    match kind {
        EventKind::TokenCreated | EventKind::TokenUsed | EventKind::TokenUpdated | EventKind::TokenInvalidated => {
            "success"
        }
        EventKind::TokenRejected | EventKind::TokenExpired => "failure",
        _ => "unknown",
    }
}

/// The event's context. Of the path only what is before the query, which may hold tokens (RFC 6750 §2.3).
fn context(event: &Event) -> Map<String, Value> {
    let Some(context) = &event.context else { return Map::new() };
    let Ok(Value::Object(mut context)) = serde_json::to_value(context) else { return Map::new() };
    if let Some(Value::String(path)) = context.get_mut("path")
        && let Some(query) = path.find(['?', '#'])
    {
        path.truncate(query);
    }
    context
}

/// As many members of an object as take at most so many bytes in JSON, each text in it shortened; and how many bytes
/// the whole would take, when it was cut.
fn lightened(object: Map<String, Value>, max_bytes: usize) -> (Map<String, Value>, Option<usize>) {
    let (mut whole, mut bytes, mut is_cut) = (0, 0, false);
    let mut kept = Map::new();
    for (name, mut value) in object {
        let around = json_length(&name) + ":,".len();
        whole += around + json_length(&value);
        if let Value::String(text) = &mut value
            && let (short, Some(_)) = shortened(text, MAX_TEXT_BYTES)
        {
            text.truncate(short.len());
            is_cut = true;
        }
        let length = around + json_length(&value);
        if bytes + length <= max_bytes {
            bytes += length;
            kept.insert(name, value);
        } else {
            is_cut = true;
        }
    }
    (kept, is_cut.then_some(whole))
}

fn json_length(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Values are plain data with string keys: writing them cannot fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// An id is shorter, and a reason is a sentence.
const MAX_TEXT_BYTES: usize = 1024;
/// Six texts of the greatest length.
const MAX_CONTEXT_BYTES: usize = 6 * (MAX_TEXT_BYTES + 32);
const MAX_EXTRA_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use token_audit_chain::{MAX_LINE_BYTES, Position, Seal, append};
    use token_plugin_api::RequestContext;

    use super::*;

    fn event(fields: Value) -> Event {
        serde_json::from_value(fields).unwrap()
    }

    fn written(fields: Value) -> Value {
        serde_json::to_value(Record::of(&event(fields))).unwrap()
    }

    #[test]
    fn an_event_is_written_with_all_it_has() {
        let all = json!({
            "kind": "token_created", "at": 5, "handler": "jwt", "actor_id": "root", "token_id": "j1", "reason": "why",
            "auto_generated": true, "context": { "client_address": "::1", "own": [1] }, "extra": { "n": 1 },
        });
        let expected = json!({
            "outcome": "success", "handler": "jwt", "actor_id": "root", "token_id": "j1", "reason": "why",
            "auto_generated": true, "context": { "client_address": "::1", "own": [1] }, "extra": { "n": 1 },
        });
        assert_eq!(written(all), expected);
        assert_eq!(written(json!({ "kind": "token_expired", "at": 5 })), json!({ "outcome": "failure" }));
        assert_eq!(written(json!({ "kind": "token_renamed", "at": 5 })), json!({ "outcome": "unknown" }));
        assert_eq!((kind(EventKind::TokenUsed), kind(EventKind::Unknown)), ("token_used".into(), "unknown".into()));
    }

    #[test]
    fn no_query_is_written() {
        for path in ["/db/table?_token=dstok_x&a=1", "/db/table#access_token=x", "/db/table"] {
            let context = json!({ "path": path, "method": "GET" });
            let written = written(json!({ "kind": "token_used", "at": 5, "context": context }));
            assert_eq!(written["context"], json!({ "path": "/db/table", "method": "GET" }));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_line_says_so() {
        let long = "é".repeat(1000);
        let written = written(json!({
            "kind": "token_used", "at": 5, "actor_id": long, "reason": "\u{1}".repeat(1000), "token_id": "j".repeat(1024),
            "context": { "user_agent": "u".repeat(5000), "method": "GET" },
            "extra": { "a": 1, "big": vec![0; 3000], "small": "s" },
        }));
        assert_eq!(written["actor_id"], "é".repeat(512));
        assert_eq!(written["reason"], "\u{1}".repeat(170));
        assert_eq!(written["token_id"], "j".repeat(1024));
        assert_eq!(written["context"], json!({ "user_agent": "u".repeat(1024), "method": "GET" }));
        assert_eq!(written["extra"], json!({ "a": 1, "small": "s" }));
        let cut = json!({ "actor_id": 2000, "reason": 6000, "context": 5031, "extra": 6026 });
        assert_eq!(written["cut"], cut);
    }

    #[test]
    fn the_longest_line_that_there_can_be_is_not_too_long() {
        for text in ["\u{1}", "\"", "é", "😀", "x"] {
            let mut longest = Event::new(EventKind::TokenInvalidated, u64::MAX);
            let long = Some(text.repeat(5000));
            (longest.handler, longest.actor_id) = (long.clone(), long.clone());
            (longest.token_id, longest.reason) = (long.clone(), long.clone());
            let mut context = RequestContext::default();
            (context.client_address, context.request_id) = (long.clone(), long.clone());
            (context.method, context.host) = (long.clone(), long.clone());
            (context.path, context.user_agent) = (long.clone(), long.clone());
            for number in 0..3000 {
                context.extra.insert(format!("{number}{}", text.repeat(number % 40)), json!(vec![text; number % 7]));
            }
            longest.extra = context.extra.clone();
            longest.context = Some(context);
            let mut line = Vec::new();
            let after = Position { sequence: u64::MAX, hash: Seal::Plain.hash(b"") };
            append(&mut line, &Seal::Plain, after, u64::MAX, "token_invalidated", &Record::of(&longest)).unwrap();
            assert!((8000..=MAX_LINE_BYTES).contains(&line.len()), "{} bytes", line.len());
        }
    }
}
