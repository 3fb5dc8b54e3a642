//! Connecting, without a thread: the socket never waits, so that what the call does not finish is closed with it.

use super::{
    super::{answer::Answer, answer::Fail, readiness, require, wasi::Errno},
    Host, reach,
};
use crate::host::Caller;
use cap_std::net::{SocketAddr, TcpStream};
use dynload_caps::Capabilities;
use rustix::{
    event::PollFlags,
    fd::OwnedFd,
    io::Errno as Os,
    net::{AddressFamily, SocketType, connect, sockopt},
};
use std::{io, net, time::Duration};

/// Connects to the first of the addresses that the scopes allow and that answers, in their order.
///
/// The time of the call is shared evenly between those that are left, so that one that is silent does not use up all of it.
pub(super) fn first(caller: &mut Caller<'_>, host: &Host, addresses: &[SocketAddr]) -> Answer<TcpStream> {
    let mut last = Errno::Notcapable;
    for (n, address) in addresses.iter().enumerate() {
        if reach::peer(&caller.state().config.scopes, host.name(), *address).is_err() {
            continue;
        }
        let left = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
        let share = caller.remaining() / left;
        match one(caller, *address, share) {
            Ok(stream) => return Ok(stream),
            // Taken back: nothing else is tried.
            Err(Fail::Errno(Errno::Notcapable)) => return Err(Errno::Notcapable.into()),
            Err(Fail::Errno(errno)) => last = errno,
            Err(stop) => return Err(stop),
        }
    }
    Err(last.into())
}

fn one(caller: &mut Caller<'_>, address: SocketAddr, share: Duration) -> Answer<TcpStream> {
    require(caller, Capabilities::NETWORK)?;
    let until = caller.monotonic().saturating_add(share);
    let socket = open(address).map_err(os)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(Os::INPROGRESS | Os::INTR) => {
            let mut is_ready = false;
            let step = |caller: &mut Caller<'_>| {
                if is_ready || readiness::is_ready(&socket, PollFlags::OUT, Duration::ZERO)? {
                    is_ready = true;
                    return Ok(Some(()));
                }
                if caller.monotonic() >= until {
                    return Err(Errno::Timedout.into());
                }
                Ok(None)
            };
            let pause = |_: &mut Caller<'_>, slice| {
                Ok(readiness::is_ready(&socket, PollFlags::OUT, slice).map(drop)?)
            };
            readiness::retry(caller, Capabilities::NETWORK, step, pause)?;
            sockopt::socket_error(&socket).map_err(os)?.map_err(os)?;
        }
        Err(error) => return Err(os(error).into()),
    }
    Ok(TcpStream::from_std(net::TcpStream::from(socket)))
}

/// A socket for the family of `address` that does not wait.
fn open(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        use rustix::net::{SocketFlags, socket_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(family, SocketType::STREAM, flags, None)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

fn os(error: Os) -> Errno {
    Errno::from(&io::Error::from(error))
}
