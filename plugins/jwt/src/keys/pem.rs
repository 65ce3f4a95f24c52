//! One key in PEM (RFC 7468, and what openssl wrote before it).

use zeroize::Zeroizing;

use super::asymmetric::{PrivateKey, PublicKey, wanted};
use super::{Key, der, quoted};
use crate::algorithm::{Algorithm, Family};

/// What a text holds that is PEM.
pub(super) const BEGIN: &str = "-----BEGIN";

/// The one key in a text. Text around it is ignored, as are openssl's EC PARAMETERS before a key: the key repeats them.
pub(super) fn key(text: &str, algorithm: Option<Algorithm>, kid: Option<String>) -> Result<Key, String> {
    if let Some(algorithm) = algorithm.filter(|algorithm| algorithm.family() == Family::Hmac) {
        return Err(format!("expected {} for {algorithm}, found PEM", wanted(algorithm)));
    }
    let mut blocks = blocks(text)?;
    if let [parameters, key] = &blocks[..]
        && parameters.label == "EC PARAMETERS"
        && key.label == "EC PRIVATE KEY"
    {
        blocks.remove(0);
    }
    let [block] = &blocks[..] else { return Err(format!("expected one key in PEM, found {} blocks", blocks.len())) };
    // Refused before it is decoded: what is encrypted has lines that are no base64.
    match block.label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            return Err("expected a key, found a certificate: extract its public key \
                        (`openssl x509 -in FILE -noout -pubkey`)"
                .to_owned());
        }
        "OPENSSH PRIVATE KEY" => {
            return Err("expected PEM of PKCS#8, found an OpenSSH key (`ssh-keygen -p -m PKCS8 -f FILE` converts it)"
                .to_owned());
        }
        label if label.contains("ENCRYPTED") || block.is_encrypted() => {
            return Err("expected a private key without a passphrase, found an encrypted one".to_owned());
        }
        _ => {}
    }
    let decode = || block.decode().ok_or_else(|| format!("malformed base64 in {}", block.label));
    Ok(match block.label {
        "PUBLIC KEY" => Key::public(kid, PublicKey::from_spki(&decode()?, algorithm)?),
        "RSA PUBLIC KEY" => Key::public(kid, PublicKey::from_pkcs1(&decode()?, algorithm)?),
        "PRIVATE KEY" => Key::private(kid, PrivateKey::from_pkcs8(&decode()?, algorithm)?),
        "RSA PRIVATE KEY" => Key::private(kid, PrivateKey::from_pkcs1(&decode()?, algorithm)?),
        "EC PRIVATE KEY" => Key::private(kid, PrivateKey::from_sec1(&decode()?, algorithm)?),
        other => return Err(format!("expected a public or a private key, found {}", quoted(other))),
    })
}

/// Whether a text is a key's DER in base64, of either alphabet, without the lines around it, as some consoles show keys.
pub(super) fn is_bare_der(text: &str) -> bool {
    let standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let padded = format!("{standard}{}", &"==="[..(4 - standard.len() % 4) % 4]);
    let Some(der) = decode([padded.as_str()]) else { return false };
    der::subject_public_key(&der).is_ok()
        || der::rsa_public_key(&der).is_ok()
        || der::private_key_info(&der).is_ok()
        || der::rsa_private_key(&der).is_ok()
        || der::ec_private_key(&der).is_ok()
}

struct Block<'a> {
    label: &'a str,
    lines: Vec<&'a str>,
}

impl Block<'_> {
    /// Whether it has RFC 1421's headers, which openssl writes for encryption alone.
    fn is_encrypted(&self) -> bool {
        self.lines.iter().any(|line| line.contains(':'))
    }

    fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        decode(self.lines.iter().copied())
    }
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = boundary(line, "-----BEGIN ") {
            if let Some(block) = open.replace(Block { label, lines: Vec::new() }) {
                return Err(format!("expected an END of {}, found another BEGIN", quoted(block.label)));
            }
        } else if let Some(label) = boundary(line, "-----END ") {
            match open.take() {
                Some(block) if block.label == label => blocks.push(block),
                _ => return Err(format!("expected a BEGIN before the END of {}", quoted(label))),
            }
        } else if let Some(block) = &mut open {
            block.lines.push(line);
        }
    }
    match open {
        Some(block) => Err(format!("expected an END of {}, found none", quoted(block.label))),
        None => Ok(blocks),
    }
}

/// The label of such a line.
fn boundary<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    line.strip_prefix(prefix)?.strip_suffix("-----")
}

/// The bytes of base64 that may be folded. Nothing of it stays in memory.
fn decode<'a>(lines: impl IntoIterator<Item = &'a str> + Clone) -> Option<Zeroizing<Vec<u8>>> {
    let length = lines.clone().into_iter().map(str::len).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    for line in lines {
        bytes.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    }
    let length = base64_simd::STANDARD.decode_inplace(&mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}
