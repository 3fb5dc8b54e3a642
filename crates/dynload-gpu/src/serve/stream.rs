//! The frames of a session at the end that executes its commands. Reading and writing wait.

use super::Ended;
use crate::{
    client::send,
    protocol::{Answer, Frames, MAX_REQUEST, Request},
};
use dynload_sandbox::gpu::Dispatch;
use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
};

pub(crate) struct Stream {
    socket: UnixStream,
    frames: Frames,
    head: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(socket: UnixStream) -> Stream {
        Stream {
            socket,
            frames: Frames::new(MAX_REQUEST),
            head: Vec::new(),
        }
    }

    /// Waits for the next request.
    pub(crate) fn request<'a>(&'a mut self, dispatches: &'a mut Vec<Dispatch>) -> Result<Request<'a>, Ended> {
        while self.frames.whole().map_err(|_| Ended)?.is_none() {
            match self.frames.fill(|space| (&self.socket).read(space)) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Err(Ended),
            }
        }
        let frame = self.frames.take().ok().flatten().ok_or(Ended)?;
        Request::decode(frame, dispatches).map_err(|_| Ended)
    }

    /// Sends an answer.
    pub(crate) fn answer(&mut self, answer: &Answer<'_>) -> Result<(), Ended> {
        let tail = answer.encode(&mut self.head);
        let mut parts = [&self.head[..], tail];
        while parts.iter().any(|part| !part.is_empty()) {
            let mut sent = send(&self.socket, parts).map_err(|_| Ended)?;
            for part in &mut parts {
                let of_this = sent.min(part.len());
                *part = &part[of_this..];
                sent -= of_this;
            }
        }
        Ok(())
    }
}
