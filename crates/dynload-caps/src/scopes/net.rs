//! `host:port` patterns.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use super::network::canonical_address;
use super::{Cidr, Network, ParseNetError};

/// Hosts and ports that a guest may use, as one pattern `host:port`.
///
/// | host | allows |
/// | --- | --- |
/// | `api.example.com` | that name, when it resolves to a public address |
/// | `*.example.com` | every name below `example.com` (not itself), on public addresses |
/// | `*` | every name and every address that is public |
/// | `localhost` | that name, on loopback addresses |
/// | `192.0.2.7`, `[2001:db8::7]` | that address |
/// | `10.0.0.0/8`, `[fc00::]/7` | the addresses of that block |
/// | `db.example.com@10.0.0.0/8` | that name, when it resolves into that block |
///
/// The port is a number, a range `8000-8100`, or `*`. Names are compared without regard to case and to a trailing dot.
/// An address that is not public ([`is_public_address`](crate::is_public_address)) is allowed only by an explicit
/// pattern: an address, a block, or `localhost`. This also applies to the host's own addresses, including public ones.
/// Code that enforces scopes calls [`allows_local`](NetScope::allows_local) for these; `*`, a name or a block of public
/// addresses does not allow them, but `192.0.2.7` or `name@192.0.2.7` does.
///
/// The unspecified addresses `0.0.0.0` and `[::]` are for listening: they stand for every address of the host. Code that
/// enforces scopes refuses to connect or send to them, whatever a pattern allows.
///
/// # Examples
///
/// ```
/// use dynload_caps::NetScope;
///
/// let scope: NetScope = "*.Example.com:443".parse()?;
/// assert_eq!(scope.to_string(), "*.example.com:443");
/// assert!(scope.matches_name("api.example.com", 443));
/// assert!(!scope.matches_name("example.com", 443));
/// assert!(scope.allows_remote(Some("api.example.com"), "93.184.215.14".parse().unwrap(), 443));
/// assert!(!scope.allows_remote(Some("api.example.com"), "10.1.2.3".parse().unwrap(), 443));
///
/// let private: NetScope = "db.example.com@10.0.0.0/8:5432".parse()?;
/// assert!(private.allows_remote(Some("db.example.com"), "10.1.2.3".parse().unwrap(), 5432));
/// # Ok::<(), dynload_caps::ParseNetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetScope {
    name: NamePattern,
    network: Network,
    ports: PortRange,
}

/// The host names that a [`NetScope`] allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamePattern {
    /// Any name, and an address without a name.
    Any,
    /// This name, in lower case and without a trailing dot.
    Exact(String),
    /// Every name that ends with a dot and this suffix.
    Below(String),
}

/// The ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange {
        first: 0,
        last: u16::MAX,
    };

    /// Returns whether `port` is in the range.
    #[must_use]
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    fn intersection(&self, other: &PortRange) -> Option<PortRange> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(PortRange { first, last })
    }
}

impl NetScope {
    /// Returns the names that the pattern allows.
    #[must_use]
    pub fn name(&self) -> &NamePattern {
        &self.name
    }

    /// Returns the addresses that the pattern allows.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// Returns the ports that the pattern allows.
    #[must_use]
    pub fn ports(&self) -> PortRange {
        self.ports
    }

    /// Returns whether the pattern allows looking up the name `host` for a connection to `port`.
    ///
    /// A pattern of addresses alone (`10.0.0.0/8:*`) matches no name; a `host` that is an address, with or without
    /// brackets, is passed to [`matches_addr`](NetScope::matches_addr). Check the address that the name resolves to
    /// with [`Scopes::allows_remote_net`](crate::Scopes::allows_remote_net): it may be within another pattern than
    /// the one that matches the name.
    #[must_use]
    pub fn matches_name(&self, host: &str, port: u16) -> bool {
        if let Some(address) = address_literal(host) {
            return self.matches_addr(address, port);
        }
        let of_addresses = self.name == NamePattern::Any && self.network != Network::Public;
        !of_addresses && self.ports.contains(port) && self.name.matches(Some(host))
    }

    /// Returns whether the pattern allows `port` of `address`, where the guest passed the address and no name.
    #[must_use]
    pub fn matches_addr(&self, address: IpAddr, port: u16) -> bool {
        self.allows_remote(None, address, port)
    }

    /// Returns whether the pattern allows one connection: the guest passed the host name `name` (`None` when it passed
    /// the address), which resolved to `address`, and the port is `port`.
    #[must_use]
    pub fn allows_remote(&self, name: Option<&str>, address: IpAddr, port: u16) -> bool {
        // A "name" that is an address resolves to itself; it does not count as a name.
        let name = name.filter(|name| address_literal(name).is_none());
        self.ports.contains(port) && self.network.matches(address) && self.name.matches(name)
    }

    /// Like [`allows_remote`](NetScope::allows_remote), for an `address` that is one of the host's own.
    ///
    /// The pattern has to specify the address itself, or a block without public addresses, or be `localhost`.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::NetScope;
    ///
    /// let own = "192.0.2.7".parse().unwrap();
    /// for (pattern, allowed) in [("*:*", false), ("192.0.2.0/24:*", false), ("192.0.2.7:*", true)] {
    ///     let scope: NetScope = pattern.parse()?;
    ///     assert!(scope.allows_remote(None, own, 443));
    ///     assert_eq!(scope.allows_local(None, own, 443), allowed);
    /// }
    /// # Ok::<(), dynload_caps::ParseNetError>(())
    /// ```
    #[must_use]
    pub fn allows_local(&self, name: Option<&str>, address: IpAddr, port: u16) -> bool {
        self.allows_remote(name, address, port) && self.network.matches_local(address)
    }

