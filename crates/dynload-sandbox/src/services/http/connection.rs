//! A connection for one request, with or without TLS.

use super::{
    super::{answer::Answer, network, readiness, wasi::Errno},
    HttpClient, HttpError, broken, refused,
    request::Request,
};
use crate::{error::Stop, host::Caller};
use cap_std::net::TcpStream;
use dynload_caps::Capabilities;
use rustix::event::PollFlags;
use rustls::{ClientConnection, pki_types::ServerName};
use std::{
    boxed::Box,
    cell::RefCell,
    error::Error,
    io::{self, ErrorKind, Read, Write},
    string::String,
    sync::Arc,
};

/// A connection to the host of a request.
pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// The host, for errors.
    host: String,
}

impl Connection {
    /// Connects to an address of the host that the scopes allow.
    pub(super) fn open(
        client: &HttpClient,
        caller: &mut Caller<'_>,
        request: &Request,
    ) -> Result<Connection, Stop> {
        let host = request.host();
        let stream = network::connect(caller, &host).map_err(|fail| refused(caller, &host, fail))?;
        let mut connection = Connection {
            stream,
            tls: None,
            host: host.name,
        };
        if request.is_secure() {
            connection.secure(client, caller)?;
        }
        Ok(connection)
    }

    fn secure(&mut self, client: &HttpClient, caller: &mut Caller<'_>) -> Result<(), Stop> {
        // An address is in brackets.
        let name = String::from(self.host.trim_matches(['[', ']']));
        let name = ServerName::try_from(name).map_err(|cause| self.tls_error(cause))?;
        let tls = ClientConnection::new(client.tls.clone(), name).map_err(|cause| self.tls_error(cause))?;
        self.tls = Some(Box::new(tls));
        self.repeat(caller, PollFlags::IN, |connection| {
            connection.flush()?;
            if connection.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                connection.receive()?;
                return Ok(None);
            }
            Ok((!connection.wants_write()).then_some(()))
        })
    }

    /// Writes all of `bytes`.
    pub(super) fn write_all(&mut self, caller: &mut Caller<'_>, bytes: &[u8]) -> Result<(), Stop> {
        let mut rest = bytes;
        self.repeat(caller, PollFlags::OUT, |connection| {
            let taken = match &mut connection.tls {
                None => ready(connection.stream.write(rest))?.unwrap_or(0),
                // It keeps what it is not allowed to send yet.
                Some(tls) if !tls.wants_write() => tls.writer().write(rest)?,
                Some(_) => 0,
            };
            rest = &rest[taken..];
            connection.flush()?;
            Ok((rest.is_empty() && !connection.wants_write()).then_some(()))
        })
    }

    /// Reads at least one byte, or none at the end.
    pub(super) fn read(&mut self, caller: &mut Caller<'_>, buffer: &mut [u8]) -> Result<usize, Stop> {
        self.repeat(caller, PollFlags::IN, |connection| {
            let Some(tls) = &mut connection.tls else {
                return ready(connection.stream.read(buffer));
            };
            if let Some(read) = ready(tls.reader().read(buffer))? {
                return Ok(Some(read));
            }
            connection.flush()?;
            connection.receive()?;
            match &mut connection.tls {
                Some(tls) => ready(tls.reader().read(buffer)),
                None => Ok(None),
            }
        })
    }

    fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends what TLS has to send, as far as the socket accepts it.
    fn flush(&mut self) -> Answer {
        if let Some(tls) = &mut self.tls
            && tls.wants_write()
        {
            ready(tls.write_tls(&mut self.stream))?;
        }
        Ok(())
    }

    /// Processes what the server has sent, if TLS can use it.
    fn receive(&mut self) -> Answer {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        if !tls.wants_read() {
            return Ok(());
        }
        let received = ready(tls.read_tls(&mut self.stream))?;
        if let Err(cause) = tls.process_new_packets() {
            // The server learns why, if it can.
            let _ = tls.write_tls(&mut self.stream);
            return Err(self.tls_error(cause).into());
        }
        match received {
            Some(0) if tls.is_handshaking() => Err(Errno::Connreset.into()),
            _ => Ok(()),
        }
    }

    /// Calls `step` until it returns a value, and waits between two calls until the socket is ready for `direction`, or for
    /// what TLS has to send.
    fn repeat<T>(
        &mut self,
        caller: &mut Caller<'_>,
        direction: PollFlags,
        mut step: impl FnMut(&mut Connection) -> Answer<Option<T>>,
    ) -> Result<T, Stop> {
        let connection = RefCell::new(self);
        let result = readiness::retry(
            caller,
            Capabilities::NETWORK,
            |_| step(&mut connection.borrow_mut()),
            |_, slice| {
                let connection = connection.borrow();
                let sends = if connection.wants_write() {
                    PollFlags::OUT
                } else {
                    PollFlags::empty()
                };
                Ok(readiness::is_ready(&connection.stream, direction | sends, slice).map(drop)?)
            },
        );
        result.map_err(|fail| broken(caller, fail))
    }

    fn tls_error(&self, cause: impl Error + Send + Sync + 'static) -> Stop {
        Stop::host(HttpError::Tls {
            host: self.host.clone(),
            cause: Arc::new(cause),
        })
    }
}

/// Returns the result of an operation that does not wait; `None` if it would have to.
fn ready(result: io::Result<usize>) -> Answer<Option<usize>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(None),
            // TLS tells an end from a cut.
            ErrorKind::UnexpectedEof => Err(Stop::host(HttpError::ended_early()).into()),
            _ => Err(error.into()),
        },
    }
}
