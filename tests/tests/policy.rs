//! Policies, held against real Djblets: what it says to a document, and what a document allows.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use token_host::Policy;
use token_host_tests::{Djblets, skipped};

#[test]
fn documents_allow_what_djblets_allows() {
    let Some(mut djblets) = skipped("documents_allow_what_djblets_allows", Djblets::start()) else { return };
    let mut random = Rng::with_seed(61);
    let (mut asked, mut allowed) = (0, 0);
    for _ in 0..20 {
        let cases: Vec<(Value, Vec<Asked>)> =
            (0..200).map(|_| (document(&mut random), (0..12).map(|_| Asked::any(&mut random)).collect())).collect();
        let written = |(document, asked): &(Value, Vec<Asked>)| {
            json!([
                document,
                asked.iter().map(|asked| json!([asked.resource, asked.method, asked.id])).collect::<Vec<_>>()
            ])
        };
        let question = json!({ "op": "allows", "cases": cases.iter().map(written).collect::<Vec<_>>() });
        let answers: Vec<Vec<bool>> = serde_json::from_value(djblets.ask(&question)["answers"].take()).unwrap();
        for ((document, requests), theirs) in cases.iter().zip(answers) {
            let policy = Policy::new(document).unwrap();
            for (Asked { resource, method, id }, theirs) in requests.iter().zip(theirs) {
                let ours = policy.allows(resource, method, *id);
                assert_eq!(ours, theirs, "{method} {resource} {id:?} by {document}");
                asked += 1;
                allowed += usize::from(ours);
            }
        }
    }
    assert_eq!(asked, 48_000);
    assert!((asked / 4..asked * 3 / 4).contains(&allowed), "{allowed} of {asked} say yes: neither answer is rare");
}

#[test]
fn faulty_documents_get_djblets_messages() {
    let Some(mut djblets) = skipped("faulty_documents_get_djblets_messages", Djblets::start()) else { return };
    let mut random = Rng::with_seed(62);
    let mut documents: Vec<Value> = vec![json!(null), json!([]), json!({}), json!({ "resources": null }), json!("{}")];
    documents.extend((0..6_000).map(|_| {
        let mut document = document(&mut random);
        (0..random.u8(1..3)).for_each(|_| damage(&mut document, &mut random));
        document
    }));
    let question = json!({ "op": "validate_policies", "documents": documents, "resources": RESOURCES });
    let answers = djblets.ask(&question)["answers"].take();
    let (mut same, mut stricter, mut good) = (0, 0, 0);
    for (document, theirs) in documents.iter().zip(answers.as_array().unwrap()) {
        let ours = Policy::new_with_resources(document, &RESOURCES).map_err(|error| error.to_string());
        match (ours, theirs["invalid"].as_str()) {
            // Djblets lets this pass, and the rule is none; or it goes on, and finds the next fault.
            (Err(message), _) if message.ends_with("must be a list of strings.") => stricter += 1,
            (ours, Some(theirs)) => {
                assert_eq!(ours, Err(theirs.to_owned()), "{document}");
                same += 1;
            }
            (ours, None) if theirs.is_null() => {
                assert!(ours.is_ok(), "{ours:?}: {document}");
                good += 1;
            }
            (ours, None) => {
                assert_eq!(theirs["error"].as_str().map(|error| error.split(':').next()), Some(Some("AttributeError")));
                assert!(
                    ours.as_ref().is_err_and(|ours| ours.ends_with("must be a JSON object.")),
                    "{ours:?}: {document}"
                );
                stricter += 1;
            }
        }
    }
    assert!(same > 1_500 && good > 500 && stricter > 100, "{same} the same, {good} good, {stricter} stricter");
}

const RESOURCES: [&str; 4] = ["review_request", "user", "api.v2", "rööt"];
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "get"];
const IDS: [&str; 4] = ["1", "42", "*", "named"];

/// A request.
struct Asked {
    resource: &'static str,
    method: &'static str,
    id: Option<&'static str>,
}

impl Asked {
    fn any(random: &mut Rng) -> Self {
        let resource = random.choice([RESOURCES.as_slice(), &["unheard-of"]].concat()).unwrap();
        let id = random.bool().then(|| random.choice([IDS.as_slice(), &["7"]].concat()).unwrap());
        Self { resource, method: random.choice(METHODS).unwrap(), id }
    }
}

/// A document that Djblets accepts, in which each part may be there, or not.
fn document(random: &mut Rng) -> Value {
    let mut resources = Map::new();
    if random.u8(..3) > 0 {
        resources.insert("*".to_owned(), rules(random));
    }
    for resource in RESOURCES {
        if random.bool() {
            let items = IDS.into_iter().filter(|_| random.bool()).collect::<Vec<_>>();
            let items: Map<String, Value> = items.into_iter().map(|id| (id.to_owned(), rules(random))).collect();
            resources.insert(resource.to_owned(), items.into());
        }
    }
    if resources.is_empty() { json!({}) } else { json!({ "resources": resources }) }
}

fn rules(random: &mut Rng) -> Value {
    let mut rules = json!({});
    let kinds: &[&str] = [&["allow"][..], &["block"], &["allow", "block"]][random.usize(..3)];
    for kind in kinds {
        let methods = METHODS.into_iter().chain(["*", "*"]).filter(|_| random.u8(..4) == 0).collect::<Vec<_>>();
        rules[*kind] = json!(methods);
    }
    rules
}

/// Puts something else in the place of any part, or takes that away.
fn damage(value: &mut Value, random: &mut Rng) {
    let stay = random.u8(..5) == 0;
    match value {
        Value::Object(map) if !stay && !map.is_empty() => {
            let key = map.keys().nth(random.usize(..map.len())).unwrap().clone();
            match random.u8(..8) {
                0 => drop(map.remove(&key)),
                1 => {
                    let value = map.remove(&key).unwrap();
                    map.insert("unheard-of".to_owned(), value);
                }
                _ => damage(map.get_mut(&key).unwrap(), random),
            }
        }
        Value::Array(list) if !stay && !list.is_empty() => {
            let index = random.usize(..list.len());
            damage(&mut list[index], random);
        }
        _ => {
            *value = random.choice([json!(null), json!("GET"), json!([]), json!({}), json!(["GET"]), json!(5)]).unwrap()
        }
    }
}
