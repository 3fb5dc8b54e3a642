//! What crosses the boundary to C: structs, handles, texts, errors, callbacks. Nothing here knows the objects behind the handles.

pub mod abi;
mod board;
pub(crate) mod callback;
pub(crate) mod error;
pub(crate) mod guest;
pub(crate) mod handle;
pub(crate) mod sync;
pub(crate) mod text;
