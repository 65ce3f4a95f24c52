//! The check `restrictions`: a restricted token's actor may do what was asked for, nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    creation::described,
    handler::{Handler, is_refusal},
    report::{Checked, failed, skipped},
};
use crate::{TokenRestrictions, Verdict};

pub(super) fn restrictions(handler: &Handler<'_>) -> Checked {
    handler.good_token(&handler.request())?;
    let nothing = TokenRestrictions::nothing;
    let cases = [
        ("to one action", nothing().allow_all("view-instance")),
        ("to actions on a database", nothing().allow_database("docs", "view-query").allow_database("docs", "es")),
        ("to an action on a resource", nothing().allow_resource("docs", "pages", "insert-row")),
        (
            "at all three levels",
            nothing()
                .allow_all("view-instance")
                .allow_database("docs", "view-database")
                .allow_resource("docs", "pages \"and\" more", "update-row")
                .allow_resource("other", "pages", "an-action-of-a-plugin"),
        ),
        ("to nothing", nothing()),
    ];
    let mut refused = 0;
    for (how, asked) in &cases {
        let created = match handler.create(&handler.restricted(asked.clone())) {
            Ok(created) => created,
            Err(error) if is_refusal(&error) => {
                refused += 1;
                continue;
            }
            Err(error) => {
                let error = handler.quotable(&error);
                return failed(format!("creation of a token restricted {how} got an error: {error}"));
            }
        };
        match handler.verify(&created.token) {
            Ok(Verdict::Accepted(actor)) => match actor.restrictions() {
                None => return failed(format!("a token restricted {how} came back without restrictions")),
                Some(got) => expect_same(how, asked, got)?,
            },
            other => {
                return failed(format!(
                    "a token restricted {how} {}, expected it to be accepted",
                    described(handler, &other)
                ));
            }
        }
    }
    if refused == cases.len() { skipped("it refuses restrictions") } else { Ok(()) }
}

/// Compares by what is allowed: an abbreviation or another order is no difference.
fn expect_same(how: &str, asked: &TokenRestrictions, got: &TokenRestrictions) -> Checked {
    if asked == got {
        return Ok(());
    }
    let actions: BTreeSet<_> = asked.actions().chain(got.actions()).chain(["view-instance", "drop-table"]).collect();
    let mut places = BTreeSet::from([(None, None), named("elsewhere", None), named("elsewhere", Some("else"))]);
    for restrictions in [asked, got] {
        collect_places(restrictions, &mut places);
    }
    for action in &actions {
        for (database, resource) in &places {
            let allowed = |by: &TokenRestrictions| by.allows(action, database.as_deref(), resource.as_deref());
            if allowed(asked) != allowed(got) {
                let verb = if allowed(got) { "allows" } else { "does not allow" };
                let place: Vec<_> = [database, resource].into_iter().flatten().map(String::as_str).collect();
                let place = if place.is_empty() { "the instance".to_owned() } else { format!("`{}`", place.join("/")) };
                return failed(format!(
                    "a token restricted {how} came back so that it {verb} `{action}` on {place}, expected what was asked for"
                ));
            }
        }
    }
    Ok(())
}

type Place = (Option<String>, Option<String>);

fn named(database: &str, resource: Option<&str>) -> Place {
    (Some(database.to_owned()), resource.map(str::to_owned))
}

/// Every database and resource that is named, and for each database one resource that is not.
fn collect_places(restrictions: &TokenRestrictions, places: &mut BTreeSet<Place>) {
    // As JSON it can be walked through; it is an object with string keys, which can always be written.
    let written = serde_json::to_value(restrictions).unwrap_or_default();
    let keys = |value: &Value| value.as_object().map_or_else(Vec::new, |map| map.keys().cloned().collect::<Vec<_>>());
    for database in keys(&written["d"]).into_iter().chain(keys(&written["r"])) {
        places.insert(named(&database, None));
        places.insert(named(&database, Some("else")));
        for resource in keys(&written["r"][&database]) {
            places.insert(named(&database, Some(&resource)));
        }
    }
}
