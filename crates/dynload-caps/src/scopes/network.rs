//! Networks of addresses, and which addresses are public.

use alloc::string::ToString;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use super::ParseNetError;

/// A block of addresses, `10.0.0.0/8` or `[2001:db8::]/32`, or a single address.
///
/// A block matches an address that is not public ([`is_public_address`]) only when it contains no public address. So
/// `0.0.0.0/0` matches every public IPv4 address and no other, and `127.0.0.0/8` matches all of its addresses. A
/// similar rule applies to the host's own public addresses ([`Network::matches_local`]): only the single address,
/// `192.0.2.7`, matches it; `192.0.2.7/32` is a block like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// Canonical: never an IPv6 address that stands for an IPv4 address, and no bits set beyond the prefix.
    address: IpAddr,
    prefix: u8,
    /// Whether this is a single address, not a block that happens to contain only one. They differ for public addresses only.
    is_itself: bool,
}

/// The addresses that a pattern allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// Every public address.
    Public,
    /// The loopback addresses, `127.0.0.0/8` and `::1`.
    Loopback,
    /// The addresses of a block.
    Block(Cidr),
}

impl Cidr {
    /// Creates the block of this single address.
    #[must_use]
    pub fn single(address: IpAddr) -> Cidr {
        let address = canonical_address(address);
        Cidr {
            address,
            prefix: width(address),
            is_itself: true,
        }
    }

    /// Creates the block of all addresses that agree with `address` in the first `prefix` bits.
    ///
    /// IPv4-mapped and NAT64 blocks become the IPv4 block that they stand for.
    ///
    /// # Errors
    ///
    /// - [`ParseNetError::BadPrefixLength`] when the address has fewer bits than `prefix`.
    /// - [`ParseNetError::HostBits`] when the address has bits set beyond the prefix: the intended block is unclear.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Cidr, ParseNetError> {
        if prefix > width(address) {
            return Err(ParseNetError::BadPrefixLength(prefix.to_string()));
        }
        let (address, prefix) = match canonical_address(address) {
            v4 @ IpAddr::V4(_) if address.is_ipv6() && prefix >= 96 => (v4, prefix - 96),
            IpAddr::V4(v4) if address.is_ipv4() => (IpAddr::V4(v4), prefix),
            _ => (address, prefix),
        };
        let kept = Cidr::block(from_bits(address, bits(address) & mask(prefix)), prefix);
        if kept.address != address {
            let found = Cidr::block(address, prefix).to_string();
            return Err(ParseNetError::HostBits {
                found,
                network: kept.to_string(),
            });
        }
        Ok(kept)
    }

    fn block(address: IpAddr, prefix: u8) -> Cidr {
        let block = Cidr {
            address,
            prefix,
            is_itself: false,
        };
        Cidr {
            is_itself: prefix == width(address) && block.is_special(),
            ..block
        }
    }

    /// Returns whether `address` is in the block; see [`Cidr`] for addresses that are not public.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        let address = canonical_address(address);
        self.contains(&Cidr::single(address)) && (is_public_address(address) || self.is_special())
    }

    /// Returns whether this is a single address or contains no public address: only then can it match the host's own
    /// addresses.
    fn is_explicit(&self) -> bool {
        self.is_itself || self.is_special()
    }

    /// Returns the same addresses; a single public address stays a single address only when `also` is set, and otherwise
    /// becomes a block.
    fn explicit_if(self, also: bool) -> Cidr {
        if also {
            self
        } else {
            Cidr::block(self.address, self.prefix)
        }
    }

    /// Returns whether every address of `other` is in this block, public or not.
    fn contains(&self, other: &Cidr) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.prefix <= other.prefix
            && bits(other.address) & mask(self.prefix) == bits(self.address)
    }

    fn is_special(&self) -> bool {
        SPECIAL.iter().any(|block| block.contains(self))
    }

    fn intersection(&self, other: &Cidr) -> Option<Cidr> {
        let (wide, narrow) = if self.prefix <= other.prefix {
            (self, other)
        } else {
            (other, self)
        };
        (wide.contains(narrow) && wide.is_special() == narrow.is_special())
            .then(|| narrow.explicit_if(wide.is_explicit()))
    }
}

impl Network {
    /// Returns whether `address` is one of the addresses.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        match self {
            Network::Public => is_public_address(address),
            Network::Loopback => canonical_address(address).is_loopback(),
            Network::Block(block) => block.matches(address),
        }
    }

    /// Returns whether the pattern explicitly allows `address`, which is one of the host's own.
    ///
    /// A block of public addresses may contain it by chance, so a public address has to be specified as a single address.
    #[must_use]
    pub fn matches_local(&self, address: IpAddr) -> bool {
        match self {
            Network::Public => false,
            Network::Loopback => self.matches(address),
            Network::Block(block) => block.matches(address) && block.is_explicit(),
        }
    }

    /// Returns the addresses that are in both.
    pub(super) fn intersection(&self, other: &Network) -> Option<Network> {
        match (self, other) {
            (Network::Public, Network::Public) => Some(Network::Public),
            (Network::Loopback, Network::Loopback) => Some(Network::Loopback),
            (Network::Public, Network::Loopback) | (Network::Loopback, Network::Public) => None,
            (Network::Block(a), Network::Block(b)) => a.intersection(b).map(Network::Block),
            (Network::Public, Network::Block(block)) | (Network::Block(block), Network::Public) => {
                (!block.is_special()).then(|| Network::Block(block.explicit_if(false)))
            }
            (Network::Loopback, Network::Block(block)) | (Network::Block(block), Network::Loopback) => {
                LOOPBACK
                    .iter()
                    .find_map(|own| own.intersection(block))
                    .map(Network::Block)
            }
        }
    }
}

