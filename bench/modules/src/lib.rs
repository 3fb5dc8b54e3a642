//! Modules for measurements: the committed guests, small modules in text format, and large modules of real code.
#![forbid(unsafe_code)]

mod repeat;
mod text;

pub use dynload_oracle::guests::{ALL as GUESTS, Guest};
pub use repeat::{RepeatError, repeated};
pub use text::{
    ADD, ECHO, ECHO_EXTISM, EMPTY, HOST_CALLS, SPIN, growing, indirect_calls, with_data, with_params,
};

/// Returns the binary of a guest of `tests/guests`.
///
/// # Errors
///
/// If there is no guest of this name, or if its file cannot be read.
pub fn guest(name: &str) -> Result<Vec<u8>, dynload_oracle::guests::BuildError> {
    dynload_oracle::guests::wasm(name)
}

/// Converts a module from text to binary.
///
/// # Panics
///
/// If the text is not valid. The texts of this crate are.
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text of a module")
}
