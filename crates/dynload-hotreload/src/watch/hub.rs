//! The single thread that maintains the watches of all reloaders, and polls where it must.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::probe;
use super::routes::{ClientId, Rearm, Routes};
use super::targets::{Layout, Targets};
use super::watcher::Backend;
use super::{PollReason, WatchError, WatchState};
use crate::bus::LOG_TARGET;
use crate::config::WatchMode;
use crate::inbox::{Hint, Inbox};
use crate::owner::Owner;
use crate::sync::lock;
use dynload_diagnostics::printable;

/// The polling interval if the system reports no changes and no other interval was requested.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(500);
/// How long to wait for the event of a probe.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);

enum Message {
    Add(Box<Client>, SyncSender<Result<WatchState, WatchError>>),
    Remove(ClientId),
    End,
}

/// The state that all registrations share; the thread ends with the last of them.
struct Hub {
    messages: Sender<Message>,
    wake: Sender<Rearm>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::End);
        let _ = self.wake.send(Rearm::All);
    }
}

static HUB: Mutex<(Weak<Hub>, ClientId)> = Mutex::new((Weak::new(), 0));
/// The process whose thread the hub has.
static OWNER: Owner = Owner::new();
/// How long the child of a `fork` waits for the lock of the hub, which no thread may ever release there.
const FORK_PATIENCE: Duration = Duration::from_secs(1);

/// The registration of a reloader, which ends when this is dropped.
pub(crate) struct Registration {
    hub: Arc<Hub>,
    id: ClientId,
    /// The initial watch state.
    pub(crate) state: WatchState,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = self.hub.messages.send(Message::Remove(self.id));
        let _ = self.hub.wake.send(Rearm::One(self.id));
    }
}

/// Watches `targets`. Sends hints to `inbox`, and calls `tell` with each new state.
pub(crate) fn register(
    targets: Arc<Targets>,
    mode: WatchMode,
    inbox: Arc<Inbox>,
    tell: Box<dyn Fn(WatchState) + Send>,
) -> Result<Registration, WatchError> {
    let (hub, id) = shared_hub()?;
    let now = Instant::now();
    let client = Box::new(Client {
        id,
        targets,
        inbox,
        mode,
        tell,
        armed: BTreeSet::new(),
        poll: None,
        signatures: HashMap::new(),
        state: WatchState::Stopped,
        next_sweep: now,
        took: Duration::MAX,
    });
    let (reply, answer) = sync_channel(1);
    let gone = || no_thread(std::io::ErrorKind::BrokenPipe.into());
    hub.messages
        .send(Message::Add(client, reply))
        .map_err(|_| gone())?;
    let _ = hub.wake.send(Rearm::One(id));
    let state = answer.recv().map_err(|_| gone())??;
    Ok(Registration { hub, id, state })
}

/// Returns the hub of this process, and the ID of the next reloader.
fn shared_hub() -> Result<(Arc<Hub>, ClientId), WatchError> {
    let is_forked = OWNER.other_process().is_some();
    let mut shared = if is_forked {
        lock_after_fork()?
    } else {
        OWNER.claim();
        lock(&HUB)
    };
    // Another thread of the child may have been first.
    if is_forked && OWNER.other_process().is_some() {
        // Its thread does not exist here.
        shared.0 = Weak::new();
        OWNER.claim();
    }
    shared.1 += 1;
    let id = shared.1;
    if let Some(hub) = shared.0.upgrade() {
        return Ok((hub, id));
    }
    let hub = Arc::new(start().map_err(no_thread)?);
    shared.0 = Arc::downgrade(&hub);
    Ok((hub, id))
}

fn lock_after_fork() -> Result<MutexGuard<'static, (Weak<Hub>, ClientId)>, WatchError> {
    let deadline = Instant::now() + FORK_PATIENCE;
    loop {
        match HUB.try_lock() {
            Ok(shared) => return Ok(shared),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1))
            }
            Err(TryLockError::WouldBlock) => {
                let problem =
                    "another thread of the parent was starting a reloader during the `fork`: fork earlier";
                return Err(no_thread(std::io::Error::other(problem)));
            }
        }
    }
}

