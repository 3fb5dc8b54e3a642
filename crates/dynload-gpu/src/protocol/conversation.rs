//! Which answers are expected.

use super::{Answer, Malformed, Request, VERSION};
use dynload_sandbox::gpu::{Command, Reply};
use std::collections::VecDeque;

/// The answers that a worker owes the host.
#[derive(Debug)]
pub struct Conversation {
    expected: VecDeque<Expected>,
    asked: u64,
    heard: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Hello,
    Ready,
    Buffer,
    Kernel,
    /// That many bytes, and whether they may be in the shared memory.
    Data(u64, bool),
}

impl Conversation {
    /// Starts before the worker's first frame, or after it.
    #[must_use]
    pub fn new(has_greeted: bool) -> Conversation {
        let first = (!has_greeted).then_some(Expected::Hello);
        Conversation {
            expected: first.into_iter().collect(),
            asked: u64::from(!has_greeted),
            heard: 0,
        }
    }

    /// Records a request of the host.
    pub fn ask(&mut self, request: &Request<'_>) {
        let expected = match request {
            Request::Open { .. } | Request::Command(Command::Wait) => Expected::Ready,
            Request::Command(Command::CreateBuffer { .. }) => Expected::Buffer,
            Request::Command(Command::CreateKernel { .. }) => Expected::Kernel,
            Request::Command(Command::Read { size, .. }) if *size > 0 => Expected::Data(*size, false),
            Request::ReadShared { size, .. } if *size > 0 => Expected::Data(*size, true),
            Request::Command(_) | Request::ReadShared { .. } | Request::WriteShared { .. } => return,
        };
        self.asked += 1;
        self.expected.push_back(expected);
    }

    /// Records an answer of the worker.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if another one is expected, or none.
    pub fn hear(&mut self, answer: &Answer<'_>) -> Result<(), Malformed> {
        let expected = self.expected.front_mut().ok_or(Malformed)?;
        match (expected, answer) {
            (Expected::Hello, Answer::Hello { version, .. }) if *version == VERSION => {}
            (Expected::Ready | Expected::Buffer, Answer::Reply(Reply::Ready))
            | (Expected::Buffer, Answer::Reply(Reply::OutOfMemory))
            | (Expected::Kernel, Answer::Reply(Reply::Kernel(_) | Reply::Invalid(_) | Reply::OutOfMemory)) => {
            }
            (Expected::Data(left, is_shared), answer) => {
                let size = match answer {
                    Answer::Reply(Reply::Data(bytes)) => bytes.len() as u64,
                    Answer::Shared { size, .. } if *is_shared => u64::from(*size),
                    _ => return Err(Malformed),
                };
                *left = left.checked_sub(size).ok_or(Malformed)?;
                if *left > 0 {
                    return Ok(());
                }
            }
            _ => return Err(Malformed),
        }
        self.heard += 1;
        self.expected.pop_front();
        Ok(())
    }

    /// Returns the number of requests that have an answer.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Returns the number of requests that have been answered.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Returns whether an answer is expected.
    #[must_use]
    pub fn expects_any(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Returns whether bytes of a buffer are expected.
    #[must_use]
    pub fn expects_data(&self) -> bool {
        self.expected
            .iter()
            .any(|expected| matches!(expected, Expected::Data(..)))
    }
}
