//! [`Peer`]: who is at the other end of the connection, and [`Network`]: the addresses of those who are believed.

use std::{fmt, net::IpAddr, str::FromStr};

/// Who is at the other end of the connection that a request came by. Whoever accepts connections knows; nothing that
/// stands in a request says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// It cannot be told: it is not believed.
    #[default]
    Unknown,
    /// The one with this address. It is believed when the address is in `trusted_proxies`.
    Address(IpAddr),
    /// One that can only be a trusted proxy, for instance at a Unix socket that nobody else may open.
    Trusted,
}

impl Peer {
    /// Whether its word is taken for who the user is.
    pub fn is_trusted(self, proxies: &[Network]) -> bool {
        match self {
            Self::Unknown => false,
            Self::Address(address) => proxies.iter().any(|network| network.contains(address)),
            Self::Trusted => true,
        }
    }
}

/// Addresses that begin alike: `10.1.0.0/16`, `fd00::/8`, or a single one, `127.0.0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether an address is one of them. One of IPv4 is the same in the form that IPv6 has for it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix_bits);
                (u64::from(own.to_bits()) >> shift) == (u64::from(other.to_bits()) >> shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix_bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be an address (`127.0.0.1`) or the beginning of some (`10.1.0.0/16`)";
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => all,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(|_| EXPECTED)?,
            Some(_) => return Err(EXPECTED),
        };
        if prefix_bits > all || address != address.to_canonical() {
            return Err(EXPECTED);
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_addresses_that_begin_alike() {
        for (network, address, is_in) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "::1", false),
            ("10.1.0.0/16", "10.1.255.9", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.2.3/16", "10.1.0.0", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::1", "::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "fe80::1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), is_in, "{network} {address}");
        }
        for bad in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10/8", "::ffff:1.2.3.4"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_those_are_believed_of_whom_it_was_said() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        assert!(Peer::Address([10, 1, 2, 3].into()).is_trusted(&proxies) && Peer::Trusted.is_trusted(&[]));
        assert!(!Peer::Address([11, 1, 2, 3].into()).is_trusted(&proxies) && !Peer::Unknown.is_trusted(&proxies));
    }
}
