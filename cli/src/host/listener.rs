//! The gateway's listeners, as this host reaches them.

use std::net::{Ipv4Addr, SocketAddr};

/// Who listens on every address is met on loopback: by IPv4 also for `[::]`, which takes both families, and IPv4 alone
/// where the kernel has no IPv6.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        (Ipv4Addr::LOCALHOST, listen.port()).into()
    } else {
        listen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_met_on_loopback_and_any_other_where_it_is() {
        for (listen, here) in [
            ("0.0.0.0:8443", "127.0.0.1:8443"),
            ("[::]:8443", "127.0.0.1:8443"),
            ("[::1]:8443", "[::1]:8443"),
            ("192.0.2.7:443", "192.0.2.7:443"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), here.parse().unwrap());
        }
    }
}
