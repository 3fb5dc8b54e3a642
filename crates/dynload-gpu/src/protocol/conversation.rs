//! Which answers are expected.

use super::{Answer, Malformed, Request, VERSION};
use dynload_sandbox::gpu::{Command, Reply};
use std::collections::VecDeque;

/// The answers that a worker owes the host.
#[derive(Debug)]
pub struct Conversation {
    expected: VecDeque<Expected>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Hello,
    Ready,
    Buffer,
    Kernel,
    /// That many bytes.
    Data(u64),
}

impl Conversation {
    /// Starts before the worker's first frame, or after it.
    #[must_use]
    pub fn new(has_greeted: bool) -> Conversation {
        let first = (!has_greeted).then_some(Expected::Hello);
        Conversation {
            expected: first.into_iter().collect(),
        }
    }

    /// Records a request of the host.
    pub fn ask(&mut self, request: &Request<'_>) {
        let expected = match request {
            Request::Open { .. } | Request::Command(Command::Wait) => Expected::Ready,
            Request::Command(Command::CreateBuffer { .. }) => Expected::Buffer,
            Request::Command(Command::CreateKernel { .. }) => Expected::Kernel,
            Request::Command(Command::Read { size, .. }) if *size > 0 => Expected::Data(*size),
            Request::Command(_) => return,
        };
        self.expected.push_back(expected);
    }

    /// Records an answer of the worker.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if another one is expected, or none.
    pub fn hear(&mut self, answer: &Answer<'_>) -> Result<(), Malformed> {
        let expected = self.expected.front_mut().ok_or(Malformed)?;
        let is_complete = match (expected, answer) {
            (Expected::Hello, Answer::Hello { version, .. }) => *version == VERSION,
            (Expected::Ready | Expected::Buffer, Answer::Reply(Reply::Ready))
            | (Expected::Buffer, Answer::Reply(Reply::OutOfMemory))
            | (Expected::Kernel, Answer::Reply(Reply::Kernel(_) | Reply::Invalid(_) | Reply::OutOfMemory)) => {
                true
            }
            (Expected::Data(left), Answer::Reply(Reply::Data(bytes))) => {
                *left = left.checked_sub(bytes.len() as u64).ok_or(Malformed)?;
                if *left > 0 {
                    return Ok(());
                }
                true
            }
            _ => false,
        };
        if !is_complete {
            return Err(Malformed);
        }
        self.expected.pop_front();
        Ok(())
    }
}
