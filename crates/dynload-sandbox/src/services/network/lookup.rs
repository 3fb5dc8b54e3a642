//! Looking names up: the one thing that the operating system cannot be stopped at, so it is done on a thread.

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

/// Look-ups that may be under way in the process, whatever is reset or made anew, those included that a call gave up on:
/// such a one ends when the system's resolver gives up as well, and connects to nothing.
const IN_PROCESS: usize = 32;

/// Of those, how many may be of one instance and its workers.
const IN_INSTANCE: usize = 4;

static PROCESS: AtomicUsize = AtomicUsize::new(0);

/// Counts the look-ups of one instance and its workers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolving(Arc<AtomicUsize>);

/// One look-up that is under way.
struct UnderWay {
    process: &'static AtomicUsize,
    instance: Arc<AtomicUsize>,
}

impl UnderWay {
    fn begin(process: &'static AtomicUsize, instance: &Arc<AtomicUsize>) -> Option<UnderWay> {
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
        Some(UnderWay { process, instance })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.process.fetch_sub(1, Ordering::SeqCst);
        self.instance.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Every address of the host, in the order in which the system would try them. None of them is checked yet.
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
    let instance = &caller.state().services.open().resolving.0;
    let under_way = UnderWay::begin(&PROCESS, instance).ok_or(Errno::Again)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let run = move || {
        // Nobody listens any more when the call has ended.
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

    /// 200 calls to a name server that does not answer, with a reset after each: they were 201 threads.
    #[test]
    fn new_instances_do_not_make_more_look_ups() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut under_way = Vec::new();
        for _ in 0..200 {
            let instance = Arc::default();
            under_way.extend(UnderWay::begin(&COUNT, &instance));
        }
        assert_eq!(under_way.len(), IN_PROCESS);
        // Nor does one instance take them all.
        under_way.clear();
        let instance = Arc::default();
        for _ in 0..200 {
            under_way.extend(UnderWay::begin(&COUNT, &instance));
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
