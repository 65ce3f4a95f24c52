//! Single keys in Redis and their values, which are any bytes.

use redis::Value;
use token_plugin_api::{PluginError, Result};

use super::{Effect, Redis, seconds};
use crate::{
    items::{Answer, Proof},
    python::{Found, Life, Values},
};

impl Redis {
    /// The value of a key.
    pub(super) async fn read(&self, place: &str) -> Result<Option<Vec<u8>>> {
        let mut command = redis::cmd("GET");
        command.arg(place);
        self.bytes(self.link.ask(command, Effect::Reads).await?)
    }

    /// Gives a key a value, for so many seconds or for good.
    pub(super) async fn write(&self, place: &str, value: &[u8], seconds: Option<u64>) -> Result<()> {
        match self.set(place, value, seconds, None).await? {
            Value::Okay => Ok(()),
            _ => Err(self.link.unexpected()),
        }
    }

    /// The same for a key that has no value; whether it had none.
    pub(super) async fn write_new(&self, place: &str, value: &[u8], seconds: Option<u64>) -> Result<bool> {
        match self.set(place, value, seconds, Some("NX")).await? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(self.link.unexpected()),
        }
    }

    /// Gives a key a value if it has the one that was read; whether it had.
    pub(super) async fn replace(&self, place: &str, read: &[u8], value: &[u8], seconds: Option<u64>) -> Result<bool> {
        let seconds = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let answer = self.link.run(&self.swap, place, [read, value, seconds.as_bytes()]).await?;
        number(answer).map(|number| number == 1).ok_or_else(|| self.link.unexpected())
    }

    /// Takes a key's value away if it is the one that was read; whether it was.
    pub(super) async fn remove_same(&self, place: &str, read: &[u8]) -> Result<bool> {
        let answer = self.link.run(&self.swap, place, [read]).await?;
        number(answer).map(|number| number == 1).ok_or_else(|| self.link.unexpected())
    }

    /// Takes a key's value away.
    pub(super) async fn take(&self, place: &str) -> Result<Option<Vec<u8>>> {
        let mut command = redis::cmd("GETDEL");
        command.arg(place);
        self.bytes(self.link.ask(command, Effect::Writes).await?)
    }

    async fn set(&self, place: &str, value: &[u8], seconds: Option<u64>, only: Option<&str>) -> Result<Value> {
        let mut command = redis::cmd("SET");
        command.arg(place).arg(value).arg(only);
        if let Some(seconds) = seconds {
            command.arg("EX").arg(seconds);
        }
        self.link.ask(command, Effect::Writes).await
    }

    fn bytes(&self, answer: Value) -> Result<Option<Vec<u8>>> {
        match answer {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            _ => Err(self.link.unexpected()),
        }
    }
}

pub(super) fn number(answer: Value) -> Option<i64> {
    match answer {
        Value::Int(number) => Some(number),
        _ => None,
    }
}

impl Values for Redis {
    fn is_key(&self, _: &str) -> bool {
        true
    }

    fn get(&self, key: String) -> Answer<'_, Option<Found>> {
        Box::pin(async move {
            let value = self.read(&key).await?;
            Ok(value.map(|value| Found { proof: Proof::Bytes(value.clone()), value }))
        })
    }

    fn set(&self, key: String, value: Vec<u8>, Life { expires_at, now }: Life) -> Answer<'_, ()> {
        Box::pin(async move { self.write(&key, &value, seconds(expires_at, now)).await })
    }

    fn add(&self, key: String, value: Vec<u8>, Life { expires_at, now }: Life) -> Answer<'_, bool> {
        Box::pin(async move { self.write_new(&key, &value, seconds(expires_at, now)).await })
    }

    fn swap(&self, key: String, read: Proof, next: Option<(Vec<u8>, Life)>) -> Answer<'_, bool> {
        Box::pin(async move {
            let Proof::Bytes(read) = read else { return Err(PluginError::failed("a value of another backend")) };
            match next {
                Some((value, Life { expires_at, now })) => {
                    self.replace(&key, &read, &value, seconds(expires_at, now)).await
                }
                None => self.remove_same(&key, &read).await,
            }
        })
    }

    fn remove(&self, key: String) -> Answer<'_, bool> {
        Box::pin(async move { Ok(self.take(&key).await?.is_some()) })
    }
}
