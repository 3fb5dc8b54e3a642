//! The examples of the specification, one each, and what it says about finding plugins.

pub(crate) mod capabilities;
pub(crate) mod discovery;
pub(crate) mod limits;
pub(crate) mod native;
pub(crate) mod reload;
pub(crate) mod sandbox;
