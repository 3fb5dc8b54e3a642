//! The host's end of a session: a socket, and what is at its other end.

use crate::protocol::{
    Answer, Conversation, Frames, LENGTH, MAX_ANSWER, MAX_REQUEST, Malformed, Request, VERSION, WINDOW,
};
use crate::window::{Half, Window};
use dynload_sandbox::gpu::{Command, Device, Lost, PIECE, Reply, Session};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};
use std::{
    any::Any,
    collections::VecDeque,
    io::{self, IoSlice, Read},
    os::unix::net::UnixStream,
    time::Duration,
};

/// Above this size, the memory of the queue is released when the queue is empty.
const KEPT: usize = 1 << 20;

/// An end of the stream must not raise a signal in the host. Apple's systems have an option of the socket instead, which
/// [`pair`] sets.
const QUIET: SendFlags = {
    #[cfg(target_vendor = "apple")]
    {
        SendFlags::empty()
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        SendFlags::NOSIGNAL
    }
};

/// Creates the two ends of a session's stream. The first one is the host's.
pub(crate) fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    #[cfg(target_vendor = "apple")]
    for end in [&ours, &theirs] {
        rustix::net::sockopt::set_socket_nosigpipe(end, true)?;
    }
    Ok((ours, theirs))
}

/// Sends what fits of two parts, and returns how many bytes did.
pub(crate) fn send(socket: &UnixStream, parts: [&[u8]; 2]) -> io::Result<usize> {
    let parts = parts.map(IoSlice::new);
    rustix::io::retry_on_intr(|| sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), QUIET))
        .map_err(io::Error::from)
}

/// Converts a timeout for `poll`.
pub(crate) fn timespec(timeout: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    }
}

/// The memory that is shared with the worker, as the host uses it.
struct Shared {
    window: Window,
    /// The bytes of the host's half that the worker may not have read yet.
    used: u32,
    /// Those of them of which the worker has not been told, because each time wakes it: it is told with the next command, or
    /// when the memory is full. The frames that tell it are all that the queue contains.
    held: u32,
    /// The number of requests that must have been answered before it certainly has.
    read_after: u64,
    /// What was copied from the worker's half.
    piece: Vec<u8>,
}

impl Shared {
    /// Copies a piece into the window, if there is room for it. Returns where it is.
    fn put(&mut self, bytes: &[u8], conversation: &Conversation) -> Option<u32> {
        if bytes.is_empty() || bytes.len() > PIECE as usize {
            return None;
        }
        if conversation.heard() > self.read_after {
            self.used = 0;
        }
        let from = self.used;
        self.window.write(Half::Host, from, bytes).ok()?;
        // The worker reads it before it answers the next request.
        self.read_after = conversation.asked();
        self.used += bytes.len() as u32;
        Some(from)
    }

    /// Copies a piece out of the window.
    fn get(&mut self, from: u32, size: u32) -> Option<&[u8]> {
        let size = size as usize;
        if self.piece.len() < size {
            self.piece.resize(size, 0);
        }
        let piece = &mut self.piece[..size];
        self.window.read(Half::Worker, from, piece).ok()?;
        Some(piece)
    }
}

/// The host's end of a session.
pub(crate) struct Client {
    socket: UnixStream,
    /// What was not passed on yet.
    queue: VecDeque<u8>,
    /// The frame that is being written.
    head: Vec<u8>,
    frames: Frames,
    conversation: Conversation,
    shared: Option<Shared>,
    is_lost: bool,
    /// What is at the other end. Dropping it ends it.
    other_end: Option<Box<dyn Any + Send>>,
}

impl Client {
    /// Starts with a socket of [`pair`]. `has_greeted` says whether [`Answer::Hello`] was read from it.
    pub(crate) fn new(
        socket: UnixStream,
        window: Option<Window>,
        has_greeted: bool,
        other_end: Option<Box<dyn Any + Send>>,
    ) -> Client {
        Client {
            socket,
            queue: VecDeque::new(),
            head: Vec::new(),
            frames: Frames::new(MAX_ANSWER),
            conversation: Conversation::new(has_greeted),
            shared: window.map(|window| Shared {
                window,
                used: 0,
                held: 0,
                read_after: 0,
                piece: Vec::new(),
            }),
            is_lost: false,
            other_end,
        }
    }

    /// Opens a device; the answer is [`Reply::Ready`].
    pub(crate) fn open(&mut self, index: u32, device: &Device, max_memory_bytes: u64) -> Result<(), Lost> {
        self.ask(&Request::Open {
            index,
            device: device.clone(),
            max_memory_bytes,
            has_window: self.shared.is_some(),
        })
    }

    /// Returns the socket, the shared memory and the other end.
    pub(crate) fn into_parts(self) -> (UnixStream, Option<Window>, Option<Box<dyn Any + Send>>) {
        let window = self.shared.map(|shared| shared.window);
        (self.socket, window, self.other_end)
    }

