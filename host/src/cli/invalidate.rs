//! `token-host invalidate`: makes tokens worthless before their time.

use std::path::Path;

use clap::{ArgGroup, Args};
use serde_json::json;
use token_host::{
    Actors, InvalidateTokens, TokenFilter, TokenSelector,
    token_plugin_api::{Cutoff, InvalidatedToken},
};

use super::{
    confirm::{Confirm, Consent},
    exit::Failure,
    filter::Conditions,
    keeper::{Handler, Keeper, if_supported},
    now,
    output::{Output, one_line},
    pages::Pages,
    selector::OneToken,
    time::shown,
};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true)))]
#[command(group(ArgGroup::new("one").args(["token", "id"]).conflicts_with("conditions")))]
#[group(skip)]
pub(crate) struct Invalidate {
    #[command(flatten)]
    one: OneToken,

    /// The tokens of this actor; may be given several times
    #[arg(long, group = "which", value_name = "ID", allow_hyphen_values = true)]
    actor: Vec<String>,

    /// The tokens of all actors
    #[arg(long, group = "which")]
    everyone: bool,

    #[command(flatten)]
    conditions: Conditions,

    /// Why; kept with the token, and told to event sinks
    #[arg(long, default_value = "", value_name = "TEXT", allow_hyphen_values = true)]
    reason: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    handler: Handler,
}

impl Invalidate {
    /// Invalidates, and prints what was valid before. Asks first when it may be more than one.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let one = self.one.selector()?;
        let consent = if one.is_some() { Consent::Given } else { self.confirm.consent()? };
        let keeper = self.handler.open(config, output)?;
        let tokens = match one {
            Some(one) => one,
            None => {
                let actors = if self.everyone { Actors::Everyone } else { Actors::These(self.actor) };
                TokenSelector::Filter(self.conditions.filter(actors, now()))
            }
        };
        if let (TokenSelector::Filter(filter), Consent::ToBeAsked) = (&tokens, consent) {
            consent.to(&question(&keeper, filter)?)?;
        }
        let invalidated = keeper.invalidate(&InvalidateTokens::new(tokens, self.reason))?;
        if output.is_json() {
            return output.json(&json!({ "tokens": invalidated.tokens, "cutoffs": invalidated.cutoffs }));
        }
        for InvalidatedToken { id, actor_id, .. } in &invalidated.tokens {
            output.line(&one_line(&match actor_id.as_str() {
                "" => format!("token {id}"),
                actor => format!("token {id} of {actor}"),
            }))?;
        }
        for Cutoff { actor_id, created_before, .. } in &invalidated.cutoffs {
            let whose = actor_id.as_deref().map_or("all tokens".to_owned(), |actor| format!("all tokens of {actor}"));
            output.line(&one_line(&format!("{whose} made before {}", shown(*created_before))))?;
        }
        if invalidated.tokens.is_empty() && invalidated.cutoffs.is_empty() {
            output.note("nothing that was valid");
        }
        Ok(())
    }
}

/// Whose tokens, and how many as far as handlers can say. Which handler it will be shows when one does it, so each that
/// may be it is asked.
fn question(keeper: &Keeper, filter: &TokenFilter) -> Result<String, Failure> {
    let whose = match &filter.actors {
        Actors::These(actors) => one_line(&actors.join(", ")),
        _ => "everyone".to_owned(),
    };
    let candidates = keeper.candidates();
    let which = if candidates.len() > 1 { ", by the first handler that can" } else { "" };
    let mut question = format!("Tokens of {whose} are to be invalidated{which}.");
    for (name, handler) in candidates {
        let count = match count(&handler, filter)? {
            Some(Count::Exactly(count)) => format!("{count} that are valid"),
            Some(Count::OrMore(count)) => format!("{count} or more that are valid"),
            None => "cannot say how many".to_owned(),
        };
        question.push_str(&format!("\n{}: {count}", one_line(&name)));
    }
    Ok(question)
}

#[derive(Debug, PartialEq, Eq)]
enum Count {
    Exactly(usize),
    OrMore(usize),
}

/// None: the handler cannot list them.
fn count(keeper: &Keeper, filter: &TokenFilter) -> Result<Option<Count>, Failure> {
    const PAGE_TOKENS: u32 = 1_000;
    /// Whoever touches so many has been warned.
    const MAX_COUNTED: usize = 10_000;
    let mut filter = filter.clone();
    (filter.valid, filter.limit) = (Some(true), Some(PAGE_TOKENS));
    let mut is_supported = true;
    let pages = Pages::new(None, |after| {
        filter.after = after;
        let page = if_supported(keeper.list(&filter))?;
        is_supported = page.is_some();
        Ok(page.map_or((0, None), |page| (page.tokens.len(), page.next)))
    });
    let mut count = 0;
    for page in pages {
        count += page?;
        if count >= MAX_COUNTED {
            return Ok(Some(Count::OrMore(count)));
        }
    }
    Ok(is_supported.then_some(Count::Exactly(count)))
}

#[cfg(test)]
mod tests {
    use token_host::{
        Host, StaticPlugin, TokenPage, TokenRecord, Verdict,
        token_plugin_api::{Call, Hooks, NoConfig, PluginError, Result, TokenHandler},
    };

    use super::*;

    /// Keeps so many valid tokens; none: it keeps no tokens.
    struct Lister(&'static str, Option<usize>);

    impl TokenHandler for Lister {
        fn name(&self) -> &str {
            self.0
        }

        fn verify_token(&self, _: &Call<'_>, _: &str) -> Result<Verdict> {
            Ok(Verdict::NotRecognized)
        }

        fn list_tokens(&self, _: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
            let kept = self.1.ok_or_else(|| PluginError::unsupported("list_tokens"))?;
            assert_eq!((filter.valid, &filter.note_contains), (Some(true), &Some("x".to_owned())));
            let begin: usize = filter.after.as_deref().map_or(0, |after| after.parse().unwrap());
            let end = kept.min(begin + filter.limit.unwrap() as usize);
            let tokens = (begin..end).map(|id| TokenRecord::new(id.to_string(), "ann", None)).collect();
            Ok(TokenPage::new(tokens, (end < kept).then(|| end.to_string())))
        }
    }

    fn asked(handlers: &'static [(&'static str, Option<usize>)], actors: Actors) -> String {
        let plugin = StaticPlugin::new("listers", move |hooks: &mut Hooks, _: NoConfig| {
            for (name, kept) in handlers {
                hooks.handler(Lister(name, *kept));
            }
            Ok(())
        });
        let mut filter = TokenFilter::of(actors);
        filter.note_contains = Some("x".to_owned());
        question(&Keeper::new(Host::builder().plugin(plugin).build().unwrap(), None), &filter).unwrap()
    }

    #[test]
    fn the_question_says_how_many_as_far_as_that_can_be_known() {
        let actors = Actors::These(vec!["ann".to_owned(), "b\nob".to_owned()]);
        assert_eq!(
            asked(&[("keeps", Some(2_500))], actors),
            "Tokens of ann, b?ob are to be invalidated.\nkeeps: 2500 that are valid"
        );
        assert_eq!(
            asked(&[("many", Some(1_000_000)), ("none", None), ("few", Some(0))], Actors::Everyone),
            "Tokens of everyone are to be invalidated, by the first handler that can.\n\
             many: 10000 or more that are valid\nnone: cannot say how many\nfew: 0 that are valid"
        );
    }
}
