//! What a call uses: fuel, time, memory, stack, call depth.

pub(crate) mod budget;
pub(crate) mod call_meter;
pub(crate) mod frames;
pub(crate) mod hidden;
pub(crate) mod memory_meter;
pub(crate) mod operator_cost;
