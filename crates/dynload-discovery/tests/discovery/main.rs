//! Tests of the public API, on directories of plugins that they create.

mod audit;
mod cache;
mod manifest;
mod odd;
mod resolve;
mod scan;
mod support;
