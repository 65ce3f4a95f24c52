//! Real Flask apps behind JSON Web Tokens: `tests/python/flask_app.py`.

use serde_json::{Value, json};

use crate::{Dialog, Python, Skip, repository};

/// A program that serves such apps, and answers for them.
#[derive(Debug)]
pub struct Flask(Dialog);

/// One of its apps: an extension and its settings; the script's header says what they are.
#[derive(Debug, Clone, PartialEq)]
pub struct FlaskApp {
    extension: &'static str,
    settings: Value,
}

impl FlaskApp {
    /// Flask-JWT-Extended with this configuration.
    pub fn extended(settings: Value) -> Self {
        Self { extension: "flask-jwt-extended", settings }
    }

    /// flask-jwt-trivial with these arguments.
    pub fn trivial(settings: Value) -> Self {
        Self { extension: "flask-jwt-trivial", settings }
    }
}

impl Flask {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When there is no Python for it: see [`Python::with_jwt`].
    pub fn start() -> Result<Self, Skip> {
        let script = repository().join("tests/python/flask_app.py");
        Ok(Self(Dialog::start(Python::with_jwt()?.command().arg(script))))
    }

    /// A token that an app makes.
    pub fn make(&mut self, app: &FlaskApp, mut request: Value) -> String {
        request["op"] = "make".into();
        self.ask(app, request)["token"].as_str().unwrap().to_owned()
    }

    /// What a route answers to the bearer of a token: the status, and the body.
    pub fn call(&mut self, app: &FlaskApp, route: &str, token: &str) -> (u64, Value) {
        let authorization = format!("Bearer {token}");
        let mut answer = self.ask(app, json!({ "op": "call", "route": route, "authorization": authorization }));
        (answer["status"].as_u64().unwrap(), answer["body"].take())
    }

    fn ask(&mut self, app: &FlaskApp, mut question: Value) -> Value {
        question["extension"] = app.extension.into();
        question["settings"] = app.settings.clone();
        let answer = self.0.ask(question.to_string().as_bytes());
        assert!(answer.get("error").is_none(), "{question}: {answer}");
        answer
    }
}
