//! The places for connections: so many in all, and so many of one address.
//!
//! One address is one machine, or in IPv6 one network of 64 bits, of which each machine has more than it could use up. A
//! loopback address has no limit of its own, and no trusted proxy has: behind it stand many, whom the proxy bounds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::proxies::{Network, is_among};

pub(super) struct Places {
    taken: Mutex<Taken>,
    /// Proxies, each of which brings many.
    proxies: Vec<Network>,
    most: usize,
    most_of_one: usize,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    pub fn new(most: usize, most_of_one: usize, proxies: &[Network]) -> Arc<Places> {
        Arc::new(Places {
            taken: Mutex::default(),
            proxies: proxies.to_vec(),
            most,
            most_of_one,
        })
    }

    /// A place for `peer`, if there is one.
    pub fn take(self: &Arc<Places>, peer: IpAddr) -> Option<Place> {
        let address = self.counted(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return None;
        }
        if let Some(address) = address {
            let of_one = taken.by_address.entry(address).or_default();
            if *of_one >= self.most_of_one {
                return None;
            }
            *of_one += 1;
        }
        taken.all += 1;
        let places = self.clone();
        Some(Place { places, address })
    }

    /// What connections of `peer` are counted under, if they are.
    fn counted(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let brings_many = peer.is_loopback() || is_among(peer, &self.proxies);
        (!brings_many).then(|| address_of(peer))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(address) = self.address
            && let Some(of_one) = taken.by_address.get_mut(&address)
        {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// What counts as the address of `peer`: of IPv6 the network.
pub(super) fn address_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_takes_so_many_places_and_leaves_the_others_to_others() {
        let places = Places::new(5, 2, &[]);
        let one = [(); 2].map(|()| places.take(from("192.0.2.1")).expect("a place"));
        assert!(places.take(from("192.0.2.1")).is_none());
        assert!(
            places.take(from("::ffff:192.0.2.1")).is_none(),
            "it is the same machine"
        );
        let others = ["192.0.2.2", "2001:db8::1", "2001:db8::2"].map(|peer| places.take(from(peer)).expect("a place"));
        assert!(places.take(from("198.51.100.1")).is_none(), "all places are taken");
        drop(others);
        assert!(places.take(from("192.0.2.1")).is_none());
        drop(one);
        assert!(places.take(from("192.0.2.1")).is_some());
        assert!(
            places.taken.lock().expect("no panic").by_address.is_empty(),
            "nobody is remembered"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_loopback_one_is_not_counted() {
        let places = Places::new(100, 1, &[]);
        let _one = places.take(from("2001:db8::1")).expect("a place");
        assert!(places.take(from("2001:db8::ffff:1")).is_none());
        let _other = places.take(from("2001:db8:0:1::1")).expect("a place");
        let proxied = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1", "127.9.9.9"];
        let taken = proxied.map(|peer| places.take(from(peer)).expect("a place"));
        assert_eq!(taken.len(), 6);
    }

    /// With a proxy on another host all clients came from its address, and shared what one may have.
    #[test]
    fn whom_a_trusted_proxy_brings_are_not_counted_as_one() {
        let proxies = ["10.0.0.0/8", "2001:db8::7"].map(|text| Network::parse(text).expect("a network"));
        let places = Places::new(4, 1, &proxies);
        let brought = ["10.1.2.3", "10.1.2.3", "::ffff:10.1.2.3"].map(|peer| places.take(from(peer)).expect("a place"));
        let _other = places.take(from("2001:db8::8")).expect("a place");
        assert!(places.take(from("10.1.2.3")).is_none(), "there are so many in all");
        drop(brought);
        assert!(
            places.take(from("2001:db8::9")).is_none(),
            "beside a proxy stands somebody else"
        );
        assert!(places.take(from("2001:db8::7")).is_some());
    }
}
