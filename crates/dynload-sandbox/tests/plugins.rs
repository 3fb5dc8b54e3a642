//! The kits for plugins: the C header, the crate `dynload-guest`, and the same plugin in five languages.
// The restriction of `clippy.toml` is for paths of guests.
#![allow(clippy::disallowed_methods)]
#![cfg(all(unix, feature = "std"))]

#[path = "plugins/build.rs"]
mod build;
#[path = "plugins/header.rs"]
mod header;
#[path = "plugins/languages.rs"]
mod languages;
#[path = "plugins/page.rs"]
mod page;
#[path = "plugins/rust.rs"]
mod rust;
