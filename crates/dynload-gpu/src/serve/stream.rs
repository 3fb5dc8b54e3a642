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
    /// Answers that are sent together with a later one.
    held: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(socket: UnixStream) -> Stream {
        Stream {
            socket,
            frames: Frames::new(MAX_REQUEST),
            head: Vec::new(),
            held: Vec::new(),
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

    /// Holds an answer that has no bytes of its own back until the next one.
    pub(crate) fn hold(&mut self, answer: &Answer<'_>) {
        let tail = answer.encode(&mut self.head);
        debug_assert!(tail.is_empty());
        self.held.extend(&self.head);
    }

    /// Sends an answer, after those that were held back.
    pub(crate) fn answer(&mut self, answer: &Answer<'_>) -> Result<(), Ended> {
        let tail = answer.encode(&mut self.head);
        self.held.extend(&self.head);
        let mut parts = [&self.held[..], tail];
        while parts.iter().any(|part| !part.is_empty()) {
            let mut sent = send(&self.socket, parts).map_err(|_| Ended)?;
            for part in &mut parts {
                let of_this = sent.min(part.len());
                *part = &part[of_this..];
                sent -= of_this;
            }
        }
        self.held.clear();
        Ok(())
    }
}
