//! Whether a verification costs the same among a thousand handlers as alone, wherever its handler stands.

use std::hint::black_box;

use token_host::{Actor, Host, StaticPlugin};
use token_plugin_api::{Call, Claims, Hooks, NoConfig, Result, TokenHandler, Verdict};

use crate::{
    sampler::{Effort, Variant, interleave},
    table::{self, Target},
};

/// Accepts every token with its prefix, and allocates nothing for it.
struct Prefixed(String);

impl TokenHandler for Prefixed {
    fn name(&self) -> &str {
        &self.0
    }

    fn claims(&self) -> Claims {
        Claims::prefixes([self.0.as_str()])
    }

    fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
        if !token.starts_with(&self.0) {
            return Ok(Verdict::NotRecognized);
        }
        Ok(Verdict::Accepted(Actor::new(String::new(), "bench")))
    }
}

pub(crate) fn measure(effort: Effort) {
    let same = |number: usize| format!("t{number:04}_");
    // From 6 to 37 bytes: more lengths than people will ever have.
    let different = |number: usize| format!("t{number:04}{}_", "x".repeat(number % 32));
    table::section("Handlers with distinct claims: a verify that allocates nothing");
    for (lengths, claim) in [("claims of one length", &same as &dyn Fn(usize) -> String), ("of 32 lengths", &different)]
    {
        let hosts: Vec<(usize, Host)> = [1, 10, 100, 1000].map(|count| (count, host(count, claim))).into();
        let mut variants = Vec::new();
        for (count, host) in &hosts {
            let mut places = vec![("first", count - 1), ("middle", count / 2), ("last", 0)];
            places.truncate(if *count == 1 { 1 } else { 3 });
            for (place, number) in places {
                let token = format!("{}and some more, as tokens have", claim(number));
                assert!(host.verify_token_blocking(&token).unwrap().is_some(), "its handler knows it");
                let name = format!("{lengths}: {count} handlers, {place} is asked");
                variants.push(Variant::new(name, move || black_box(host.verify_token_blocking(black_box(&token)))));
            }
        }
        let series = interleave(effort, variants);
        table::line(&series[0], Target::None);
        for one in &series[1..] {
            table::compared(one, &[("alone", &series[0], Target::Ratio(1.20))]);
        }
    }
}

/// The handler registered last is called first.
fn host(count: usize, claim: &dyn Fn(usize) -> String) -> Host {
    let mut builder = Host::builder();
    for number in 0..count {
        let claim = claim(number);
        let register = move |hooks: &mut Hooks, _: NoConfig| {
            hooks.handler(Prefixed(claim.clone()));
            Ok(())
        };
        builder = builder.plugin(StaticPlugin::new(format!("p{number}"), register));
    }
    builder.build().unwrap()
}