    /// Ends the session.
    fn lose(&mut self) -> Lost {
        self.is_lost = true;
        self.queue = VecDeque::new();
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.other_end = None;
        Lost
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<(), Lost> {
        if self.is_lost {
            return Err(Lost);
        }
        let mut head = std::mem::take(&mut self.head);
        let tail = request.encode(&mut head);
        if head.len() - LENGTH + tail.len() > MAX_REQUEST {
            return Err(self.lose());
        }
        self.conversation.ask(request);
        if let Some(shared) = &mut self.shared {
            let held = std::mem::take(&mut shared.held);
            if let Request::WriteShared { size, .. } = request
                && (held > 0 || self.queue.is_empty())
                && held + size < WINDOW
            {
                shared.held = held + size;
                self.queue.extend(&head);
                self.head = head;
                return Ok(());
            }
        }
        if !self.queue.is_empty() {
            self.queue.extend(&head);
            self.queue.extend(tail);
            self.head = head;
            return self.pass_on().map(drop);
        }
        let mut sent = 0;
        match send(&self.socket, [&head, tail]) {
            Ok(count) => sent = count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(self.lose()),
        }
        let rest = head.get(sent..).unwrap_or_default();
        self.queue.extend(rest);
        self.queue.extend(&tail[sent.saturating_sub(head.len())..]);
        self.head = head;
        Ok(())
    }

    /// Returns whether the queue contains only what the worker need not know before the next command.
    fn is_held(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.held > 0)
    }

    /// Passes on what fits. Returns whether nothing is left.
    fn pass_on(&mut self) -> Result<bool, Lost> {
        if self.is_held() {
            return Ok(true);
        }
        while !self.queue.is_empty() {
            let (first, second) = self.queue.as_slices();
            match send(&self.socket, [first, second]) {
                Ok(count) => drop(self.queue.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Err(self.lose()),
            }
        }
        if self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
        Ok(true)
    }

    /// Reads until a whole frame has arrived. Returns whether one has.
    fn has_arrived(&mut self) -> Result<bool, Lost> {
        loop {
            match self.frames.whole() {
                Ok(Some(_)) => return Ok(true),
                Ok(None) => {}
                Err(_) => return Err(self.lose()),
            }
            match self.frames.fill(|space| (&self.socket).read(space)) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Ok(0) | Err(_) => return Err(self.lose()),
            }
        }
    }

    /// Returns the worker's first answer, if it has arrived. Its version may be another one; then the session cannot go on.
    pub(crate) fn greeting(&mut self) -> Result<Option<Answer<'_>>, Lost> {
        self.answer(true)
    }

    /// Returns the next answer, if it has arrived and is an expected one.
    fn answer(&mut self, of_any_version: bool) -> Result<Option<Answer<'_>>, Lost> {
        if self.is_lost {
            return Err(Lost);
        }
        if !self.has_arrived()? {
            return Ok(None);
        }
        let Client {
            frames,
            conversation,
            shared,
            is_lost,
            other_end,
            ..
        } = self;
        let answer = frames.take().and_then(|frame| {
            let answer = frame.map(Answer::decode).transpose()?;
            match &answer {
                Some(Answer::Hello { version, .. }) if of_any_version && *version != VERSION => {}
                Some(answer) => conversation.hear(answer)?,
                None => {}
            }
            match answer {
                Some(Answer::Shared { from, size }) => {
                    let piece = shared.as_mut().and_then(|shared| shared.get(from, size));
                    Ok(Some(Answer::Reply(Reply::Data(piece.ok_or(Malformed)?))))
                }
                answer => Ok(answer),
            }
        });
        answer.map_err(|_| {
            *is_lost = true;
            *other_end = None;
            Lost
        })
    }
}

impl Session for Client {
    fn send(&mut self, command: &Command<'_>) -> Result<(), Lost> {
        let Client {
            shared, conversation, ..
        } = self;
        let request = match (command, shared) {
            (Command::Write { buffer, at, bytes }, Some(shared)) => match shared.put(bytes, conversation) {
                Some(from) => Request::WriteShared {
                    buffer: *buffer,
                    at: *at,
                    from,
                    size: bytes.len() as u32,
                },
                None => Request::Command(command.clone()),
            },
            (&Command::Read { buffer, at, size }, Some(_)) if !conversation.expects_data() => {
                Request::ReadShared { buffer, at, size }
            }
            _ => Request::Command(command.clone()),
        };
        self.ask(&request)
    }

    fn is_sent(&mut self) -> Result<bool, Lost> {
        if self.is_lost {
            return Err(Lost);
        }
        self.pass_on()
    }

    fn receive(&mut self) -> Result<Option<Reply<'_>>, Lost> {
        self.is_sent()?;
        match self.answer(false)? {
            Some(Answer::Reply(reply)) => Ok(Some(reply)),
            Some(Answer::Hello { .. } | Answer::Shared { .. }) | None => Ok(None),
        }
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), Lost> {
        if self.is_lost {
            return Err(Lost);
        }
        if !matches!(self.frames.whole(), Ok(None)) {
            return Ok(());
        }
        let sends = !self.queue.is_empty() && !self.is_held();
        let mut events = PollFlags::empty();
        events.set(PollFlags::OUT, sends);
        // What a worker says without being asked is not read, and would end each wait for it to read.
        events.set(PollFlags::IN, !sends || self.conversation.expects_any());
        match poll(&mut [PollFd::new(&self.socket, events)], Some(&timespec(timeout))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(_) => Err(self.lose()),
        }
    }
}
