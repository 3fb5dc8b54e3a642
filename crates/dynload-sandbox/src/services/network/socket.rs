//! Sockets that do not wait.

use cap_std::net::{SocketAddr, TcpListener, UdpSocket};
use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, SocketType, bind, listen, sockopt},
};
use std::io;

/// Connections that wait to be accepted, as the standard library has them.
const BACKLOG: i32 = 128;

/// A listener for connections.
pub(super) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, SocketType::STREAM)?;
    // Connections of an earlier listener that linger are no reason to wait for them (socket(7)).
    sockopt::set_socket_reuseaddr(&socket, true)?;
    put(&socket, address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A socket for datagrams.
pub(super) fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, SocketType::DGRAM)?;
    put(&socket, address)?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Gives the socket that address and no other: `::` alone is every address of IPv4 as well (ipv6(7)).
fn put(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(socket, true)?;
    }
    Ok(bind(socket, &address)?)
}

/// A socket for the family of `address`.
pub(super) fn socket(address: SocketAddr, ty: SocketType) -> rustix::io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        use rustix::net::{SocketFlags, socket_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(family, ty, flags, None)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
        let socket = rustix::net::socket(family, ty, None)?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}
