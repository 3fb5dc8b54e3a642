//! Text for error messages, and a check that keeps a parser from failing without one.
//!
//! - [`printable()`] shows text that someone else chose: escaped, and cut to a length.
//! - [`listed()`] shows the first items of a list, and the number of the others. It does not escape them.
//! - [`with_causes()`] shows an error with its causes in one line, and [`debug_with_causes`] makes this its `Debug`.
//! - [`nearest_name`] finds the known name that a misspelled one probably meant.
//! - [`overflowing_length`] finds a length in a WebAssembly module that a parser must not add to a position.
//!
//! # Examples
//!
//! ```
//! use dynload_diagnostics::{nearest_name, printable};
//!
//! fn unknown(name: &str) -> String {
//!     let mut message = format!("`{}` is unknown", printable(name));
//!     if let Some(nearest) = nearest_name(name, ["env", "fs_read"]) {
//!         message += &format!("; did you mean `{nearest}`?");
//!     }
//!     message
//! }
//!
//! assert_eq!(unknown("fs-raed\u{7}"), r"`fs-raed\u{7}` is unknown; did you mean `fs_read`?");
//! assert_eq!(unknown("quantum"), "`quantum` is unknown");
//! ```
//!
//! # Features
//!
//! The crate is `no_std`, needs `alloc`, and has no dependencies.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

mod causes;
mod lengths;
mod listed;
mod nearest;
mod printable;

pub use causes::{WithCauses, with_causes};
pub use lengths::{overflowing_length, overlong_length};
pub use listed::{Listed, listed};
pub use nearest::nearest_name;
pub use printable::{Printable, TextBytes, printable};
