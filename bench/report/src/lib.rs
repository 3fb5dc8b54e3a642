//! The results of a benchmark run: the data, and its presentation.
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

/// Returns the folder of the benchmarks, `bench`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the path of the file that stores a run.
pub fn results_file() -> PathBuf {
    folder().join("results.json")
}
