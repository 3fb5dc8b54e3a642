//! The chapters: one for each example of the specification, one for its limits, one for finding plugins, and one for GPUs.

pub(crate) mod capabilities;
pub(crate) mod discovery;
pub(crate) mod gpu;
pub(crate) mod limits;
pub(crate) mod native;
pub(crate) mod reload;
pub(crate) mod sandbox;
