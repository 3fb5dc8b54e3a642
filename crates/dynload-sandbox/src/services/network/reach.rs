//! Reachable addresses: the scopes, combined with the host's own addresses, which only the operating system knows.

use super::{super::wasi::Errno, socket::socket};
use cap_std::net::{IpAddr, SocketAddr};
use dynload_caps::{Scopes, canonical_address};
use rustix::{
    io::Errno as Os,
    net::{SocketType, bind},
};

/// Checks that the scopes allow connecting or sending to `address`, for a host that the guest named `name`.
///
/// Unspecified addresses are for listening only: the system would connect to the host itself.
pub(super) fn peer(scopes: &Scopes, name: Option<&str>, address: SocketAddr) -> Result<(), Errno> {
    if canonical_address(address.ip()).is_unspecified() {
        return Err(Errno::Notcapable);
    }
    local(scopes, name, address)
}

/// Checks that the scopes allow listening on `address`.
pub(super) fn local(scopes: &Scopes, name: Option<&str>, address: SocketAddr) -> Result<(), Errno> {
    judge(scopes, name, address, is_own)
}

fn judge(
    scopes: &Scopes,
    name: Option<&str>,
    address: SocketAddr,
    is_own: impl Fn(IpAddr) -> bool,
) -> Result<(), Errno> {
    let (ip, port) = (address.ip(), address.port());
    // The system is queried only if its answer decides.
    let allowed =
        scopes.allows_local_net(name, ip, port) || scopes.allows_remote_net(name, ip, port) && !is_own(ip);
    if allowed { Ok(()) } else { Err(Errno::Notcapable) }
}

/// Returns whether `address` is one of the host's own: a socket can be bound to those and to no others. If the
/// system's answer is not certain, the address counts as the host's own (with `ip_nonlocal_bind` set, every address
/// does).
fn is_own(address: IpAddr) -> bool {
    let address = canonical_address(address);
    let any_port = SocketAddr::new(address, 0);
    // Wine binds sockets for datagrams to every address.
    let bound = socket(any_port, SocketType::STREAM).and_then(|socket| bind(socket, &any_port));
    // If the family is not supported, connecting is impossible too.
    !matches!(bound, Err(Os::ADDRNOTAVAIL | Os::AFNOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn scopes(patterns: &[&str]) -> Scopes {
        let mut scopes = Scopes::none();
        scopes.net = patterns
            .iter()
            .map(|pattern| pattern.parse().unwrap())
            .collect::<Vec<_>>();
        scopes
    }

    #[test]
    fn own_addresses_are_reached_only_where_a_pattern_names_them() {
        let own = |address: IpAddr| address == IpAddr::from([192, 0, 2, 7]);
        for (pattern, name, reached) in [
            ("*:*", None, false),
            ("0.0.0.0/0:*", None, false),
            ("192.0.2.0/24:*", None, false),
            ("192.0.2.6/31:*", None, false),
            ("192.0.2.7:*", None, true),
            ("192.0.2.7/32:443", None, false),
            ("host.example:*", Some("host.example"), false),
            ("*.example:*", Some("host.example"), false),
            ("*:*", Some("host.example"), false),
            ("host.example@192.0.2.0/24:*", Some("host.example"), false),
            ("host.example@192.0.2.7:*", Some("host.example"), true),
        ] {
            let scopes = scopes(&[pattern]);
            let found = judge(&scopes, name, "192.0.2.7:443".parse().unwrap(), own).is_ok();
            assert_eq!(found, reached, "{pattern}");
            // If the address were another host's, each pattern would reach it.
            let other = judge(&scopes, name, "192.0.2.7:443".parse().unwrap(), |_| false).is_ok();
            assert!(other, "{pattern}");
        }
    }

    #[test]
    fn the_system_knows_its_own_addresses() {
        for (address, own) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("64:ff9b::7f00:1", true),
            ("203.0.113.77", false),
            ("::ffff:203.0.113.77", false),
            ("2001:db8:ffff::77", false),
        ] {
            assert_eq!(is_own(address.parse().unwrap()), own, "{address}");
        }
    }

    #[test]
    fn the_unspecified_addresses_are_for_listening_only() {
        let scopes = scopes(&["0.0.0.0:*", "[::]:*", "*:*", "127.0.0.0/8:*", "[::]/96:*"]);
        for address in ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "[64:ff9b::]:1"] {
            let address = address.parse().unwrap();
            assert_eq!(peer(&scopes, None, address), Err(Errno::Notcapable), "{address}");
            assert_eq!(local(&scopes, None, address), Ok(()), "{address}");
        }
    }
}
