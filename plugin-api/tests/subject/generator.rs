//! A token generator for the suite's own tests, with one fault at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use token_plugin_api::{
    Hooks, NoConfig, PluginError, Result, TokenGenerator,
    conformance::{Report, Suite},
};

/// What is wrong with the generator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Repeats,
    MakesUnprintableValues,
    ForgetsItsOwn,
    ChecksumOfMost,
    NoChecksum,
    NeedsTokenInfo,
    SameIdTwice,
}

struct Generator {
    fault: Fault,
    made: AtomicU64,
}

/// What the suite says of a plugin with this generator.
pub(crate) fn report_of(fault: Fault) -> Report {
    let register = |hooks: &mut Hooks, _: NoConfig| {
        for _ in 0..if fault == Fault::SameIdTwice { 2 } else { 1 } {
            hooks.token_generator(Generator { fault, made: AtomicU64::new(0) });
        }
        Ok(())
    };
    Suite::of_register("{}", register).run(&mut |_| ())
}

impl TokenGenerator for Generator {
    fn id(&self) -> &str {
        "numbered"
    }

    fn create_token(&self, token_info: &Map<String, Value>) -> Result<String> {
        let key = "user";
        if self.fault == Fault::NeedsTokenInfo && !token_info.contains_key(key) {
            return Err(PluginError::missing_token_info(key));
        }
        let number = match self.fault {
            Fault::Repeats => 7,
            _ => self.made.fetch_add(1, Ordering::Relaxed),
        };
        // Spread out, so that values differ in many places: a generator in earnest asks for random numbers.
        let body = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let end = if self.fault == Fault::MakesUnprintableValues { "\n" } else { "" };
        Ok(format!("num_{body}{}{end}", self.checksum(&body)))
    }

    fn validate_token(&self, token: &str, _: &Map<String, Value>) -> Result<bool> {
        let token = token.trim_end();
        let parts = token.strip_prefix("num_").filter(|rest| rest.len() > 16).map(|rest| rest.split_at(16));
        let Some((body, checksum)) = parts else { return Ok(false) };
        Ok(match self.fault {
            Fault::ForgetsItsOwn => body.starts_with('0'),
            Fault::NoChecksum => true,
            _ => checksum == self.checksum(body),
        })
    }
}

impl Generator {
    fn checksum(&self, body: &str) -> String {
        let covered = if self.fault == Fault::ChecksumOfMost { &body[..14] } else { body };
        // FNV-1a: a change of one byte always changes it.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        format!("{:016x}", covered.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
    }
}
