//! `dynload.tcp_connect`, `dynload.tcp_listen`, `dynload.udp_bind`: sockets, behind the capability NETWORK.
//!
//! The host resolves names, and what is checked against the scopes is the address that came out, for the connection
//! that is about to be made. What a guest gets is a descriptor for `fd_read`, `fd_write`, `sock_*` and `poll_oneoff`.

use super::{
    answer::Answer,
    descriptor::{Datagram, Descriptor, Kind},
    functions, guest, readiness, require,
    wasi::Errno,
};
use crate::{host::Caller, state::State};
use cap_std::{
    ambient_authority,
    net::{IpAddr, Pool, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
};
use dynload_caps::{Capabilities, Scopes};
use std::{
    io,
    string::String,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
    vec::Vec,
};
use wasmi::{Func, Store};

/// The longest name of a host that is looked at.
const MAX_NAME: u32 = 255;

/// Look-ups and connections that may be under way for one instance, those included that a call gave up on. They end
/// by themselves when the operating system gives up as well.
const MAX_RESOLVING: usize = 4;

/// Makes the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, {
        "tcp_connect" => tcp_connect [host_ptr: u32, host_len: u32, port: u32, out: u32];
        "tcp_listen" => tcp_listen [host_ptr: u32, host_len: u32, port: u32, out: u32];
        "udp_bind" => udp_bind
            [host_ptr: u32, host_len: u32, port: u32, peer_ptr: u32, peer_len: u32, peer_port: u32, out: u32];
    })
}

/// A pool of this one address, if the scopes allow it for a host that the guest named `name`.
pub(super) fn pool(scopes: &Scopes, name: Option<&str>, address: SocketAddr) -> Result<Pool, Errno> {
    if !scopes.allows_net(name, address.ip(), address.port()) {
        return Err(Errno::Notcapable);
    }
    let mut pool = Pool::new();
    pool.insert_socket_addr(address, ambient_authority());
    Ok(pool)
}

/// Counts what is under way.
#[derive(Debug, Default)]
pub(super) struct Resolving(Arc<AtomicUsize>);

struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A host and a port, as the guest names them.
struct Host {
    name: String,
    port: u16,
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

    /// The address, where the guest gave one: with or without brackets.
    fn address(&self) -> Option<IpAddr> {
        let inside = self
            .name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        inside.unwrap_or(&self.name).parse().ok()
    }

    /// The name, where the guest gave one.
    fn name(&self) -> Option<&str> {
        if self.address().is_some() {
            None
        } else {
            Some(&self.name)
        }
    }

    /// Whether some pattern of the scopes is about this host at all. A name that none is about is not even looked up:
    /// the question itself would tell somebody something.
    fn is_listed(&self, scopes: &Scopes) -> bool {
        scopes
            .net
            .iter()
            .any(|scope| scope.matches_name(&self.name, self.port))
    }

    /// Every address of the host that the scopes allow. May wait for a name server: not for the guest's own thread.
    fn resolve(&self, scopes: &Scopes) -> Result<Vec<SocketAddr>, Errno> {
        let all: Vec<SocketAddr> = match self.address() {
            Some(address) => Vec::from([SocketAddr::new(address, self.port)]),
            None => {
                let found = (self.name.as_str(), self.port).to_socket_addrs();
                found.map_err(|_| Errno::Noent)?.collect()
            }
        };
        let allowed: Vec<SocketAddr> = all
            .into_iter()
            .filter(|address| scopes.allows_net(self.name(), address.ip(), address.port()))
            .collect();
        if allowed.is_empty() {
            Err(Errno::Notcapable)
        } else {
            Ok(allowed)
        }
    }
}

