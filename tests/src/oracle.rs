//! Real Datasette's answers: `tests/python/signed_oracle.py`, asked line by line.

use serde_json::{Value, json};

use crate::{Dialog, Python, SECRET, Skip, repository};

/// A running Datasette, with the tests' secret unless a question says otherwise.
#[derive(Debug)]
pub struct Oracle(Dialog);

impl Oracle {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When there is no Python for it: see [`Python::with_datasette`].
    pub fn start() -> Result<Self, Skip> {
        let python = Python::with_datasette()?;
        let script = repository().join("tests/python/signed_oracle.py");
        Ok(Self(Dialog::start(python.command().arg(script))))
    }

    /// Asks; the script's header says what.
    ///
    /// # Panics
    ///
    /// When the question is no object, or Datasette answers with an error.
    pub fn ask(&mut self, question: Value) -> Value {
        let answer = self.ask_for_anything(question.clone());
        assert!(answer.get("error").is_none(), "{question}: {answer}");
        answer
    }

    /// The same, where an error is an answer like others.
    ///
    /// # Panics
    ///
    /// When the question is no object.
    pub fn ask_for_anything(&mut self, mut question: Value) -> Value {
        question.as_object_mut().expect("a question is an object").entry("secret").or_insert_with(|| SECRET.into());
        self.0.ask(question.to_string().as_bytes())
    }

    /// A token with this payload, compressed when that makes it shorter.
    pub fn sign(&mut self, payload: &Value) -> String {
        token(&self.ask(json!({ "op": "sign", "payload": payload })))
    }

    /// A token that Datasette makes.
    pub fn create(&mut self, question: Value) -> String {
        token(&self.ask(with_operation("create", question)))
    }

    /// What Datasette says to a token: `actor`, `invalid` or `none`.
    pub fn verify(&mut self, token: &str) -> Value {
        self.ask(json!({ "op": "verify", "token": token }))
    }
}

fn with_operation(operation: &str, mut question: Value) -> Value {
    question["op"] = operation.into();
    question
}

fn token(answer: &Value) -> String {
    answer["token"].as_str().unwrap_or_else(|| panic!("{answer} is no token")).to_owned()
}
