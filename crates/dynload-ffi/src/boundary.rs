//! What crosses the boundary to C: structs, handles, texts, errors, callbacks. Nothing here knows the objects behind
//! the handles.

pub mod abi;
pub(crate) mod callback;
pub(crate) mod error;
#[expect(unsafe_code, reason = "the caller of the innermost guest")]
pub(crate) mod guest;
pub(crate) mod handle;
#[expect(unsafe_code, reason = "pointers to objects that live as long as their entry")]
mod live_objects;
#[expect(unsafe_code, reason = "functions of C, by address")]
pub(crate) mod native_call;
pub(crate) mod sync;
#[expect(unsafe_code, reason = "C's pointers")]
pub(crate) mod text;
#[expect(unsafe_code, reason = "memory for C")]
pub(crate) mod unique_text;
