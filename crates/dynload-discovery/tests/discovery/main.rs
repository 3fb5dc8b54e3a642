//! Tests of the public API, on directories of plugins that they create.

mod audit;
mod cache;
mod hostile_paths;
mod lone_files;
mod manifest;
mod reductions;
mod resolve;
mod scan;
mod support;
