//! Tests of the reloader with real files, real builds and real libraries.

#![cfg(unix)]

mod builds;
mod children;
mod editors;
mod events;
mod guards;
mod harness;
mod native;
mod saves;
mod schedule;
mod starts;
mod state;
mod watching;
