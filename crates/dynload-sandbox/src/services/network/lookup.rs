//! Name lookups. They are the only operation that cannot be canceled, so each runs on its own thread.

use super::{
    super::{answer::Answer, readiness, wasi::Errno},
    Host,
};
use crate::host::Caller;
use cap_std::net::{SocketAddr, ToSocketAddrs};
use dynload_caps::Capabilities;
use std::{
    string::String,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    vec::Vec,
};

/// Look-ups that may be in flight in the process, however many instances are reset or created. This includes lookups
/// that a call has abandoned: such a lookup ends when the system's resolver gives up too, and opens no connection.
const IN_PROCESS: usize = 32;

/// Of those, the number that one instance and its workers may have.
const IN_INSTANCE: usize = 4;

static PROCESS: AtomicUsize = AtomicUsize::new(0);

/// Counts the lookups of one instance and its workers.
#[derive(Debug, Clone, Default)]
pub(crate) struct LookupCount(Arc<AtomicUsize>);

/// One lookup in flight.
struct Lookup {
    process: &'static AtomicUsize,
    instance: Arc<AtomicUsize>,
}

impl Lookup {
    fn begin(process: &'static AtomicUsize, instance: &Arc<AtomicUsize>) -> Option<Lookup> {
        let take = |count: &AtomicUsize, max| {
            let more = |now| (now < max).then_some(now + 1);
            count
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
                .is_ok()
        };
        if !take(instance, IN_INSTANCE) {
            return None;
        }
        if !take(process, IN_PROCESS) {
            instance.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        let instance = instance.clone();
        Some(Lookup { process, instance })
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.process.fetch_sub(1, Ordering::SeqCst);
        self.instance.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns every address of the host, in the order in which the system would try them. None of them is checked yet.
pub(super) fn addresses(caller: &mut Caller<'_>, host: &Host) -> Answer<Vec<SocketAddr>> {
    if let Some(address) = host.address() {
        return Ok(Vec::from([SocketAddr::new(address, host.port)]));
    }
    let (name, port): (String, u16) = (host.name.clone(), host.port);
    let receiver = aside(caller, move || {
        Ok((name.as_str(), port).to_socket_addrs()?.collect())
    })?;
    let step = |_: &mut Caller<'_>| match receiver.recv_timeout(readiness::SLICE) {
        Ok(found) => found.map(Some).map_err(|_| Errno::Noent.into()),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Errno::Io.into()),
    };
    readiness::retry(caller, Capabilities::NETWORK, step, |_, _| Ok(()))
}

type Found = std::io::Result<Vec<SocketAddr>>;

fn aside(
    caller: &mut Caller<'_>,
    work: impl FnOnce() -> Found + Send + 'static,
) -> Result<mpsc::Receiver<Found>, Errno> {
    let state = caller.state();
    let instance = state.services.resolving(state.parent.as_ref()).0;
    let under_way = Lookup::begin(&PROCESS, &instance).ok_or(Errno::Again)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let run = move || {
        // If the call has ended, there is no receiver.
        let _ = sender.send(work());
        drop(under_way);
    };
    let named = thread::Builder::new().name("dynload-lookup".into());
    named.spawn(run).map_err(|_| Errno::Again)?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: 200 calls with a name server that does not answer, with a reset after each, made 201 threads.
    #[test]
    fn new_instances_do_not_raise_the_limit_on_look_ups() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut under_way = Vec::new();
        for _ in 0..200 {
            let instance = Arc::default();
            under_way.extend(Lookup::begin(&COUNT, &instance));
        }
        assert_eq!(under_way.len(), IN_PROCESS);
        // One instance cannot use the whole limit.
        under_way.clear();
        let instance = Arc::default();
        for _ in 0..200 {
            under_way.extend(Lookup::begin(&COUNT, &instance));
        }
        assert_eq!(
            (under_way.len(), COUNT.load(Ordering::SeqCst)),
            (IN_INSTANCE, IN_INSTANCE)
        );
        under_way.clear();
        assert_eq!(
            (instance.load(Ordering::SeqCst), COUNT.load(Ordering::SeqCst)),
            (0, 0)
        );
    }
}
