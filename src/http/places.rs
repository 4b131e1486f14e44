//! The places for connections: so many in all, and so many of one address.
//!
//! One address is one machine, or in IPv6 one network of 64 bits, of which each machine has more than it could use up. A
//! loopback address has no limit of its own: behind one stands a proxy of this machine, which brings everybody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Places {
    taken: Mutex<Taken>,
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
    pub fn new(most: usize, most_of_one: usize) -> Arc<Places> {
        Arc::new(Places {
            taken: Mutex::default(),
            most,
            most_of_one,
        })
    }

    /// A place for `peer`, if there is one.
    pub fn take(self: &Arc<Places>, peer: IpAddr) -> Option<Place> {
        let address = counted(peer);
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

/// What connections of `peer` are counted under, if they are.
fn counted(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_takes_so_many_places_and_leaves_the_others_to_others() {
        let places = Places::new(5, 2);
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
        let places = Places::new(100, 1);
        let _one = places.take(from("2001:db8::1")).expect("a place");
        assert!(places.take(from("2001:db8::ffff:1")).is_none());
        let _other = places.take(from("2001:db8:0:1::1")).expect("a place");
        let proxied = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1", "127.9.9.9"];
        let taken = proxied.map(|peer| places.take(from(peer)).expect("a place"));
        assert_eq!(taken.len(), 6);
    }
}
