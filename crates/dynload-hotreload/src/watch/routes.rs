//! Routes events to the reloaders that they concern, on the thread that delivers the events.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind, RenameMode};

use super::targets::{Interest, Targets};
use crate::bus::LOG_TARGET;
use crate::inbox::{Hint, Inbox};
use crate::sync::{lock, wait_timeout};

/// Identifies a reloader.
pub(super) type ClientId = u64;

/// A request to the hub's thread to check watches again.
pub(super) enum Rearm {
    /// The watches of one reloader.
    One(ClientId),
    /// All watches, because events were lost.
    All,
}

/// The routing of events. The lock is held only briefly, and never while the watcher is called: the watcher answers
/// on the thread that delivers events.
pub(super) struct Routes {
    table: Mutex<Table>,
    probed: Condvar,
}

#[derive(Default)]
struct Table {
    clients: HashMap<ClientId, Client>,
    dirs: HashMap<PathBuf, HashMap<ClientId, Interest>>,
    /// A file whose event is awaited, and whether the event has arrived.
    probe: Option<(PathBuf, bool)>,
}

struct Client {
    targets: Arc<Targets>,
    inbox: Arc<Inbox>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            table: Mutex::default(),
            probed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    pub(super) fn add(&self, id: ClientId, targets: Arc<Targets>, inbox: Arc<Inbox>) {
        self.lock().clients.insert(id, Client { targets, inbox });
    }

    pub(super) fn remove(&self, id: ClientId) {
        let mut table = self.lock();
        table.clients.remove(&id);
        table.dirs.retain(|_, interests| {
            interests.remove(&id);
            !interests.is_empty()
        });
    }

    /// Replaces the interests of a reloader.
    pub(super) fn set(&self, id: ClientId, dirs: impl IntoIterator<Item = (PathBuf, Interest)>) {
        let mut table = self.lock();
        for interests in table.dirs.values_mut() {
            interests.remove(&id);
        }
        for (dir, interest) in dirs {
            table.dirs.entry(dir).or_default().insert(id, interest);
        }
        table.dirs.retain(|_, interests| !interests.is_empty());
    }

    /// Calls `make`, which creates `path`, and waits until an event reports it. Returns whether one did.
    pub(super) fn probe(&self, path: &Path, patience: Duration, make: impl FnOnce()) -> bool {
        self.lock().probe = Some((path.to_owned(), false));
        make();
        let deadline = Instant::now() + patience;
        let mut table = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || table.probe.as_ref().is_none_or(|(_, came)| *came) {
                return table.probe.take().is_some_and(|(_, came)| came);
            }
            table = wait_timeout(&self.probed, table, left);
        }
    }

    /// Handles an event from the watcher.
    pub(super) fn handle(&self, event: notify::Result<notify::Event>, rearm: &Sender<Rearm>) {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            other => {
                if let Err(error) = &other {
                    log::warn!(target: LOG_TARGET, "the file watcher reports: {error}");
                }
                // Anything may have happened: every reloader looks, and every watch is checked.
                for client in self.lock().clients.values() {
                    client.inbox.hint(Hint::Complete);
                }
                let _ = rearm.send(Rearm::All);
                return;
            }
        };
        // Reading a file, as this crate does itself, changes nothing.
        if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
            return;
        }
        let names_change = matches!(
            event.kind,
            EventKind::Create(_)
                | EventKind::Remove(_)
                | EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Any)
                | EventKind::Any
                | EventKind::Other
        );
        let mut moved = HashSet::new();
        let mut table = self.lock();
        for path in &event.paths {
            if let Some((awaited, came)) = &mut table.probe
                && awaited == path
            {
                *came = true;
                self.probed.notify_all();
            }
            // The watched directory itself was created, removed or renamed.
            if names_change {
                moved.extend(table.dirs.get(path).into_iter().flat_map(HashMap::keys));
            }
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            for (id, interest) in table.dirs.get(dir).into_iter().flatten() {
                let Some(client) = table.clients.get(id) else {
                    continue;
                };
                let effect = client.effect(interest, path, name, names_change);
                if effect.look {
                    client.inbox.hint(hint(event.kind, path));
                }
                if effect.rearm {
                    moved.insert(*id);
                }
            }
        }
        drop(table);
        for id in moved {
            let _ = rearm.send(Rearm::One(id));
        }
    }
}

#[derive(Default)]
struct Effect {
    look: bool,
    rearm: bool,
}

impl Client {
    fn effect(&self, interest: &Interest, path: &Path, name: &OsStr, names_change: bool) -> Effect {
        let mut effect = Effect::default();
        if let Some(is_end) = interest.names.get(name) {
            effect.look = true;
            // A link in the path now has another target, or a file has become a link.
            effect.rearm = names_change && (!is_end || path.is_symlink());
        }
        for tree in &interest.trees {
            let named = tree.join(name);
            if self.targets.matches(&named) {
                effect.look = true;
                // A new directory may contain files already, and a link leads elsewhere.
                effect.rearm |= names_change && (path.is_symlink() || path.is_dir());
            } else if names_change && path.is_dir() {
                // It may contain files already; they are looked at when it is watched.
                effect.rearm = true;
            }
        }
        effect
    }
}

