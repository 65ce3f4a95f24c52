//! The `jsonwebtoken` crate behind the questions of `tests/python/jwt_oracle.py`.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::Error, jwk::Jwk,
};
use serde_json::{Value, json};

/// The answer to a question, of which `library` is not looked at.
pub(crate) fn answer(question: &Value) -> Value {
    let answer = match question["op"].as_str() {
        Some("encode") => token(question),
        Some("decode") => claims(question),
        Some("export") => jwk(question),
        _ => panic!("no such operation: {question}"),
    };
    answer.unwrap_or_else(|refusal| json!({ "refused": refusal.to_string() }))
}

fn token(question: &Value) -> Result<Value, Error> {
    algorithm(question)?;
    let mut header = json!({ "typ": "JWT", "alg": question["algorithm"] });
    header.as_object_mut().unwrap().extend(question["headers"].as_object().cloned().unwrap_or_default());
    let header: Header = serde_json::from_value(header).unwrap();
    Ok(json!({ "token": encode(&header, &question["claims"], &encoding_key(question)?)? }))
}

fn claims(question: &Value) -> Result<Value, Error> {
    let mut validation = Validation::new(algorithm(question)?);
    (validation.leeway, validation.validate_nbf) = (0, true);
    if let Some(audience) = question["audience"].as_str() {
        validation.required_spec_claims.insert("aud".to_owned());
        validation.set_audience(&[audience]);
    }
    if let Some(issuer) = question["issuer"].as_str() {
        validation.required_spec_claims.insert("iss".to_owned());
        validation.set_issuer(&[issuer]);
    }
    let token = decode::<Value>(question["token"].as_str().unwrap(), &decoding_key(question)?, &validation)?;
    Ok(json!({ "claims": token.claims, "headers": token.header }))
}

fn jwk(question: &Value) -> Result<Value, Error> {
    Ok(json!({ "jwk": Jwk::from_decoding_key(&decoding_key(question)?, Some(algorithm(question)?))? }))
}

fn algorithm(question: &Value) -> Result<Algorithm, Error> {
    question["algorithm"].as_str().unwrap().parse()
}

fn encoding_key(question: &Value) -> Result<EncodingKey, Error> {
    if let Some(secret) = question["key"]["secret"].as_str() {
        return Ok(EncodingKey::from_secret(secret.as_bytes()));
    }
    let pem = question["key"]["pem"].as_str().expect("the crate does not sign with a JWK").as_bytes();
    match algorithm(question)?.family() {
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem),
        AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem),
        AlgorithmFamily::Ed => EncodingKey::from_ed_pem(pem),
        AlgorithmFamily::Hmac => panic!("no secret: {question}"),
    }
}

fn decoding_key(question: &Value) -> Result<DecodingKey, Error> {
    let key = &question["key"];
    if let Some(secret) = key["secret"].as_str() {
        return Ok(DecodingKey::from_secret(secret.as_bytes()));
    }
    if key["jwk"].is_object() {
        return DecodingKey::from_jwk(&serde_json::from_value(key["jwk"].clone()).unwrap());
    }
    let pem = key["pem"].as_str().unwrap().as_bytes();
    match algorithm(question)?.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(pem),
        AlgorithmFamily::Hmac => panic!("no secret: {question}"),
    }
}
