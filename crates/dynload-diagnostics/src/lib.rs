//! Text for error messages.
//!
//! - [`printable()`] shows text that someone else chose: escaped, and cut to a length.
//! - [`listed()`] shows the first items of a list, and the number of the others.
//! - [`nearest_name`] finds the known name that a misspelled one probably meant.
//!
//! # Examples
//!
//! ```
//! use dynload_diagnostics::{nearest_name, printable};
//!
//! let typed = "fs-raed\u{7}";
//! let nearest = nearest_name(typed, ["env", "fs_read"]).unwrap_or("?");
//! assert_eq!(
//!     format!("`{}` is unknown; did you mean `{nearest}`?", printable(typed)),
//!     r"`fs-raed\u{7}` is unknown; did you mean `fs_read`?"
//! );
//! ```
//!
//! # Features
//!
//! The crate is `no_std`, needs `alloc`, and has no dependencies.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

mod listed;
mod nearest;
mod printable;

pub use listed::{Listed, listed};
pub use nearest::nearest_name;
pub use printable::{Printable, TextBytes, printable};