/// Returns what an event says about whether a writer is still active.
fn hint(kind: EventKind, path: &Path) -> Hint {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Hint::Complete,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(RemoveKind::File) => {
            Hint::Writing
        }
        EventKind::Modify(ModifyKind::Name(_)) => Hint::Complete,
        EventKind::Modify(ModifyKind::Metadata(_)) => Hint::Touched,
        // Links are complete when they are created, and no writer closes them.
        EventKind::Create(CreateKind::File) if is_link(path) => Hint::Complete,
        _ => Hint::Writing,
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| {
        #[cfg(unix)]
        let hard_links = std::os::unix::fs::MetadataExt::nlink(&metadata);
        #[cfg(not(unix))]
        let hard_links = 1;
        metadata.is_symlink() || hard_links > 1
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc::channel;

    use notify::event::{DataChange, Flag, MetadataKind};
    use notify::{Error, Event};

    use super::*;
    use crate::inbox::Wake;

    struct Fixture {
        routes: Routes,
        inbox: Arc<Inbox>,
        rearm: Sender<Rearm>,
        rearmed: std::sync::mpsc::Receiver<Rearm>,
    }

    fn fixture() -> Fixture {
        let targets = Targets {
            source: "/d/plugin.so".into(),
            extra: Vec::new(),
            imports: None,
            skip: None,
        };
        let (routes, inbox) = (Routes::new(), Arc::new(Inbox::default()));
        routes.add(1, Arc::new(targets), Arc::clone(&inbox));
        let names = HashMap::from([("plugin.so".into(), true), ("link".into(), false)]);
        routes.set(
            1,
            [(
                "/d".into(),
                Interest {
                    names,
                    trees: Default::default(),
                },
            )],
        );
        let (rearm, rearmed) = channel();
        Fixture {
            routes,
            inbox,
            rearm,
            rearmed,
        }
    }

    impl Fixture {
        /// Passes an event on. Returns whether the reloader looks, and how many watches are checked.
        fn handle(&self, event: notify::Result<Event>) -> (bool, usize) {
            self.routes.handle(event, &self.rearm);
            self.inbox.wake();
            let looks = self.inbox.has_pending();
            assert!(matches!(self.inbox.next(Duration::MAX), Wake::Callbacks));
            self.inbox.reset();
            (looks, self.rearmed.try_iter().count())
        }
    }

    #[test]
    fn lost_events_make_every_reloader_look() {
        let fixture = fixture();
        assert_eq!(
            fixture.handle(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))),
            (true, 1)
        );
        assert_eq!(
            fixture.handle(Err(Error::generic("the event queue overflowed"))),
            (true, 1)
        );
        assert_eq!(
            fixture.handle(Err(Error::new(notify::ErrorKind::MaxFilesWatch))),
            (true, 1)
        );
    }

    #[test]
    fn only_relevant_events_reach_a_reloader() {
        let fixture = fixture();
        let event = |kind, path: &str| Ok(Event::new(kind).add_path(path.into()));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let cases = [
            (event(data, "/d/plugin.so"), (true, 0)),
            (event(closed, "/d/plugin.so"), (true, 0)),
            (event(renamed, "/d/plugin.so"), (true, 0)),
            (
                event(
                    EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
                    "/d/plugin.so",
                ),
                (true, 0),
            ),
            // Reading, unrelated files, other directories.
            (event(opened, "/d/plugin.so"), (false, 0)),
            (event(data, "/d/other.so"), (false, 0)),
            (event(data, "/e/plugin.so"), (false, 0)),
            // A link in the path was retargeted; the directory was removed.
            (event(renamed, "/d/link"), (true, 1)),
            (event(EventKind::Remove(RemoveKind::Folder), "/d"), (false, 1)),
        ];
        for (event, expected) in cases {
            let shown = format!("{event:?}");
            assert_eq!(fixture.handle(event), expected, "{shown}");
        }
        fixture.routes.remove(1);
        assert_eq!(fixture.handle(event(data, "/d/plugin.so")), (false, 0));
    }

    #[test]
    fn a_probe_is_answered_only_by_its_own_event() {
        let fixture = fixture();
        let created = |path: &str| {
            let event = Event::new(EventKind::Create(CreateKind::File)).add_path(path.into());
            fixture.routes.handle(Ok(event), &fixture.rearm);
        };
        let probe = |patience, make: &dyn Fn()| fixture.routes.probe("/d/.probe".as_ref(), patience, make);
        assert!(probe(Duration::from_secs(60), &|| created("/d/.probe")));
        assert!(!probe(Duration::from_millis(5), &|| created("/d/other")));
        assert!(!probe(Duration::from_millis(5), &|| ()));
    }
}
