//! The body of a response while it is received.

use super::HttpError;
use crate::{error::Stop, host::Caller};
use std::vec::Vec;

/// The least growth, in bytes.
const STEP: u64 = 4 << 10;

/// A body that counts as memory of the guest.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    /// What is counted: the capacity.
    held: u64,
    limit: u64,
}

impl Received {
    pub(super) fn new(limit: u64) -> Received {
        Received {
            bytes: Vec::new(),
            held: 0,
            limit,
        }
    }

    /// Checks the length that the server announces.
    pub(super) fn expect(&self, len: u64) -> Result<(), HttpError> {
        if len > self.limit {
            return Err(HttpError::TooLarge {
                part: "body",
                limit: self.limit,
            });
        }
        Ok(())
    }

    /// Appends bytes, if the limits allow them.
    pub(super) fn push(&mut self, caller: &mut Caller<'_>, bytes: &[u8]) -> Result<(), Stop> {
        let needed = self.bytes.len() as u64 + bytes.len() as u64;
        self.expect(needed).map_err(Stop::host)?;
        if needed > self.held {
            let memory = &mut caller.state().memory;
            let held = self.held;
            // Twice as much if possible, so that few bytes are copied again.
            let roomy = needed.max(held.saturating_mul(2)).max(STEP).min(self.limit);
            let more = match memory.hold(roomy - held) {
                Ok(()) => roomy - held,
                Err(_) => {
                    memory.hold(needed - held).map_err(|denied| Stop(denied.into()))?;
                    needed - held
                }
            };
            self.held += more;
            self.bytes
                .reserve_exact((self.held - self.bytes.len() as u64) as usize);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Returns the bytes, which no longer count.
    pub(super) fn release(self, caller: &mut Caller<'_>) -> Vec<u8> {
        caller.state().memory.release(self.held);
        self.bytes
    }
}
