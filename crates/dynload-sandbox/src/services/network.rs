//! `dynload.tcp_connect`, `dynload.tcp_listen`, `dynload.udp_bind`: sockets, behind the capability NETWORK.
//!
//! The host resolves names, and the resolved address of each connection is checked against the scopes before the
//! connection is made. The guest receives a descriptor for `fd_read`, `fd_write`, `sock_*` and `poll_oneoff`.

mod connect;
mod lookup;
mod reach;
mod socket;

use super::{
    answer::Answer,
    descriptor::{Datagram, Descriptor, Kind},
    functions, guest, require,
    wasi::Errno,
};
use crate::{call::state::State, host::Caller};
use cap_std::{
    ambient_authority,
    net::{IpAddr, Pool, SocketAddr, TcpStream, UdpSocket},
};
use dynload_caps::{Capabilities, Scopes};
pub(crate) use lookup::LookupCount;
#[cfg(windows)]
pub(super) use socket::INHERITABLE;
pub(super) use socket::accept;
use std::string::String;
use wasmi::{Func, Store};

/// The maximum length of a host name.
pub(super) const MAX_NAME: u32 = 255;

/// Creates the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, {
        "tcp_connect" => tcp_connect [host_ptr: u32, host_len: u32, port: u32, out: u32];
        "tcp_listen" => tcp_listen [host_ptr: u32, host_len: u32, port: u32, out: u32];
        "udp_bind" => udp_bind
            [host_ptr: u32, host_len: u32, port: u32, peer_ptr: u32, peer_len: u32, peer_port: u32, out: u32];
    })
}

/// Returns a pool of this one address to send to, if the scopes allow it for a host that the guest named `name`.
pub(super) fn peer(scopes: &Scopes, name: Option<&str>, address: SocketAddr) -> Result<Pool, Errno> {
    reach::peer(scopes, name, address).map(|()| pool(address))
}

fn pool(address: SocketAddr) -> Pool {
    let mut pool = Pool::new();
    pool.insert_socket_addr(address, ambient_authority());
    pool
}

/// A host and a port, as the guest passes them.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl Host {
    fn read(caller: &mut Caller<'_>, ptr: u32, len: u32, port: u32) -> Answer<Host> {
        let port = u16::try_from(port).map_err(|_| Errno::Inval)?;
        let name = guest::text(caller, ptr, len, MAX_NAME)?;
        if name.is_empty() {
            return Err(Errno::Inval.into());
        }
        Ok(Host { name, port })
    }

    /// Returns the address, if the guest passed an address: with or without brackets.
    fn address(&self) -> Option<IpAddr> {
        let inside = self
            .name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        inside.unwrap_or(&self.name).parse().ok()
    }

    /// Returns the name, if the guest passed a name.
    fn name(&self) -> Option<&str> {
        if self.address().is_some() {
            None
        } else {
            Some(&self.name)
        }
    }

    /// Returns whether any pattern of the scopes matches this host. A name that matches none is not looked up,
    /// because the query itself would leak information.
    fn is_listed(&self, scopes: &Scopes) -> bool {
        scopes
            .net
            .iter()
            .any(|scope| scope.matches_name(&self.name, self.port))
    }

    /// Returns whether this is the address of a socket that is not bound explicitly: any address of the host, any
    /// port.
    fn is_unspecified(&self) -> bool {
        self.port == 0
            && self
                .address()
                .is_some_and(|address| address.to_canonical().is_unspecified())
    }
}

fn tcp_connect(caller: &mut Caller<'_>, host_ptr: u32, host_len: u32, port: u32, out: u32) -> Answer {
    let host = begin(caller, host_ptr, host_len, port, out)?;
    let stream = connect(caller, &host)?;
    let port = stream.local_addr()?.port();
    finish(caller, Kind::Stream(stream), port, out)
}

