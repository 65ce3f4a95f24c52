//! [`Servers`]: where to connect to.

use std::{fmt, net::Ipv6Addr, str::FromStr, sync::Arc};

use crate::{Error, ErrorKind};

/// One server or more, in the order in which they were named, each once.
///
/// ```
/// use token_oauth2_memcached::Servers;
///
/// let servers: Servers = "cache, 192.0.2.1:11212, [2001:db8::1]:11211".parse().unwrap();
/// let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
/// assert_eq!(names, ["cache:11211", "192.0.2.1:11212", "[2001:db8::1]:11211"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<Server>);

/// A host, by its name or its address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    host: Arc<str>,
    port: u16,
}

impl Servers {
    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Server> {
        self.0.iter()
    }
}

impl FromStr for Servers {
    type Err = Error;

    /// Reads `host:port,host:port`; IPv6 addresses stand in brackets, and the port is 11211 when there is none.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut servers: Vec<Server> = Vec::new();
        for name in text.split(',') {
            let server: Server = name.trim().parse()?;
            let is_same = |other: &Server| other.port == server.port && other.host.eq_ignore_ascii_case(&server.host);
            if servers.iter().any(is_same) {
                return Err(invalid(format!("`{server}` is named twice, expected each server once")));
            }
            servers.push(server);
        }
        Ok(Self(servers))
    }
}

impl Server {
    /// The name or the address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// memcached's port, and the one that libmemcached leaves out where it hashes a server's name.
    pub(crate) const DEFAULT_PORT: u16 = 11211;
}

impl FromStr for Server {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refusal = || invalid(format!("`{text}`, expected `host:port`, with IPv6 addresses in brackets"));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(refusal)?;
                address.parse::<Ipv6Addr>().map_err(|_| refusal())?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(refusal)?) };
                (address, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if host.is_empty() || !host.chars().all(is_ours) {
            return Err(refusal());
        }
        let port = match port {
            None => Self::DEFAULT_PORT,
            Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
                digits.parse().map_err(|_| refusal())?
            }
            Some(_) => return Err(refusal()),
        };
        if port == 0 {
            return Err(refusal());
        }
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidSettings, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_they_are_written() {
        let servers: Servers = "a, b:1,[::1],[::2]:65535,192.0.2.7:11212".parse().unwrap();
        let pairs: Vec<_> = servers.iter().map(|server| (server.host(), server.port())).collect();
        assert_eq!(pairs, [("a", 11211), ("b", 1), ("::1", 11211), ("::2", 65535), ("192.0.2.7", 11212)]);
        let again = servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        assert_eq!(again, "a:11211,b:1,[::1]:11211,[::2]:65535,192.0.2.7:11212");
        assert_eq!(again.parse::<Servers>().unwrap(), servers);
    }

    #[test]
    fn what_is_no_list_of_servers_is_refused() {
        for text in [
            "",
            ",",
            "a,",
            "a,,b",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:x",
            "::1",
            "[::1",
            "[::1]1",
            "[a]:1",
            "[]:1",
            "a b",
            "a\nb",
            "/run/memcached.sock",
            "a:1:2",
        ] {
            let error = text.parse::<Servers>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSettings, "{text}");
            assert!(error.to_string().contains("expected"), "{error}");
        }
        let error = "a,b:1,A:11211".parse::<Servers>().unwrap_err();
        assert_eq!(error.to_string(), "`A:11211` is named twice, expected each server once");
    }
}
