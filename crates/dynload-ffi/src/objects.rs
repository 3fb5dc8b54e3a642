//! The objects that handles name, and what can be done with them in Rust's types.

pub(crate) mod host_function;
pub(crate) mod instance;
pub(crate) mod module;
pub(crate) mod plugins;
pub(crate) mod reload;
pub(crate) mod sandbox;
pub(crate) mod wasm_file;
