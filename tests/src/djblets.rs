//! Real Djblets' answers: `tests/python/djblets_oracle.py`, asked line by line.

use serde_json::Value;

use crate::{Dialog, Python, Skip, repository};

/// A running Djblets, without a database.
#[derive(Debug)]
pub struct Djblets(Dialog);

impl Djblets {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When there is no Python for it: see [`Python::with_djblets`].
    pub fn start() -> Result<Self, Skip> {
        let script = repository().join("tests/python/djblets_oracle.py");
        Ok(Self(Dialog::start(Python::with_djblets()?.command().arg(script))))
    }

    /// Asks; the script's header says what.
    ///
    /// # Panics
    ///
    /// When Djblets answers with an error.
    pub fn ask(&mut self, question: &Value) -> Value {
        let answer = self.0.ask(question.to_string().as_bytes());
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    }
}
