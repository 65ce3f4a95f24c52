//! The address of the client that a request came from, by what the server has put into its extensions.

use std::net::{IpAddr, SocketAddr};

use http::{Extensions, request::Parts};

use crate::{
    authenticate::{Authenticator, client_address},
    peer::{Network, Peer},
};

/// Who is at the other end of the connection, as far as an extension says.
pub(crate) fn peer_in(extensions: &Extensions) -> Peer {
    let told = extensions.get::<Peer>().copied();
    let address = || extensions.get::<IpAddr>().copied();
    let with_port = || extensions.get::<SocketAddr>().map(SocketAddr::ip);
    told.or_else(|| address().or_else(with_port).map(Peer::Address)).unwrap_or_default()
}

/// The client's address, by what these proxies say; or, with none named, those of the host's configuration.
pub(crate) fn client_of(
    parts: &Parts,
    peer: Peer,
    proxies: Option<&[Network]>,
    authenticator: &Authenticator,
) -> Option<IpAddr> {
    match proxies {
        Some(proxies) => client_address(&parts.headers, peer, proxies),
        None => {
            let registry = authenticator.host().0.registry.load();
            client_address(&parts.headers, peer, &registry.http.trusted_proxies)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_who_the_server_says_it_is() {
        let mut extensions = Extensions::new();
        assert_eq!(peer_in(&extensions), Peer::Unknown);
        extensions.insert(SocketAddr::from(([10, 0, 0, 1], 9)));
        assert_eq!(peer_in(&extensions), Peer::Address([10, 0, 0, 1].into()));
        extensions.insert(IpAddr::from([10, 0, 0, 2]));
        assert_eq!(peer_in(&extensions), Peer::Address([10, 0, 0, 2].into()));
        extensions.insert(Peer::Trusted);
        assert_eq!(peer_in(&extensions), Peer::Trusted);
    }
}
