//! What the tests run.

pub(crate) mod sandbox;
pub(crate) mod shapes;
pub(crate) mod values;
