//! Which addresses are the public internet's, and a resolver that gives no others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// An address that may not be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{name} is at {address}, which is not public; name it under `grants.http.private` if it is meant")]
pub(crate) struct NotPublic {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
}

/// What may be reached: the public internet, and what is named beside it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    pub(crate) private: Arc<[IpNet]>,
    /// Instead of asking the system.
    pub(crate) names: Arc<[(String, IpAddr)]>,
}

impl Reach {
    pub(crate) fn check(&self, name: &str, address: IpAddr) -> Result<(), NotPublic> {
        let address = plain(address);
        if is_public(address) || self.private.iter().any(|network| network.contains(&address)) {
            Ok(())
        } else {
            Err(NotPublic { name: name.to_owned(), address })
        }
    }

    /// Every address of a name must be one that may be reached: a name that mixes them is up to something.
    async fn addresses(
        self,
        name: String,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let known: Vec<SocketAddr> = self
            .names
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, address)| SocketAddr::new(*address, 0))
            .collect();
        let found = if known.is_empty() {
            tokio::net::lookup_host((name.as_str(), 0)).await?.collect()
        } else {
            known
        };
        for address in &found {
            self.check(&name, address.ip())?;
        }
        Ok(found)
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move { found.await.map(|found| Box::new(found.into_iter()) as Addrs) })
    }
}

/// An IPv4 address is the same in IPv6's clothes.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => inner(six).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped (RFC 4291), compatible, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn inner(six: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 || low > 1 => Some(four(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(four(high, low)),
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

/// By the special-purpose registries of IANA (RFC 6890 and its updates): whatever is not globally reachable, and
/// multicast, is not public.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            !(four.is_private()
                || four.is_loopback()
                || four.is_link_local()
                || four.is_broadcast()
                || four.is_documentation()
                || four.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19)))
        }
        // Of IPv6 only 2000::/3 is unicast of the internet, and parts of that are not.
        IpAddr::V6(six) => match six.segments() {
            [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
            [0x3fff, second, ..] if second < 0x1000 => false,
            [0x5f00, ..] => false,
            [first, ..] => (first & 0xe000) == 0x2000,
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn reached(address: &str, private: &[&str]) -> bool {
        let private = private.iter().map(|network| network.parse().unwrap()).collect();
        let reach = Reach { private, ..Reach::default() };
        reach.check("x", address.parse().unwrap()).is_ok()
    }

    #[test]
    fn the_public_internet_is_reached_and_nothing_else() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"] {
            assert!(reached(public, &[]), "{public}");
        }
        for not in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:a00:1::",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!reached(not, &[]), "{not}");
        }
    }

    #[test]
    fn what_is_named_is_reached_in_every_spelling() {
        assert!(reached("127.0.0.1", &["127.0.0.0/8"]));
        assert!(reached("::ffff:127.0.0.1", &["127.0.0.1/32"]));
        assert!(!reached("127.0.0.2", &["127.0.0.1/32"]));
        assert!(reached("fd00::7", &["fd00::/8"]));
    }
}
