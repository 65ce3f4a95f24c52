//! [`Pages`]: a listing that comes in parts, and how much of it is wanted.

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    exit::Failure,
    output::{Output, one_line},
};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Paging {
    /// How many at the most [default: 50; with --json as many as the handler puts on a page]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all")]
    limit: Option<u32>,

    /// Go on behind this place, which the page before told of
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    after: Option<String>,

    /// All pages
    #[arg(long)]
    all: bool,
}

/// What is asked for one page: where it begins, and how many there may be on it.
pub(crate) type Ask = (Option<String>, Option<u32>);

/// Unless people say how many.
const FOR_PEOPLE: u32 = 50;

impl Paging {
    /// Prints what is wanted of a listing of `things`: as one JSON object, or as people read it.
    pub(crate) fn print<T: Serialize>(
        self,
        things: &str,
        output: &Output,
        mut page: impl FnMut(Ask) -> Result<(Vec<T>, Option<String>), Failure>,
        for_people: impl FnOnce(Vec<T>) -> String,
    ) -> Result<(), Failure> {
        let usual = if output.is_json() { None } else { Some(FOR_PEOPLE) };
        let (listed, next) = match self.all {
            true => {
                let pages = Pages::new(self.after, |after| page((after, None)));
                (pages.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(), None)
            }
            false => page((self.after, self.limit.or(usual)))?,
        };
        match output.is_json() {
            true => output.json(&json!({ things: listed, "next": next }))?,
            false => output.line(&for_people(listed))?,
        }
        if let Some(next) = next {
            output.note(&format!("there are more: --after={} goes on, --all lists everything", quoted(&next)));
        }
        Ok(())
    }
}

/// The parts of a listing, one after the other, each asked for when it is wanted.
pub(crate) struct Pages<F> {
    page: F,
    after: Option<String>,
    is_over: bool,
    trail: Trail,
}

impl<F> Pages<F> {
    /// `page` answers what stands behind a place (none: the beginning) with a part, and with the place where that ends.
    pub(crate) fn new(after: Option<String>, page: F) -> Self {
        Self { page, after, is_over: false, trail: Trail::default() }
    }
}

impl<P, F: FnMut(Option<String>) -> Result<(P, Option<String>), Failure>> Iterator for Pages<F> {
    type Item = Result<P, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let answer = (self.page)(self.after.take());
        self.is_over = !matches!(answer, Ok((_, Some(_))));
        let (part, next) = match answer {
            Ok(answer) => answer,
            Err(failure) => return Some(Err(failure)),
        };
        if next.as_deref().is_some_and(|next| !self.trail.leads_on_to(next)) {
            self.is_over = true;
            return Some(Err(Failure::Plugin("the handler's pages lead around in a circle".to_owned())));
        }
        self.after = next;
        Some(Ok(part))
    }
}

/// Notices a listing that leads around in a circle, after Brent: every so often it marks a place, and never comes by
/// there again if there is an end. Takes no more memory for a long listing than for a short one.
#[derive(Debug, Default)]
struct Trail {
    mark: Option<String>,
    steps: u64,
    next_mark: u64,
}

impl Trail {
    fn leads_on_to(&mut self, place: &str) -> bool {
        if self.mark.as_deref() == Some(place) {
            return false;
        }
        if self.steps == self.next_mark {
            self.mark = Some(place.to_owned());
            self.next_mark = 2 * self.steps + 1;
        }
        self.steps += 1;
        true
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let text = one_line(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/+=@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a listing whose pages say what is next, at most so far.
    fn followed(next: impl Fn(usize) -> Option<String>) -> Result<usize, Failure> {
        let mut asked = 0;
        let pages = Pages::new(None, |_| {
            asked += 1;
            assert!(asked < 1000, "it follows a circle forever");
            Ok(((), next(asked)))
        });
        pages.map(|page| page.map(|()| 1)).sum()
    }

    #[test]
    fn a_listing_is_followed_to_its_end() {
        assert_eq!(followed(|_| None).unwrap(), 1);
        assert_eq!(followed(|page| (page < 100).then(|| page.to_string())).unwrap(), 100);
    }

    #[test]
    fn a_circle_is_an_error_however_long_it_is_and_wherever_it_begins() {
        for (run_up, circle) in [(0, 1), (0, 2), (1, 1), (3, 7), (20, 50)] {
            let next = |page: usize| Some(if page < run_up { page } else { run_up + (page - run_up) % circle });
            let failure = followed(|page| next(page).map(|place| place.to_string())).unwrap_err();
            assert!(matches!(failure, Failure::Plugin(_)), "{run_up} {circle}: {failure}");
        }
    }

    #[test]
    fn nothing_is_asked_behind_an_error() {
        let mut asked = 0;
        let pages: Vec<Result<(), Failure>> = Pages::new(None, |_| {
            asked += 1;
            Err(Failure::No("no".to_owned()))
        })
        .collect();
        assert_eq!((pages.len(), asked), (1, 1));
    }

    #[test]
    fn what_a_handler_calls_a_place_is_one_word_for_a_shell() {
        assert_eq!(
            ["17", "2026-11-21T15:27", "a b", "", "$(x)'`y`", "a\u{1b}\nb"].map(quoted),
            ["17", "2026-11-21T15:27", "'a b'", "''", r"'$(x)'\''`y`'", "'a??b'",]
        );
    }
}
