//! Connecting without a thread: the socket is nonblocking, so a connection that the call does not complete is closed
//! when the call ends.

use super::{
    super::{answer::Answer, answer::Fail, readiness, require, wasi::Errno},
    Host, reach,
    socket::socket,
};
use crate::host::Caller;
use cap_std::net::{SocketAddr, TcpStream};
use dynload_caps::Capabilities;
use rustix::{
    event::PollFlags,
    io::Errno as Os,
    net::{SocketType, connect, sockopt},
};
use std::{io, net, time::Duration};

/// Connects to the first of the addresses that the scopes allow and that accepts, in their order.
///
/// The remaining time of the call is split evenly between the remaining addresses, so that an unresponsive one does
/// not use up all of it.
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
            // The capability was revoked: no other address is tried.
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
    let socket = socket(address, SocketType::STREAM).map_err(os)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        // Windows says that it would block.
        Err(Os::INPROGRESS | Os::INTR | Os::WOULDBLOCK) => {
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

fn os(error: Os) -> Errno {
    Errno::from(&io::Error::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, Engine, Limits, Module, Sandbox};
    use rustix::{
        fd::OwnedFd,
        net::{bind, listen},
    };
    use std::{
        boxed::Box,
        error::Error,
        net::TcpListener,
        sync::{Arc, Mutex},
        vec::Vec,
    };

    fn listener(backlog: i32) -> TcpListener {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = socket(any, SocketType::STREAM).unwrap();
        bind(&listener, &any).unwrap();
        listen(&listener, backlog).unwrap();
        TcpListener::from(listener)
    }

    /// Returns a listener that accepts no more connections, and the sockets that filled its backlog.
    fn silent() -> (TcpListener, Vec<OwnedFd>) {
        let listener = listener(0);
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        loop {
            let client = socket(address, SocketType::STREAM).unwrap();
            let _ = connect(&client, &address);
            let answers = readiness::is_ready(&client, PollFlags::OUT, Duration::from_millis(200)).unwrap();
            filling.push(client);
            if !answers {
                return (listener, filling);
            }
        }
    }

    /// Returns the result of `first` in a call with a time limit.
    fn first_of(addresses: Vec<SocketAddr>, patterns: &[&str]) -> Result<SocketAddr, Errno> {
        let mut sandbox = Sandbox::new(Limits::PERMISSIVE.with_time(Duration::from_millis(3_000)));
        sandbox.grant(Capabilities::all());
        let mut scopes = sandbox.scopes().clone();
        scopes.net = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        sandbox.set_scopes(scopes);
        let found = Arc::new(Mutex::new(None));
        let result_out = found.clone();
        let host = Host {
            name: "several.example".into(),
            port: 0,
        };
        sandbox.func_wrap(
            "env",
            "go",
            Capabilities::NONE,
            move |caller: &mut Caller<'_>, (): ()| {
                let result = match first(caller, &host, &addresses) {
                    Ok(stream) => Ok(stream.peer_addr().unwrap()),
                    Err(Fail::Errno(errno)) => Err(errno),
                    Err(Fail::Stop(stop)) => return Err(stop),
                };
                *result_out.lock().unwrap() = Some(result);
                Ok(())
            },
        );
        // It imports a service, so that its instance has services.
        let guest = r#"(module (import "env" "go" (func $go))
            (import "dynload" "tcp_connect" (func (param i32 i32 i32 i32) (result i32)))
            (func (export "run") (call $go)))"#;
        let module = Module::new(&Engine::default(), wat::parse_str(guest).unwrap()).unwrap();
        let mut instance = sandbox.instantiate(&module).unwrap();
        instance.call("run", &[]).map_err(Box::<dyn Error>::from).unwrap();
        found.lock().unwrap().take().unwrap()
    }

    /// Regression: each address had the whole time of the call, so six of them took five seconds beyond its end.
    #[test]
    fn addresses_share_the_time_and_are_all_checked() {
        let (silent, _filling) = silent();
        let silent = silent.local_addr().unwrap();
        let server = listener(8);
        let server = server.local_addr().unwrap();
        let pattern = "several.example@127.0.0.1/32:*";
        let found = first_of(Vec::from([silent, silent, server]), &[pattern]);
        assert_eq!(found, Ok(server));
        // The last share ends with the time of the call; an unlisted address takes no share.
        let elsewhere = SocketAddr::new([127, 0, 0, 9].into(), server.port());
        let only = std::format!("several.example@127.0.0.1:{}", server.port());
        assert_eq!(
            first_of(Vec::from([elsewhere, silent, server]), &[&only]),
            Ok(server)
        );
        assert_eq!(
            first_of(Vec::from([elsewhere, silent]), &[&only]),
            Err(Errno::Notcapable)
        );
    }
}
