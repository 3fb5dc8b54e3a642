//! Tests of the reloader with real files, real builds and real libraries. Those that build or imitate editors are Unix's own.

#[cfg(unix)]
mod builds;
#[cfg(target_os = "linux")]
mod children;
#[cfg(unix)]
mod editors;
mod events;
#[cfg(unix)]
mod feedback;
mod guards;
mod harness;
mod libraries;
#[cfg(unix)]
mod names;
#[cfg(unix)]
mod native;
mod saves;
mod schedule;
mod shrinking;
#[cfg(target_os = "linux")]
mod soak;
mod starts;
mod state;
mod watching;
