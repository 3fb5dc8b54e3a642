//! Modules to measure with: the guests that are checked in, small modules in text, and large ones made of real code.
#![forbid(unsafe_code)]

mod repeat;
mod text;

pub use dynload_oracle::guests::{ALL as GUESTS, Guest};
pub use repeat::{RepeatError, repeated};
pub use text::{ADD, EMPTY, HOST_CALLS, SPIN, growing, indirect_calls, with_data, with_params};

/// The binary of a guest of `tests/guests`.
///
/// # Errors
///
/// When there is no guest of this name, or its file cannot be read.
pub fn guest(name: &str) -> Result<Vec<u8>, dynload_oracle::guests::BuildError> {
    dynload_oracle::guests::wasm(name)
}

/// Text to binary.
///
/// # Panics
///
/// When it is not valid: the texts of this crate are.
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text of a module")
}
