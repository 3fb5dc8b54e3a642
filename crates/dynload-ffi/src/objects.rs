//! The objects that handles name, and what can be done with them in Rust's types.

#[expect(unsafe_code, reason = "C's callbacks")]
pub(crate) mod host_function;
pub(crate) mod instance;
#[expect(unsafe_code, reason = "loading runs foreign code")]
pub(crate) mod module;
pub(crate) mod plugin_host;
pub(crate) mod plugins;
#[expect(unsafe_code, reason = "loading runs foreign code")]
pub(crate) mod reload;
pub(crate) mod result_bytes;
pub(crate) mod sandbox;
#[expect(unsafe_code, reason = "C's pointers")]
pub(crate) mod wasm_file;