/// Runs on a thread of the host what the operating system may take long for, and waits a slice at a time.
///
/// When the call ends before, the thread is left alone and what it comes back with is dropped.
fn aside<T: Send + 'static>(
    caller: &mut Caller<'_>,
    work: impl FnOnce(Scopes, Duration) -> Result<T, Errno> + Send + 'static,
) -> Answer<T> {
    let remaining = caller.remaining();
    let state = caller.state();
    let scopes = state.config.scopes.clone();
    let count = state.services.open().resolving.0.clone();
    let under_way = UnderWay(count.clone());
    if count.fetch_add(1, Ordering::SeqCst) >= MAX_RESOLVING {
        return Err(Errno::Again.into());
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let run = move || {
        // Nobody listens any more when the call has ended.
        let _ = sender.send(work(scopes, remaining));
        drop(under_way);
    };
    thread::Builder::new()
        .name("dynload-connect".into())
        .spawn(run)
        .map_err(|_| Errno::Again)?;
    let step = |_: &mut Caller<'_>| match receiver.recv_timeout(readiness::SLICE) {
        Ok(result) => Ok(Some(result?)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Errno::Io.into()),
    };
    readiness::retry(caller, Capabilities::NETWORK, step, |_, _| Ok(()))
}

fn tcp_connect(caller: &mut Caller<'_>, host_ptr: u32, host_len: u32, port: u32, out: u32) -> Answer {
    let host = begin(caller, host_ptr, host_len, port, out)?;
    let stream = aside(caller, move |scopes, remaining| {
        let mut last = Errno::Notcapable;
        for address in host.resolve(&scopes)? {
            let pool = pool(&scopes, host.name(), address)?;
            match pool.connect_timeout_tcp_stream(&address, remaining.max(Duration::from_millis(1))) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Errno::from(&error),
            }
        }
        Err(last)
    })?;
    finish_stream(caller, stream, out)
}

fn finish_stream(caller: &mut Caller<'_>, stream: TcpStream, out: u32) -> Answer {
    stream.set_nonblocking(true)?;
    // Guests write through buffers of their own.
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    finish(caller, Kind::Stream(stream), port, out)
}

fn tcp_listen(caller: &mut Caller<'_>, host_ptr: u32, host_len: u32, port: u32, out: u32) -> Answer {
    let host = begin(caller, host_ptr, host_len, port, out)?;
    let listener = aside(caller, move |scopes, _| {
        let address = *host.resolve(&scopes)?.first().ok_or(Errno::Notcapable)?;
        let listener = pool(&scopes, host.name(), address)?.bind_tcp_listener(address);
        listener.map_err(|error| Errno::from(&error))
    })?;
    listener.set_nonblocking(true)?;
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
    let peer = match peer_len {
        0 => None,
        _ => Some(begin(caller, peer_ptr, peer_len, peer_port, out)?),
    };
    let (socket, peer) = aside(caller, move |scopes, _| {
        let broken = |error: io::Error| Errno::from(&error);
        let local = *host.resolve(&scopes)?.first().ok_or(Errno::Notcapable)?;
        let socket: UdpSocket = pool(&scopes, host.name(), local)?
            .bind_udp_socket(local)
            .map_err(broken)?;
        let Some(peer) = peer else {
            return Ok((socket, None));
        };
        let found = peer.resolve(&scopes)?;
        let address = found
            .into_iter()
            .find(|address| address.is_ipv4() == local.is_ipv4());
        let address = address.ok_or(Errno::Afnosupport)?;
        pool(&scopes, peer.name(), address)?
            .connect_udp_socket(&socket, address)
            .map_err(broken)?;
        Ok((socket, Some(address)))
    })?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    let is_connected = peer.is_some();
    finish(
        caller,
        Kind::Datagram(Datagram {
            socket,
            peer,
            is_connected,
        }),
        port,
        out,
    )
}

/// What all three check before anything happens.
fn begin(caller: &mut Caller<'_>, ptr: u32, len: u32, port: u32, out: u32) -> Answer<Host> {
    require(caller, Capabilities::NETWORK)?;
    let host = Host::read(caller, ptr, len, port)?;
    caller.memory().slice(out, 8)?;
    if !host.is_listed(&caller.state().config.scopes) {
        return Err(Errno::Notcapable.into());
    }
    caller.state().services.table().room()?;
    Ok(host)
}

/// Adds the socket, and tells its descriptor and the port at this end.
fn finish(caller: &mut Caller<'_>, kind: Kind, port: u16, out: u32) -> Answer {
    let fd = caller.state().services.table().add(Descriptor::socket(kind))?;
    guest::write_u32(caller, out, fd)?;
    guest::write_u32(caller, guest::offset(out, 4)?, port.into())
}
