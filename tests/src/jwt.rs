//! Other implementations of JSON Web Tokens, in Python, JavaScript and Rust, asked in one way.

use serde_json::{Value, json};

use crate::{Dialog, Node, Python, Skip, jwt_crate, repository};

/// Some libraries of one language; `tests/python/jwt_oracle.py` says what they are asked.
#[derive(Debug)]
pub struct JwtLibraries(Libraries);

#[derive(Debug)]
enum Libraries {
    Running(Dialog),
    InHere,
}

/// A key in the form that a library is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtKey {
    /// For HMAC.
    Secret(String),
    /// Private in PKCS#8, or public.
    Pem(String),
    /// The JSON object.
    Jwk(Value),
}

/// A library, with what it is to use.
#[derive(Debug, Clone, Copy)]
pub struct JwtUse<'a> {
    /// Its name on PyPI, npm or crates.io, in lower case.
    pub library: &'a str,
    /// The value of `alg`.
    pub algorithm: &'a str,
    /// A private one to encode, a public one for the rest.
    pub key: &'a JwtKey,
}

/// What a library found in a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The payload.
    pub claims: Value,
    /// The header.
    pub headers: Value,
}

impl JwtLibraries {
    /// `pyjwt`, `python-jose`, `authlib` and `joserfc`.
    ///
    /// # Errors
    ///
    /// When there is no Python for them: see [`Python::with_jwt`].
    pub fn of_python() -> Result<Self, Skip> {
        let script = repository().join("tests/python/jwt_oracle.py");
        Ok(Self(Libraries::Running(Dialog::start(Python::with_jwt()?.command().arg(script)))))
    }

    /// `jose` and `jsonwebtoken`.
    ///
    /// # Errors
    ///
    /// When there is no Node.js for them: see [`Node::find`].
    pub fn of_node() -> Result<Self, Skip> {
        Ok(Self(Libraries::Running(Dialog::start(&mut Node::find()?.command("jwt_oracle.mjs")))))
    }

    /// `jsonwebtoken`.
    pub fn of_rust() -> Self {
        Self(Libraries::InHere)
    }

    /// A token with these claims, and headers besides `alg` and `typ`; or why the library makes none.
    pub fn encode(&mut self, with: JwtUse<'_>, claims: &Value, headers: &Value) -> Result<String, String> {
        let answer = self.ask(with, json!({ "op": "encode", "claims": claims, "headers": headers }));
        answer.map(|answer| answer["token"].as_str().unwrap().to_owned())
    }

    /// What the library finds in a token of this issuer, and for this audience; or why it refuses it.
    pub fn decode(
        &mut self,
        with: JwtUse<'_>,
        token: &str,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> Result<Decoded, String> {
        let question = json!({ "op": "decode", "token": token, "issuer": issuer, "audience": audience });
        let mut answer = self.ask(with, question)?;
        Ok(Decoded { claims: answer["claims"].take(), headers: answer["headers"].take() })
    }

    /// A PEM as the library writes it as a JWK: a private one where it can.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn export(&mut self, with: JwtUse<'_>) -> Value {
        self.ask(with, json!({ "op": "export" })).unwrap()["jwk"].take()
    }

    fn ask(&mut self, with: JwtUse<'_>, mut question: Value) -> Result<Value, String> {
        question["library"] = with.library.into();
        question["algorithm"] = with.algorithm.into();
        question["key"] = match with.key {
            JwtKey::Secret(secret) => json!({ "secret": secret }),
            JwtKey::Pem(pem) => json!({ "pem": pem }),
            JwtKey::Jwk(jwk) => json!({ "jwk": jwk }),
        };
        let answer = match &mut self.0 {
            Libraries::Running(dialog) => dialog.ask(question.to_string().as_bytes()),
            Libraries::InHere => jwt_crate::answer(&question),
        };
        assert!(answer.get("error").is_none(), "{question}: {answer}");
        match answer["refused"].as_str() {
            Some(refusal) => Err(refusal.to_owned()),
            None => Ok(answer),
        }
    }
}