/// Connects to an address of the host that the scopes allow: the name is looked up once, and the connection is made to the
/// address that was checked.
pub(super) fn connect(caller: &mut Caller<'_>, host: &Host) -> Answer<TcpStream> {
    listed(caller, host)?;
    let addresses = lookup::addresses(caller, host)?;
    let stream = connect::first(caller, host, &addresses)?;
    // The writers buffer themselves.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tcp_listen(caller: &mut Caller<'_>, host_ptr: u32, host_len: u32, port: u32, out: u32) -> Answer {
    let host = begin(caller, host_ptr, host_len, port, out)?;
    listed(caller, &host)?;
    let address = local(caller, &host)?;
    let listener = socket::listener(address)?;
    let port = listener.local_addr()?.port();
    finish(caller, Kind::Listener(listener), port, out)
}

#[allow(clippy::too_many_arguments, reason = "the parameters are those of the import")]
fn udp_bind(
    caller: &mut Caller<'_>,
    host_ptr: u32,
    host_len: u32,
    port: u32,
    peer_ptr: u32,
    peer_len: u32,
    peer_port: u32,
    out: u32,
) -> Answer {
    let host = begin(caller, host_ptr, host_len, port, out)?;
    if peer_len == 0 {
        listed(caller, &host)?;
        let address = local(caller, &host)?;
        let socket = socket::datagrams(address)?;
        return finish_datagram(caller, socket, None, out);
    }
    let peer = begin(caller, peer_ptr, peer_len, peer_port, out)?;
    listed(caller, &peer)?;
    // A socket with one peer must be bound somewhere; any address and any port selects nothing, so it needs no
    // pattern.
    let address = match host.address() {
        Some(address) if host.is_unspecified() => SocketAddr::new(address, 0),
        _ => {
            listed(caller, &host)?;
            local(caller, &host)?
        }
    };
    let found = lookup::addresses(caller, &peer)?;
    require(caller, Capabilities::NETWORK)?;
    let scopes = &caller.state().config.scopes;
    let mut allowed = found
        .into_iter()
        .filter(|found| reach::peer(scopes, peer.name(), *found).is_ok())
        .peekable();
    allowed.peek().ok_or(Errno::Notcapable)?;
    let peer = allowed
        .find(|found| found.is_ipv4() == address.is_ipv4())
        .ok_or(Errno::Afnosupport)?;
    let socket = socket::datagrams(address)?;
    pool(peer).connect_udp_socket(&socket, peer)?;
    finish_datagram(caller, socket, Some(peer), out)
}

fn finish_datagram(caller: &mut Caller<'_>, socket: UdpSocket, peer: Option<SocketAddr>, out: u32) -> Answer {
    let port = socket.local_addr()?.port();
    let is_connected = peer.is_some();
    let datagram = Datagram {
        socket,
        peer,
        is_connected,
    };
    finish(caller, Kind::Datagram(datagram), port, out)
}

/// Returns the first address of the host that the scopes allow to bind to.
fn local(caller: &mut Caller<'_>, host: &Host) -> Answer<SocketAddr> {
    let found = lookup::addresses(caller, host)?;
    require(caller, Capabilities::NETWORK)?;
    let scopes = &caller.state().config.scopes;
    let allowed = found
        .into_iter()
        .find(|address| reach::local(scopes, host.name(), *address).is_ok());
    Ok(allowed.ok_or(Errno::Notcapable)?)
}

/// Refuses a host that no pattern matches.
fn listed(caller: &mut Caller<'_>, host: &Host) -> Answer {
    if host.is_listed(&caller.state().config.scopes) {
        Ok(())
    } else {
        Err(Errno::Notcapable.into())
    }
}

/// The checks that all three functions make first.
fn begin(caller: &mut Caller<'_>, ptr: u32, len: u32, port: u32, out: u32) -> Answer<Host> {
    require(caller, Capabilities::NETWORK)?;
    let host = Host::read(caller, ptr, len, port)?;
    caller.memory_or_empty().slice(out, 8)?;
    caller.state().services.table().room()?;
    Ok(host)
}

/// Adds the socket, and writes its descriptor and its local port to the guest.
fn finish(caller: &mut Caller<'_>, kind: Kind, port: u16, out: u32) -> Answer {
    let fd = caller.state().services.table().add(Descriptor::socket(kind))?;
    guest::write_u32(caller, out, fd)?;
    guest::write_u32(caller, guest::offset(out, 4)?, port.into())
}
