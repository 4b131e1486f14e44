//! Is this address public?
//!
//! Follows IANA's special-purpose registries, and takes what an IPv6 address carries of an IPv4 one (mapped, NAT64,
//! 6to4) for that one. Whatever is not known to be public is not: of IPv6 only 2000::/3 can be.
//! <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// To whom an address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, unique local, a carrier's shared space.
    Private,
    /// Whoever shares the cable.
    LinkLocal,
    /// Where clouds hand out credentials to whoever asks.
    Metadata,
    Multicast,
    /// Documentation, benchmarking, unassigned, retired tunnels.
    Reserved,
}

impl AddressKind {
    /// The word for it in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            AddressKind::Public => "public",
            AddressKind::Loopback => "loopback",
            AddressKind::Private => "private",
            AddressKind::LinkLocal => "link-local",
            AddressKind::Metadata => "cloud metadata",
            AddressKind::Multicast => "multicast",
            AddressKind::Reserved => "reserved",
        }
    }
}

/// To whom `address` belongs.
pub fn kind(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> AddressKind {
    let octets = address.octets();
    match octets {
        // AWS, Google, Azure and most others; Azure's host; Alibaba; Oracle.
        [169, 254, 169, 254] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => AddressKind::Metadata,
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        [169, 254, ..] => AddressKind::LinkLocal,
        [224..=239, ..] => AddressKind::Multicast,
        [0, ..] | [240..=255, ..] => AddressKind::Reserved,
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18 | 19, ..] => AddressKind::Reserved,
        // The relay of 6to4, retired by RFC 7526.
        [192, 88, 99, _] => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> AddressKind {
    if address.is_loopback() {
        return AddressKind::Loopback;
    }
    if let Some(inner) = embedded(address) {
        return kind_v4(inner);
    }
    match address.segments() {
        // AWS, for instances without IPv4.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => AddressKind::Metadata,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // fec0::/10 is what site-local was.
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xfec0..=0xfeff, ..] => AddressKind::Private,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        // Protocol assignments, Teredo among them; documentation, twice.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressKind::Reserved,
        // ISATAP: the last half carries an IPv4 address of the same site.
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

/// The IPv4 address that packets to `address` end up at, where its form says so.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // Mapped, and compatible (RFC 4291); `::` itself is compatible with 0.0.0.0.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => from(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => from(high, low),
        [0x2002, high, low, ..] => from(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> AddressKind {
        kind(text.parse().expect("an address"))
    }

    #[test]
    fn addresses_are_told_apart_at_the_edges_of_their_ranges() {
        use AddressKind::*;
        for (text, expected) in [
            ("0.0.0.0", Reserved),
            ("0.255.255.255", Reserved),
            ("1.0.0.0", Public),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.100.100.200", Metadata),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("127.0.0.0", Loopback),
            ("127.255.255.255", Loopback),
            ("128.0.0.0", Public),
            ("168.63.129.16", Metadata),
            ("169.253.255.255", Public),
            ("169.254.0.0", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.254.255.255", LinkLocal),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.0.0.1", Reserved),
            ("192.0.1.1", Public),
            ("192.0.2.1", Reserved),
            ("192.88.99.1", Reserved),
            ("192.167.255.255", Public),
            ("192.168.0.0", Private),
            ("192.169.0.0", Public),
            ("198.17.255.255", Public),
            ("198.18.0.0", Reserved),
            ("198.19.255.255", Reserved),
            ("198.20.0.0", Public),
            ("198.51.100.9", Reserved),
            ("203.0.113.9", Reserved),
            ("223.255.255.255", Public),
            ("224.0.0.0", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.0", Reserved),
            ("255.255.255.255", Reserved),
            ("::", Reserved),
            ("::1", Loopback),
            ("2001:4860:4860::8888", Public),
            ("2606:4700::1111", Public),
            ("fc00::", Private),
            ("fdff::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
            ("2001:db8::1", Reserved),
            ("2001:2::1", Reserved),
            ("3fff:fff::1", Reserved),
            ("3fff:1000::1", Public),
            ("100::1", Reserved),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
        ] {
            assert_eq!(kind_of(text), expected, "{text}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_judged_as_itself() {
        use AddressKind::*;
        for (text, expected) in [
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:8.8.8.8", Public),
            ("::127.0.0.1", Loopback),
            ("::10.0.0.1", Private),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b:1::8.8.8.8", Reserved),
            ("2002:7f00:1::", Loopback),
            ("2002:a9fe:a9fe::1", Metadata),
            ("2002:808:808::1", Public),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Reserved),
            ("2606:4700::5efe:10.0.0.1", Reserved),
            ("::ffff:0:127.0.0.1", Reserved),
        ] {
            assert_eq!(kind_of(text), expected, "{text}");
        }
    }
}
