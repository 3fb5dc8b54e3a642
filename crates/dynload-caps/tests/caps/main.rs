//! Tests of the public API.

mod capabilities;
mod net;
mod scopes;
mod serde;
