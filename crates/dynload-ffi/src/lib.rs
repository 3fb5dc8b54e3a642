//! The flat Vais DynLoad API for C, C++, Python and Vais programs: load native plugins, run Wasm plugins in a
//! sandbox, hot-reload them and discover them. An invalid argument is an error and nothing worse, with two exceptions:
//! invalid pointers, and handles of native modules that were unloaded (see [`flat`](flat#handles)).
//!
//! From C, link `libdynload` and include `dynload.h`, which documents every function. This crate implements them. A
//! Rust program gets more from the underlying crates: `dynload-native`, `dynload-sandbox`, `dynload-hotreload`,
//! `dynload-discovery`.
//!
//! - [`flat`]: the functions of the specification and additional ones that its users need, with structs passed by
//!   value.
//! - [`primitives`]: the same functions with only `i64` parameters and results, named `vais_*`, for the Vais
//!   compiler.
//! - [`abi`]: the structs and constants.
//!
//! # Examples
//!
//! ```
//! use dynload_ffi::flat::{get_load_error_code, sandbox_destroy, sandbox_load, sandbox_new, wasm_call2};
//!
//! let wasm = wat::parse_str(
//!     "(module (func (export \"add\") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))")?;
//! let sandbox = sandbox_new();
//! // SAFETY: the bytes and the text outlive the calls.
//! unsafe {
//!     let plugin = sandbox_load(sandbox, wasm.as_ptr() as i64, wasm.len() as i64);
//!     assert_eq!(wasm_call2(plugin, c"add".as_ptr() as i64, 40, 2), 42);
//! }
//! assert_eq!(sandbox_destroy(sandbox), 1);
//! assert_eq!(sandbox_destroy(sandbox), 0); // a stale handle: an error
//! assert_ne!(get_load_error_code(), 0);
//! # Ok::<(), wat::Error>(())
//! ```

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod names;

mod boundary;
#[expect(unsafe_code, reason = "functions for C")]
pub mod flat;
mod objects;
#[expect(unsafe_code, reason = "functions for C")]
pub mod primitives;

pub use boundary::abi;
pub use boundary::error::ErrorCode;
