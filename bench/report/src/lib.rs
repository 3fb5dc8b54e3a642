//! What a run of the benchmarks has found: the data, and how it is shown.
#![forbid(unsafe_code)]

pub mod chart;
mod markdown;
mod model;
mod quantity;
pub mod readme;
mod statistics;

use std::path::{Path, PathBuf};

pub use markdown::{group, machine};
pub use model::{Against, Curve, Group, Machine, Point, Row, Run};
pub use quantity::Unit;
pub use statistics::{Samples, geometric_mean, paired};

/// The folder of the benchmarks, `bench`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where a run is kept.
pub fn results_file() -> PathBuf {
    folder().join("results.json")
}
