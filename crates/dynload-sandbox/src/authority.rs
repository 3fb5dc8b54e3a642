//! The capabilities that are currently granted.

use crate::sync::{AtomicU32, Ordering};
use alloc::sync::Arc;
use dynload_caps::Capabilities;

/// The capabilities of a sandbox, shared with all of its instances.
///
/// A grant or a revocation takes effect immediately, from any thread, also for running instances: capabilities are checked on
/// every call of a host function, and again while it waits.
#[derive(Debug, Clone, Default)]
pub struct Authority(Arc<AtomicU32>);

impl Authority {
    /// Creates an independent authority that grants `capabilities`.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Authority {
        Authority(Arc::new(AtomicU32::new(bits(capabilities))))
    }

    /// Returns the capabilities that are currently granted.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::from_bits_truncate(self.0.load(Ordering::SeqCst).into())
    }

    /// Grants `capabilities` in addition to those that are already granted.
    ///
    /// # Grants
    ///
    /// Widens what every instance of the sandbox may do, including running ones.
    pub fn grant(&self, capabilities: Capabilities) {
        self.0.fetch_or(bits(capabilities), Ordering::SeqCst);
    }

    /// Revokes `capabilities`.
    pub fn revoke(&self, capabilities: Capabilities) {
        self.0.fetch_and(!bits(capabilities), Ordering::SeqCst);
    }
}

/// Returns the bits of `capabilities`. All of them are in the low 32, for which all targets have atomics.
fn bits(capabilities: Capabilities) -> u32 {
    capabilities.bits() as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_capability_fits_in_32_bits() {
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

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    /// A host function reads the capabilities while other threads change them: a revoked one never reappears, and a granted one
    /// never disappears.
    #[test]
    fn a_running_call_sees_each_change_once_and_none_is_lost() {
        loom::model(|| {
            let authority = Authority::new(Capabilities::CONSOLE | Capabilities::ENV);
            let (revoker, granter) = (authority.clone(), authority.clone());
            let revoking = thread::spawn(move || revoker.revoke(Capabilities::CONSOLE));
            let granting = thread::spawn(move || granter.grant(Capabilities::TIME | Capabilities::RANDOM));
            let (first, second) = (authority.capabilities(), authority.capabilities());
            for seen in [first, second] {
                assert!(seen.contains(Capabilities::ENV), "{seen:?}");
                // Capabilities that are granted together are seen together.
                assert_eq!(
                    seen.contains(Capabilities::TIME),
                    seen.contains(Capabilities::RANDOM),
                    "{seen:?}"
                );
            }
            assert!(first.contains(Capabilities::CONSOLE) || !second.contains(Capabilities::CONSOLE));
            assert!(!first.contains(Capabilities::TIME) || second.contains(Capabilities::TIME));
            revoking.join().unwrap();
            granting.join().unwrap();
            assert_eq!(
                authority.capabilities(),
                Capabilities::ENV | Capabilities::TIME | Capabilities::RANDOM
            );
        });
    }

    /// A revocation that has returned stays in effect, whatever else is granted.
    #[test]
    fn a_revoked_capability_stays_denied() {
        loom::model(|| {
            let authority = Authority::new(Capabilities::NETWORK);
            let (revoker, granter) = (authority.clone(), authority.clone());
            let revoked = Arc::new(AtomicU32::new(0));
            let done = revoked.clone();
            let revoking = thread::spawn(move || {
                revoker.revoke(Capabilities::NETWORK);
                done.store(1, Ordering::Release);
            });
            let granting = thread::spawn(move || granter.grant(Capabilities::TIME));
            if revoked.load(Ordering::Acquire) == 1 {
                assert!(!authority.capabilities().contains(Capabilities::NETWORK));
            }
            revoking.join().unwrap();
            granting.join().unwrap();
            assert_eq!(authority.capabilities(), Capabilities::TIME);
        });
    }

    /// A host function that waits checks repeatedly, and eventually sees the revocation.
    #[test]
    fn a_waiting_call_sees_a_revocation() {
        loom::model(|| {
            let authority = Authority::new(Capabilities::NETWORK);
            let revoker = authority.clone();
            let revoking = thread::spawn(move || revoker.revoke(Capabilities::NETWORK));
            while authority.capabilities().contains(Capabilities::NETWORK) {
                thread::yield_now();
            }
            revoking.join().unwrap();
        });
    }

    /// Code that prepares something and then grants a capability needs no lock around the two.
    #[test]
    fn a_grant_publishes_earlier_writes() {
        loom::model(|| {
            let authority = Authority::default();
            let ready = Arc::new(AtomicU32::new(0));
            let (granter, prepared) = (authority.clone(), ready.clone());
            let granting = thread::spawn(move || {
                prepared.store(1, Ordering::Relaxed);
                granter.grant(Capabilities::FS_READ);
            });
            if authority.capabilities().contains(Capabilities::FS_READ) {
                assert_eq!(ready.load(Ordering::Relaxed), 1);
            }
            granting.join().unwrap();
        });
    }
}
