//! Nonblocking sockets.

use cap_std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
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
    // Lingering connections of an earlier listener must not make `bind` fail (socket(7)). On Windows they do not, and the
    // option would let others take the port.
    #[cfg(unix)]
    sockopt::set_socket_reuseaddr(&socket, true)?;
    put(&socket, address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Accepts a connection.
pub(in crate::services) fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    #[cfg(unix)]
    let (stream, _) = listener.accept()?;
    // See `socket`.
    #[cfg(windows)]
    let stream = {
        let _held = INHERITABLE.read();
        let (inheritable, _) = listener.accept()?;
        inheritable.try_clone()?
    };
    stream.set_nonblocking(true)?;
    Ok(stream)
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
        #[cfg(unix)]
        let socket = rustix::net::socket(family, ty, None)?;
        // Programs that are started would inherit the socket, but not a duplicate of the standard library.
        #[cfg(windows)]
        let socket = {
            start()?;
            let _held = INHERITABLE.read();
            let inheritable = rustix::net::socket(family, ty, None)?;
            inheritable.try_clone().map_err(|_| rustix::io::Errno::MFILE)?
        };
        #[cfg(unix)]
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        // `std` sets it for the sockets that it creates, because Apple's systems have no MSG_NOSIGNAL.
        #[cfg(target_vendor = "apple")]
        sockopt::set_socket_nosigpipe(&socket, true)?;
        Ok(socket)
    }
}

/// Locked while a socket exists that a program would inherit, and exclusively while a program is started.
#[cfg(windows)]
pub(in crate::services) static INHERITABLE: std::sync::RwLock<()> = std::sync::RwLock::new(());

/// Starts Windows Sockets, once in the process.
#[cfg(windows)]
fn start() -> rustix::io::Result<()> {
    static STARTED: std::sync::OnceLock<rustix::io::Result<()>> = std::sync::OnceLock::new();
    *STARTED.get_or_init(|| rustix::net::wsa_startup().map(drop))
}
