//! Networks that requests may come from: addresses with a prefix length (RFC 4632, RFC 4291), as in
//! `192.0.2.0/24`. Addresses that stand for IPv4 inside IPv6 are compared as the IPv4 addresses they are.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A set of networks; the empty one says nothing about where a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Network>", into = "Vec<Network>")]
pub struct Networks(Vec<Network>);

/// The text or the list is no network, or no set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not an address, a slash and a prefix length.
    #[error("a network is an address and a prefix length, as in 192.0.2.0/24 or 2001:db8::/32")]
    NotANetwork,
    /// `192.0.2.7/24`: which of the two was meant?
    #[error("a network's address has no bits set after its prefix")]
    HostBits,
    /// More networks than a set may have.
    #[error("too many networks")]
    TooMany,
}

/// Networks in a set.
pub const MOST_NETWORKS: usize = 32;

impl Network {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                masked(own.to_bits().into(), 32, self.prefix)
                    == masked(other.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                masked(own.to_bits(), 128, self.prefix) == masked(other.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }

    /// Whether every address of `other` lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

/// The first `prefix` bits of an address of `width` bits, the others 0.
const fn masked(address: u128, width: u8, prefix: u8) -> u128 {
    let below = (width - prefix) as u32;
    match u128::MAX.checked_shl(below) {
        Some(mask) => address & mask,
        None => 0,
    }
}

impl From<IpAddr> for Network {
    /// The network of one address.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// An address alone is the network of that address.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::NotANetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            // `parse` takes a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork::NotANetwork)?
            }
            Some(_) => return Err(InvalidNetwork::NotANetwork),
        };
        if prefix > width {
            return Err(InvalidNetwork::NotANetwork);
        }
        let bits = match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        };
        if masked(bits, width, prefix) != bits {
            return Err(InvalidNetwork::HostBits);
        }
        Ok(Self { address, prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Networks {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some network of the set holds the address. The empty set holds none.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether every address of `other` lies in a network of this set.
    pub fn cover(&self, other: &Self) -> bool {
        let covered = |network: &Network| self.0.iter().any(|own| own.covers(network));
        other.0.iter().all(covered)
    }

    /// The networks.
    pub fn iter(&self) -> impl Iterator<Item = &Network> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Network>> for Networks {
    type Error = InvalidNetwork;

    fn try_from(networks: Vec<Network>) -> Result<Self, InvalidNetwork> {
        if networks.len() > MOST_NETWORKS {
            return Err(InvalidNetwork::TooMany);
        }
        Ok(Self(networks))
    }
}

impl From<Networks> for Vec<Network> {
    fn from(networks: Networks) -> Self {
        networks.0
    }
}

impl FromStr for Networks {
    type Err = InvalidNetwork;

    /// Networks joined by spaces, as the database keeps them.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let networks: Result<Vec<_>, _> = text.split_ascii_whitespace().map(str::parse).collect();
        Self::try_from(networks?)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{network}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix_and_no_others() {
        assert!(contains("192.0.2.0/24", "192.0.2.255"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(!contains("::/0", "203.0.113.9"));
        assert!(contains("::/0", "2001:db8::1"));
    }

    #[test]
    fn an_address_inside_an_ipv6_one_is_compared_as_itself() {
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(!contains("::/0", "::ffff:192.0.2.1"));
    }

    #[test]
    fn other_text_is_refused() {
        for bad in [
            "",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "192.0.2/24",
            "::/129",
            "host",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(
                bad.parse::<Network>(),
                Err(InvalidNetwork::NotANetwork),
                "{bad:?}"
            );
        }
        assert_eq!("192.0.2.7/24".parse::<Network>(), Err(InvalidNetwork::HostBits));
        let many = "10.0.0.0/8 ".repeat(MOST_NETWORKS + 1);
        assert_eq!(many.parse::<Networks>(), Err(InvalidNetwork::TooMany));
    }

    #[test]
    fn sets_round_trip_and_cover_what_lies_in_them() {
        let set: Networks = "10.0.0.0/8 2001:db8::/32".parse().unwrap();
        assert_eq!(set.to_string().parse::<Networks>(), Ok(set.clone()));
        assert!(set.cover(&"10.1.0.0/16".parse().unwrap()));
        assert!(!set.cover(&"10.1.0.0/16 192.0.2.0/24".parse().unwrap()));
        assert!(!Networks::default().contain("10.0.0.1".parse().unwrap()));
    }
}
