//! Which capabilities are granted right now.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use dynload_caps::Capabilities;

/// The capabilities of a sandbox, shared with every instance of it.
///
/// A grant or a revocation holds at once, from any thread, also for instances that are running: host functions ask
/// again each time, and those that wait ask again while they wait.
#[derive(Debug, Clone, Default)]
pub struct Authority(Arc<AtomicU32>);

impl Authority {
    /// An authority of its own over `capabilities`.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Authority {
        Authority(Arc::new(AtomicU32::new(bits(capabilities))))
    }

    /// What is granted at this moment.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::from_bits_truncate(self.0.load(Ordering::SeqCst).into())
    }

    /// Grants `capabilities` as well.
    ///
    /// # Grants
    ///
    /// Widens what every instance of the sandbox may do, those that are running included.
    pub fn grant(&self, capabilities: Capabilities) {
        self.0.fetch_or(bits(capabilities), Ordering::SeqCst);
    }

    /// Takes `capabilities` back.
    pub fn revoke(&self, capabilities: Capabilities) {
        self.0.fetch_and(!bits(capabilities), Ordering::SeqCst);
    }
}

/// Every capability has its bit in the low 32, which all targets have atomics for.
fn bits(capabilities: Capabilities) -> u32 {
    capabilities.bits() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_fits() {
        assert_eq!(u64::from(bits(Capabilities::all())), Capabilities::all().bits());
    }

    #[test]
    fn clones_see_grants_and_revocations() {
        let authority = Authority::new(Capabilities::CONSOLE);
        let seen = authority.clone();
        authority.grant(Capabilities::TIME);
        authority.revoke(Capabilities::CONSOLE);
        assert_eq!(seen.capabilities(), Capabilities::TIME);
    }
}
