//! Nonblocking sockets.

use cap_std::net::{SocketAddr, TcpListener, UdpSocket};
use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, SocketType, bind, listen, sockopt},
};
use std::io;

/// The listen backlog, as in the standard library.
const BACKLOG: i32 = 128;

/// Creates a listener for connections.
pub(super) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, SocketType::STREAM)?;
    // Lingering connections of an earlier listener must not make `bind` fail (socket(7)).
    sockopt::set_socket_reuseaddr(&socket, true)?;
    put(&socket, address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Creates a datagram socket.
pub(super) fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, SocketType::DGRAM)?;
    put(&socket, address)?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Binds the socket to that address only: without IPV6_V6ONLY, `::` includes every IPv4 address too (ipv6(7)).
fn put(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(socket, true)?;
    }
    Ok(bind(socket, &address)?)
}

/// Creates a socket of the family of `address`.
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
        // `std` sets it for the sockets that it creates, because Apple's systems have no MSG_NOSIGNAL.
        #[cfg(target_vendor = "apple")]
        sockopt::set_socket_nosigpipe(&socket, true)?;
        Ok(socket)
    }
}
