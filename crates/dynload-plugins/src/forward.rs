//! Passes the events of a plugin's reloader on.

use std::sync::{Arc, Mutex};

use dynload_discovery::semver::Version;
use dynload_discovery::{Plugin, Reduction};
use dynload_hotreload::EventKind as ReloadEvent;

use crate::event::{EventKind, Events, LoadFailure};
use crate::plugins::unpoisoned;

/// Where a reloader's events go: held back until the plugin can be called, or cannot be loaded and this is dropped.
pub(crate) struct Forward {
    events: Arc<Events>,
    id: String,
    version: Option<Version>,
    reductions: Vec<Reduction>,
    state: Mutex<State>,
}

struct State {
    /// Whether the next version replaces one.
    runs: bool,
    /// `None` once events are passed on at once.
    held: Option<Vec<EventKind>>,
}

impl Forward {
    /// Holds the events of a plugin back, which may replace a version that runs.
    pub(crate) fn new(
        events: Arc<Events>,
        plugin: &Plugin,
        reductions: Vec<Reduction>,
        replaces: bool,
    ) -> Forward {
        Forward {
            events,
            id: plugin.id().as_str().to_owned(),
            version: plugin.version().cloned(),
            reductions,
            state: Mutex::new(State {
                runs: replaces,
                held: Some(Vec::new()),
            }),
        }
    }

    /// Takes an event of the reloader.
    pub(crate) fn take(&self, event: &ReloadEvent) {
        let mut state = unpoisoned(self.state.lock());
        let kind = match event {
            ReloadEvent::Swapped { .. } => {
                let (version, reductions) = (self.version.clone(), self.reductions.clone());
                if std::mem::replace(&mut state.runs, true) {
                    EventKind::Reloaded { version, reductions }
                } else {
                    EventKind::Loaded { version, reductions }
                }
            }
            ReloadEvent::Failed { error, .. } => EventKind::Failed {
                reason: LoadFailure::Error(Arc::clone(error) as _),
                keeps_running: state.runs,
            },
            _ => return,
        };
        match &mut state.held {
            Some(held) => held.push(kind),
            None => self.events.push(Some(&self.id), kind),
        }
    }

    /// Passes on what was held back, and the following events at once.
    pub(crate) fn release(&self) {
        let mut state = unpoisoned(self.state.lock());
        for kind in state.held.take().into_iter().flatten() {
            self.events.push(Some(&self.id), kind);
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.release();
    }
}
