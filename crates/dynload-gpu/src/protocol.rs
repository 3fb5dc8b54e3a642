//! What a host and a worker say to each other, as bytes.
//!
//! Either side sends frames: the length of the rest of the frame in 4 bytes, a byte that says what it is, and its fields. All
//! numbers are little-endian. The worker begins with [`Answer::Hello`]; the host sends one [`Request::Open`] and then commands.
//!
//! On 64-bit Linux the two also share memory, through which the bytes of buffers pass: half of it is written by the host, and
//! half of it by the worker. The frames say where a piece is. Nothing else is in that memory, and each side copies a piece
//! before it uses it.
//!
//! Neither side trusts the other. A length is compared with a maximum before anything else is done with it, and memory is
//! allocated only for bytes that have arrived.

mod answer;
mod conversation;
mod fields;
mod frames;
mod request;

pub use answer::Answer;
pub use conversation::Conversation;
pub use frames::{Frames, LENGTH};
pub use request::Request;

use dynload_caps::GpuKind;
use dynload_sandbox::gpu::{
    MAX_DISPATCHES, MAX_ENTRY_POINT_BYTES, MAX_STORAGE_BINDINGS, MAX_UNIFORM_BINDINGS, PIECE,
};
use std::fmt;

/// The version of the protocol. A host and a worker of different versions do not talk to each other.
pub const VERSION: u32 = 1;

/// The maximum number of devices that a worker reports.
pub const MAX_DEVICES: usize = 64;

/// The maximum length of a device's name in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// The maximum length of a shader's source text in bytes.
pub const MAX_SOURCE_BYTES: usize = dynload_caps::GpuScope::MAX_SHADER_BYTES as usize;

/// The size of the shared memory in each direction, in bytes.
pub const WINDOW: u32 = 4 << 20;

/// The maximum number of bindings of a dispatch.
pub const MAX_BINDINGS: usize = (MAX_STORAGE_BINDINGS + MAX_UNIFORM_BINDINGS) as usize;

/// The maximum length of a frame that the host sends, without the four bytes of the length: of a shader.
pub const MAX_REQUEST: usize = MAX_SOURCE_BYTES + MAX_ENTRY_POINT_BYTES as usize + 64;

/// The maximum length of a frame that the worker sends, without the four bytes of the length: of a piece of a buffer.
pub const MAX_ANSWER: usize = PIECE as usize + 64;

// The other long frames are shorter.
const _: () = {
    let dispatch = 4 + 3 * 4 + 1 + MAX_BINDINGS * 24;
    assert!(MAX_REQUEST > PIECE as usize + 64 && MAX_REQUEST > MAX_DISPATCHES as usize * dispatch + 64);
    assert!(MAX_ANSWER > MAX_DEVICES * (MAX_NAME_BYTES + 8) + 64);
};

/// Bytes that the protocol does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are not a frame of the protocol")
    }
}

impl std::error::Error for Malformed {}

/// Returns the beginning of a text, at most that many bytes.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The kinds of devices; a kind's number is its index.
const KINDS: [GpuKind; 5] = [
    GpuKind::Cpu,
    GpuKind::Integrated,
    GpuKind::Discrete,
    GpuKind::Virtual,
    GpuKind::Other,
];
