//! Tests of the public API.

mod capabilities;
mod gpu;
mod net;
mod scopes;
mod serde;