/// Returns whether an address belongs to the public Internet.
///
/// Loopback, link-local, private, shared (carrier-grade NAT), multicast, broadcast, unspecified, reserved and benchmarking
/// addresses do not (the special-purpose registries of RFC 6890).
///
/// Documentation addresses (`192.0.2.0/24`, `198.51.100.0/24`, `203.0.113.0/24`, `2001:db8::/32`, `3fff::/20`) count as
/// public, although they are not routed on the public Internet. In a network whose machines have such addresses, a
/// pattern such as `*:443` reaches those machines.
///
/// An IPv6 address that stands for an IPv4 address (`::ffff:127.0.0.1`, or NAT64's `64:ff9b::7f00:1`) is treated as that
/// IPv4 address.
///
/// # Examples
///
/// ```
/// use dynload_caps::is_public_address;
///
/// assert!(is_public_address("93.184.215.14".parse()?));
/// assert!(!is_public_address("169.254.169.254".parse()?)); // where clouds keep credentials
/// assert!(!is_public_address("::ffff:10.0.0.1".parse()?));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[must_use]
pub fn is_public_address(address: IpAddr) -> bool {
    !SPECIAL.iter().any(|block| block.contains(&Cidr::single(address)))
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Cidr {
    Cidr {
        address: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)),
        prefix,
        is_itself: false,
    }
}
const fn v6(a: u16, b: u16, c: u16, last: u16, prefix: u8) -> Cidr {
    Cidr {
        address: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last)),
        prefix,
        is_itself: prefix == 128,
    }
}

const LOOPBACK: [Cidr; 2] = [v4(127, 0, 0, 8), v6(0, 0, 0, 1, 128)];

const SPECIAL: [Cidr; 24] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
    // Unspecified, loopback, and the deprecated IPv4-compatible addresses.
    v6(0, 0, 0, 0, 96),
    v6(0, 0, 0, 1, 128),
    v6(0x64, 0xff9b, 1, 0, 48),
    v6(0x100, 0, 0, 0, 64),
    // Teredo and 6to4 embed IPv4 addresses; both are obsolete.
    v6(0x2001, 0, 0, 0, 32),
    v6(0x2002, 0, 0, 0, 16),
    // Benchmarking, and ORCHID identifiers, which are not routable.
    v6(0x2001, 2, 0, 0, 48),
    v6(0x2001, 0x10, 0, 0, 28),
    v6(0x5f00, 0, 0, 0, 16),
    v6(0xfc00, 0, 0, 0, 7),
    v6(0xfe80, 0, 0, 0, 10),
    v6(0xfec0, 0, 0, 0, 10),
    v6(0xff00, 0, 0, 0, 8),
];

/// Returns the IPv4 address that an IPv4-mapped (RFC 4291) or NAT64 (RFC 6052, `64:ff9b::/96`) address stands for, and any
/// other address unchanged.
///
/// Every rule of this crate applies to the canonical address; otherwise `::ffff:127.0.0.1` would bypass all of them.
///
/// # Examples
///
/// ```
/// use dynload_caps::canonical_address;
///
/// assert_eq!(canonical_address("::ffff:192.0.2.7".parse()?), "192.0.2.7".parse::<core::net::IpAddr>()?);
/// assert_eq!(canonical_address("64:ff9b::c000:207".parse()?), "192.0.2.7".parse::<core::net::IpAddr>()?);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[must_use]
pub fn canonical_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    if let Some(four) = six.to_ipv4_mapped() {
        return IpAddr::V4(four);
    }
    match six.octets() {
        // NAT64, RFC 6052.
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        _ => address,
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Returns the bits of an address, left-aligned in 128 bits.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
        IpAddr::V6(six) => six.to_bits(),
    }
}

fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

fn mask(prefix: u8) -> u128 {
    // A shift by all 128 bits is undefined; here it means an empty mask.
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    /// Writes `10.0.0.0/8` or `[2001:db8::]/32`, and a single address without a prefix length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(four) => write!(f, "{four}")?,
            IpAddr::V6(six) => write!(f, "[{six}]")?,
        }
        if self.is_itself {
            Ok(())
        } else {
            write!(f, "/{}", self.prefix)
        }
    }
}

impl FromStr for Cidr {
    type Err = ParseNetError;

    /// Parses an address, or an address, `/` and a prefix length. IPv6 addresses are in brackets, as in a URL; the `/`
    /// may be inside the brackets.
    fn from_str(text: &str) -> Result<Cidr, ParseNetError> {
        let bad = || ParseNetError::BadHost(text.chars().take(64).collect());
        let (address, length) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']').ok_or_else(bad)?;
                let (inside, length) = match (inside.split_once('/'), after.strip_prefix('/')) {
                    (None, None) if after.is_empty() => (inside, None),
                    (None, Some(length)) => (inside, Some(length)),
                    (Some((inside, length)), None) if after.is_empty() => (inside, Some(length)),
                    _ => return Err(bad()),
                };
                (IpAddr::V6(inside.parse().map_err(|_| bad())?), length)
            }
            None => {
                let (address, length) = match text.split_once('/') {
                    Some((address, length)) => (address, Some(length)),
                    None => (text, None),
                };
                if address.parse::<Ipv6Addr>().is_ok() {
                    return Err(ParseNetError::Unbracketed(address.into()));
                }
                (IpAddr::V4(address.parse().map_err(|_| bad())?), length)
            }
        };
        match length {
            None => Ok(Cidr::single(address)),
            Some(digits) => {
                let number = digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit())
                    .then(|| digits.parse().ok());
                let prefix = number
                    .flatten()
                    .ok_or_else(|| ParseNetError::BadPrefixLength(digits.chars().take(64).collect()))?;
                Cidr::new(address, prefix)
            }
        }
    }
}
