//! Signatures: whether a file was signed, as minisign does it, by somebody whom the operator trusts.
//!
//! The signature of `libx.so` lies beside it, in `libx.so.minisig`. It is of minisign's current
//! form, which signs the file's BLAKE2b digest with Ed25519; the form of minisign before 0.10 is not
//! accepted.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use minisign_verify::{Error, Signature};

use super::{open::read_small, refusal::RefusalReason};

/// A public key of minisign's, one whose signatures are accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: minisign_verify::PublicKey,
    text: String,
}

impl FromStr for PublicKey {
    type Err = &'static str;

    /// Reads the second line of a `minisign.pub`, as `minisign -G` prints it: `RW...`, 56 letters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = minisign_verify::PublicKey::from_base64(text);
        let key = key.map_err(|_| "expected a public key as `minisign -G` prints it: RW and 54 letters more")?;
        Ok(Self { key, text: text.to_owned() })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.text).finish()
    }
}

/// Where the signature of a file lies.
pub(crate) fn path_of_signature(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(".minisig");
    path.into()
}

/// Checks the file's signature. Who wrote the signature file does not matter: only a holder of the
/// secret key can have made what is in it.
pub(super) fn check(file: &Path, bytes: &[u8], trusted: &[PublicKey]) -> Result<(), RefusalReason> {
    let path = path_of_signature(file);
    let unsigned = |problem: String| RefusalReason::Unsigned { signature: path.clone(), problem };
    let read = read_small(&path, MAX_SIGNATURE_BYTES);
    let text = read.map_err(|reason| unsigned(reason.to_string()))?;
    let text = str::from_utf8(&text).map_err(|_| unsigned("it is no text".to_owned()))?;
    let signature = Signature::decode(text).map_err(|_| unsigned("it is no signature of minisign's".to_owned()))?;
    let mut problem = "no key was trusted";
    for key in trusted {
        match key.key.verify(bytes, &signature, false) {
            Ok(()) => return Ok(()),
            // Another key's signature says nothing; whatever else it is, it is the one to tell of.
            Err(Error::UnexpectedKeyId) if problem != NOT_OF_THIS_FILE => {
                problem = "it is of a key that is not trusted"
            }
            Err(Error::UnexpectedAlgorithm) => problem = "it is of the form of minisign before 0.10: sign it anew",
            Err(_) => problem = NOT_OF_THIS_FILE,
        }
    }
    Err(unsigned(problem.to_owned()))
}

const NOT_OF_THIS_FILE: &str = "it is not of this file";

/// Four lines, of which the comments are at most some 8 KiB in minisign.
const MAX_SIGNATURE_BYTES: u64 = 32 * 1024;
