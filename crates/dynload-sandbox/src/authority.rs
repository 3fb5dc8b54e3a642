//! Which capabilities are granted right now.

use crate::sync::{AtomicU32, Ordering};
use alloc::sync::Arc;
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

#[cfg(all(test, not(loom)))]
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

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    /// The looks of a host function at what is granted while others change it: what went never comes back, and what came never
    /// goes.
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
                // What is granted at once is seen at once.
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

    /// A revocation that returned holds, whatever is granted besides.
    #[test]
    fn what_was_revoked_is_denied_from_then_on() {
        loom::model(|| {
            let authority = Authority::new(Capabilities::NETWORK);
            let (revoker, granter) = (authority.clone(), authority.clone());
            let revoked = Arc::new(AtomicU32::new(0));
            let told = revoked.clone();
            let revoking = thread::spawn(move || {
                revoker.revoke(Capabilities::NETWORK);
                told.store(1, Ordering::Release);
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

    /// A host function that waits asks again and again, and has to be told in the end.
    #[test]
    fn a_call_that_waits_learns_of_a_revocation() {
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

    /// Who gets something ready and then grants it needs no lock around the two.
    #[test]
    fn who_sees_a_grant_sees_what_was_done_before() {
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