    /// Returns the pattern that allows exactly what both allow, or `None` when no pattern does.
    #[must_use]
    pub fn intersection(&self, other: &NetScope) -> Option<NetScope> {
        Some(NetScope {
            name: self.name.intersection(&other.name)?,
            network: self.network.intersection(&other.network)?,
            ports: self.ports.intersection(&other.ports)?,
        })
    }
}

impl NamePattern {
    fn matches(&self, name: Option<&str>) -> bool {
        let name = name.map(|name| name.strip_suffix('.').unwrap_or(name));
        match (self, name) {
            (NamePattern::Any, _) => true,
            (NamePattern::Exact(own), Some(name)) => own.eq_ignore_ascii_case(name),
            (NamePattern::Below(suffix), Some(name)) => {
                let bytes = name.as_bytes();
                // At least one letter, a dot, and the suffix.
                bytes.len() > suffix.len() + 1
                    && bytes[bytes.len() - suffix.len() - 1] == b'.'
                    && bytes[bytes.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
            }
            (_, None) => false,
        }
    }

    fn intersection(&self, other: &NamePattern) -> Option<NamePattern> {
        let narrower = match (self, other) {
            (NamePattern::Any, one) | (one, NamePattern::Any) => one,
            (NamePattern::Exact(name), pattern) if pattern.matches(Some(name)) => self,
            (pattern, NamePattern::Exact(name)) if pattern.matches(Some(name)) => other,
            (NamePattern::Below(a), NamePattern::Below(b)) if a == b || other.matches(Some(a)) => self,
            (NamePattern::Below(_), NamePattern::Below(b)) if self.matches(Some(b)) => other,
            _ => return None,
        };
        Some(narrower.clone())
    }
}

fn address_literal(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(six) => six.parse().ok().map(IpAddr::V6).map(canonical_address),
        None => host.parse().ok().map(canonical_address),
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PortRange::ALL => f.write_str("*"),
            PortRange { first, last } if first == last => write!(f, "{first}"),
            PortRange { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

impl FromStr for PortRange {
    type Err = ParseNetError;

    fn from_str(text: &str) -> Result<PortRange, ParseNetError> {
        let bad = || ParseNetError::BadPort(text.chars().take(64).collect());
        let number = |digits: &str| {
            let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits
                .and_then(|digits| digits.parse::<u16>().ok())
                .ok_or_else(bad)
        };
        if text == "*" {
            return Ok(PortRange::ALL);
        }
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first > last {
            Err(bad())
        } else {
            Ok(PortRange { first, last })
        }
    }
}

impl fmt::Display for NetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.network) {
            (NamePattern::Any, Network::Block(_)) => {}
            (NamePattern::Any, _) => f.write_str("*")?,
            (NamePattern::Exact(name), _) => f.write_str(name)?,
            (NamePattern::Below(suffix), _) => write!(f, "*.{suffix}")?,
        }
        if let Network::Block(block) = self.network {
            let at = if self.name == NamePattern::Any { "" } else { "@" };
            write!(f, "{at}{block}")?;
        }
        write!(f, ":{}", self.ports)
    }
}

impl FromStr for NetScope {
    type Err = ParseNetError;

    fn from_str(text: &str) -> Result<NetScope, ParseNetError> {
        let (host, ports) = text.rsplit_once(':').ok_or(ParseNetError::NoPort)?;
        // `[::1]` without a port would be split inside the brackets.
        if ports.contains(']') {
            return Err(ParseNetError::NoPort);
        }
        let ports = ports.parse()?;
        let (name, block) = match host.rsplit_once('@') {
            Some((name, block)) => (name, Some(block.parse()?)),
            None => (host, None),
        };
        if name.is_empty() {
            return Err(ParseNetError::NoHost);
        }
        if block.is_none() && (name.starts_with('[') || looks_like_address(name)) {
            return Ok(NetScope {
                name: NamePattern::Any,
                network: Network::Block(name.parse::<Cidr>()?),
                ports,
            });
        }
        let name: NamePattern = name.parse()?;
        let network = match (&name, block) {
            (_, Some(block)) => Network::Block(block),
            (NamePattern::Exact(name), None) if name == "localhost" => Network::Loopback,
            _ => Network::Public,
        };
        Ok(NetScope { name, network, ports })
    }
}

/// Returns whether the text can only be an address or a network: no name has a colon, a slash, or a last label of
/// digits (WHATWG URL, "ends in a number").
fn looks_like_address(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or(host);
    host.contains([':', '/']) || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

impl FromStr for NamePattern {
    type Err = ParseNetError;

    /// Parses a name of letters, digits, `-`, `_` and dots (an internationalized one in its `xn--` form), `*.` and a
    /// name, or `*`.
    fn from_str(text: &str) -> Result<NamePattern, ParseNetError> {
        if text == "*" {
            return Ok(NamePattern::Any);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let label = |label: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(known)
        };
        if name.len() > 253 || !name.split('.').all(label) || looks_like_address(name) {
            return Err(ParseNetError::BadHost(text.chars().take(64).collect()));
        }
        let name = name.to_owned().to_ascii_lowercase();
        Ok(if below {
            NamePattern::Below(name)
        } else {
            NamePattern::Exact(name)
        })
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for NetScope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for NetScope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
