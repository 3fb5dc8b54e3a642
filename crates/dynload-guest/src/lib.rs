//! Plugins for dynload in Rust: exports that turn bytes into bytes, and the `vais` imports.
//!
//! # Examples
//!
//! A whole plugin:
//!
#![cfg_attr(feature = "alloc", doc = "```")]
#![cfg_attr(not(feature = "alloc"), doc = "```ignore")]
//! use dynload_guest::{config_get, export_bytes};
//!
//! export_bytes!(shout, |text: &str| -> Result<String, String> {
//!     Ok(text.to_uppercase())
//! });
//!
//! export_bytes!(greet, |name: &str| -> Result<String, String> {
//!     let greeting = config_get("greeting").unwrap_or_else(|| "Hello".to_owned());
//!     Ok(format!("{greeting}, {name}!"))
//! });
//! ```
//!
//! Its `Cargo.toml` has `crate-type = ["cdylib"]` in the table `[lib]`, and it is built with
//! `cargo build --release --target wasm32-unknown-unknown`.
//!
//! # Imports
//!
//! [`export_bytes!`] and [`config_get`] need no capability. The host must grant CONSOLE for [`print()`], [`println()`] and
//! [`log`], TIME for [`now_ms`] and [`sleep`], and RANDOM for [`random`] and [`random_range`]. A call of a function without its
//! capability ends the call of the plugin. For files, build for `wasm32-wasip1` and use `std`; this crate works there too.
//!
//! On a target other than WebAssembly, the crate compiles and its functions panic.
//!
//! # Features
//!
//! `alloc`, on by default: [`export_bytes!`] and [`config_get`], which need an allocator.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod bytes;
mod imports;
mod services;

#[cfg(feature = "alloc")]
#[doc(hidden)]
pub use bytes::{__Arguments, __finish};
#[cfg(feature = "alloc")]
pub use bytes::{Argument, config_get};
pub use services::{Level, log, now_ms, print, println, random, random_range, sleep};

#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../README.md")]
struct Readme;
