//! Tests of the reloader with real files, real builds and real libraries.

#![cfg(unix)]

mod builds;
mod children;
mod editors;
mod events;
mod feedback;
mod guards;
mod harness;
mod names;
mod native;
mod saves;
mod schedule;
mod shrinking;
mod soak;
mod starts;
mod state;
mod watching;