fn no_thread(source: std::io::Error) -> WatchError {
    WatchError::Backend {
        path: None,
        source: Box::new(source),
    }
}

fn start() -> std::io::Result<Hub> {
    let (messages, inbox) = channel();
    let (wake, woken) = channel();
    let routes = Arc::new(Routes::new());
    let mut thread = Thread {
        messages: inbox,
        woken,
        routes,
        clients: HashMap::new(),
        backend: None,
        wake: wake.clone(),
    };
    thread::Builder::new()
        .name("dynload watch".into())
        .spawn(move || thread.run())?;
    Ok(Hub { messages, wake })
}

struct Thread {
    messages: Receiver<Message>,
    woken: Receiver<Rearm>,
    wake: Sender<Rearm>,
    routes: Arc<Routes>,
    clients: HashMap<ClientId, Client>,
    backend: Option<Backend>,
}

impl Thread {
    fn run(&mut self) {
        loop {
            let next = self.clients.values().map(|client| client.next_sweep).min();
            let woken = match next {
                Some(next) => self
                    .woken
                    .recv_timeout(next.saturating_duration_since(Instant::now())),
                None => self.woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            loop {
                match self.messages.try_recv() {
                    Ok(Message::Add(client, reply)) => {
                        let _ = reply.send(self.add(*client));
                    }
                    Ok(Message::Remove(id)) => self.remove(id),
                    Ok(Message::End) | Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => break,
                }
            }
            let mut concerned = BTreeSet::new();
            let mut all = false;
            for rearm in woken.into_iter().chain(self.woken.try_iter()) {
                match rearm {
                    Rearm::One(id) => drop(concerned.insert(id)),
                    Rearm::All => all = true,
                }
            }
            let now = Instant::now();
            let ids: Vec<_> = self.clients.keys().copied().collect();
            for id in ids {
                let due = self.clients[&id].next_sweep <= now;
                if all || due || concerned.contains(&id) {
                    self.look(id);
                }
            }
        }
    }

    fn add(&mut self, mut client: Client) -> Result<WatchState, WatchError> {
        if let WatchMode::Poll(interval) = client.mode {
            client.poll = Some((interval, PollReason::Configured));
        }
        self.routes
            .add(client.id, Arc::clone(&client.targets), Arc::clone(&client.inbox));
        let (id, mode) = (client.id, client.mode);
        self.clients.insert(id, client);
        let outcome = self
            .arm(id)
            .and_then(|(layout, _)| self.choose(id).map(|()| layout));
        let layout = match outcome {
            Err(error) if mode == WatchMode::Native => {
                self.remove(id);
                return Err(error);
            }
            Err(error) => {
                self.fall_back(id, &error);
                None
            }
            Ok(layout) => layout,
        };
        let client = self.clients.get_mut(&id).expect("it was inserted above");
        let started = Instant::now();
        let layout = layout.unwrap_or_else(|| client.targets.layout());
        client.note(&layout);
        client.state = client.state_for(&layout);
        client.next_sweep = Instant::now() + client.pause(started.elapsed());
        Ok(client.state.clone())
    }

    fn remove(&mut self, id: ClientId) {
        self.routes.remove(id);
        if let (Some(client), Some(backend)) = (self.clients.remove(&id), &mut self.backend) {
            client.armed.iter().for_each(|dir| backend.remove(dir));
        }
        if self.clients.is_empty() {
            self.backend = None;
        }
    }

    /// Updates the watches of a reloader to the current layout of its targets. Returns the layout if the reloader
    /// is watched by notifications, and whether a watch was added or renewed.
    fn arm(&mut self, id: ClientId) -> Result<(Option<Layout>, bool), WatchError> {
        let Some(client) = self.clients.get_mut(&id) else {
            return Ok((None, false));
        };
        if matches!(client.mode, WatchMode::Poll(_)) {
            return Ok((None, false));
        }
        let backend = match &mut self.backend {
            Some(backend) => backend,
            none => none.insert(Backend::new(Arc::clone(&self.routes), self.wake.clone())?),
        };
        let mut changed = false;
        let mut last = None;
        // Entries that are created between looking and watching are found by looking again.
        for _ in 0..8 {
            let layout = client.targets.layout();
            let mut stable = true;
            self.routes.set(
                id,
                layout
                    .dirs
                    .iter()
                    .map(|(dir, interest)| (dir.clone(), interest.clone())),
            );
            for dir in layout.dirs.keys() {
                if client.armed.insert(dir.clone()) {
                    if let Err(error) = backend.add(dir) {
                        client.armed.remove(dir);
                        return Err(error);
                    }
                    stable = false;
                } else if backend.renew(dir)? {
                    stable = false;
                }
            }
            client.armed.retain(|dir| {
                let keep = layout.dirs.contains_key(dir);
                if !keep {
                    backend.remove(dir);
                }
                keep
            });
            changed |= !stable;
            last = Some(layout);
            if stable {
                break;
            }
        }
        Ok((last, changed))
    }

    /// Finds out, for a reloader that is watched by events, whether events are enough.
    fn choose(&mut self, id: ClientId) -> Result<(), WatchError> {
        let Some(client) = self.clients.get(&id) else {
            return Ok(());
        };
        if matches!(client.mode, WatchMode::Poll(_)) {
            return Ok(());
        }
        let (mode, dirs) = (client.mode, client.armed.clone());
        for dir in dirs {
            let reason = match probe::kind(&dir) {
                probe::Kind::Local => continue,
                probe::Kind::Remote => PollReason::RemoteFileSystem,
                probe::Kind::Unknown if self.probe(&dir) => continue,
                probe::Kind::Unknown => PollReason::NoEvents,
            };
            if mode == WatchMode::Native {
                return Err(WatchError::NoEvents { path: dir, reason });
            }
            if let Some(client) = self.clients.get_mut(&id) {
                client.poll = Some((FALLBACK_INTERVAL, reason));
            }
            return Ok(());
        }
        Ok(())
    }

    /// Creates a file and waits for its event. A directory in which no file can be created is assumed to send
    /// events.
    fn probe(&self, dir: &Path) -> bool {
        let path = dir.join(format!(
            ".dynload-probe-{}-{}",
            std::process::id(),
            self.clients.len()
        ));
        let mut made = false;
        let came = self.routes.probe(&path, PROBE_PATIENCE, || {
            made = File::create_new(&path).is_ok();
            if made {
                let _ = fs::remove_file(&path);
            }
        });
        came || !made
    }

    fn fall_back(&mut self, id: ClientId, error: &WatchError) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let reason = match error {
            WatchError::Limit { limit, .. } => PollReason::Limit(*limit),
            _ => PollReason::Unavailable,
        };
        let new = Some((FALLBACK_INTERVAL, reason));
        if client.poll.is_none() {
            log::warn!(target: LOG_TARGET, "{}: polling, because {error}", printable(client.targets.source.display()).path());
            client.poll = new;
        }
    }

    /// Checks a reloader's watches and files, and sends a hint if there is anything new.
    fn look(&mut self, id: ClientId) {
        let started = Instant::now();
        let (layout, rearmed) = match self.arm(id) {
            Ok(armed) => {
                // An exhausted limit may no longer be exhausted.
                let client = self.clients.get_mut(&id);
                if let Some(client) = client.filter(|client| client.fell_back()) {
                    client.poll = None;
                }
                armed
            }
            Err(error) => {
                self.fall_back(id, &error);
                (None, false)
            }
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let layout = layout.unwrap_or_else(|| client.targets.layout());
        let changed = client.note(&layout);
        if rearmed {
            // The directory was created again or a link was retargeted; events in between are lost.
            client.inbox.hint(Hint::Complete);
        } else if changed {
            client.inbox.hint(Hint::Noticed);
        }
        let state = client.state_for(&layout);
        if state != client.state {
            client.state = state.clone();
            (client.tell)(state);
        }
        client.next_sweep = Instant::now() + client.pause(started.elapsed());
    }
}
