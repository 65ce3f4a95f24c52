//! [`Consent`]: whether the operator wants what touches much.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use super::{exit::Failure, output::printable};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Confirm {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// How it is known that the operator wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It was said beforehand.
    Given,
    /// There is somebody to be asked.
    ToBeAsked,
}

impl Confirm {
    /// To be called before anything is begun: who can neither be asked nor has said it learns that at once.
    pub(crate) fn consent(&self) -> Result<Consent, Failure> {
        match self.yes {
            true => Ok(Consent::Given),
            false if io::stdin().is_terminal() && io::stderr().is_terminal() => Ok(Consent::ToBeAsked),
            false => Err(Failure::Arguments(
                "this asks first, and there is no terminal to ask on: expected --yes, if you are sure".to_owned(),
            )),
        }
    }
}

impl Consent {
    /// Says what is going to happen, and asks for it where that is needed.
    pub(crate) fn to(self, what: &str) -> Result<(), Failure> {
        match self {
            Self::Given => Ok(()),
            Self::ToBeAsked => ask(what, &mut io::stdin().lock(), &mut io::stderr()),
        }
    }
}

fn ask(what: &str, answers: &mut impl BufRead, questions: &mut impl Write) -> Result<(), Failure> {
    let no_answer = |error| Failure::Arguments(format!("cannot ask: {error}"));
    write!(questions, "{}\nGo on? [y/N] ", printable(what)).and_then(|()| questions.flush()).map_err(no_answer)?;
    let mut answer = String::new();
    answers.read_line(&mut answer).map_err(no_answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::No("nothing was done".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: &str) -> (bool, String) {
        let mut questions = Vec::new();
        let result = ask("12 tokens of \u{1b}ann are to go.", &mut answer.as_bytes(), &mut questions);
        if let Err(failure) = &result {
            assert!(matches!(failure, Failure::No(_)), "{failure}");
        }
        (result.is_ok(), String::from_utf8(questions).unwrap())
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", "yes\r\n", " Yes \n", "y"] {
            assert!(answered(yes).0, "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "yess\n", "\ny\n", "ja\n"] {
            assert!(!answered(no).0, "{no:?}");
        }
        assert_eq!(answered("").1, "12 tokens of ?ann are to go.\nGo on? [y/N] ");
    }
}
