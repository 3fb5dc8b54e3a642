//! Delivery of events to channels and callbacks, and the threads on which it happens.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use dynload_diagnostics::{Printable, printable};

use crate::event::{Event, EventKind};
use crate::inbox::Inbox;
use crate::sync::lock;

type Callback = Box<dyn FnMut(&Event) + Send>;

/// Sends events to channels immediately, and to callbacks on the worker's thread.
///
/// A version is retired on whatever thread drops its last guard, perhaps while that thread holds locks of the user.
/// So no callback runs there: the event waits in a queue for the worker.
pub(crate) struct EventBus {
    state: Mutex<State>,
    callbacks: Mutex<Vec<Callback>>,
    inbox: Arc<Inbox>,
    verbose: bool,
    name: String,
}

#[derive(Default)]
struct State {
    channels: Vec<Sender<Event>>,
    queue: VecDeque<Event>,
    has_callbacks: bool,
    attempt: u64,
}

impl EventBus {
    pub(crate) fn new(name: String, verbose: bool, inbox: Arc<Inbox>) -> Self {
        Self {
            state: Mutex::default(),
            callbacks: Mutex::default(),
            inbox,
            verbose,
            name,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = channel();
        self.state().channels.push(sender);
        receiver
    }

    pub(crate) fn on_event(&self, callback: Callback) {
        lock(&self.callbacks).push(callback);
        self.state().has_callbacks = true;
    }

    /// Starts the next attempt and returns its number.
    pub(crate) fn next_attempt(&self) -> u64 {
        let mut state = self.state();
        state.attempt += 1;
        state.attempt
    }

    /// Emits an event. `changed` is the time of the first hint of the change that the current attempt processes.
    pub(crate) fn emit(&self, changed: Option<Instant>, kind: EventKind) {
        let mut state = self.state();
        let at = Instant::now();
        let event = Event {
            attempt: state.attempt,
            at,
            since_change: changed.map(|changed| at.saturating_duration_since(changed)),
            kind,
        };
        self.log(&event);
        state
            .channels
            .retain(|channel| channel.send(event.clone()).is_ok());
        if state.has_callbacks {
            state.queue.push_back(event);
            drop(state);
            self.inbox.wake();
        }
    }

    /// Runs the callbacks for the queued events. Called only on the worker's thread, on which callbacks run.
    pub(crate) fn deliver(&self) {
        loop {
            let Some(event) = self.state().queue.pop_front() else {
                return;
            };
            // A callback may subscribe another one, so they are taken out while they run.
            let mut callbacks = std::mem::take(&mut *lock(&self.callbacks));
            callbacks.retain_mut(|callback| {
                let outcome = catch_unwind(AssertUnwindSafe(|| callback(&event)));
                if outcome.is_err() {
                    log::error!(target: LOG_TARGET, "{}: an event callback panicked and will not be called again", self.shown());
                }
                outcome.is_ok()
            });
            let mut slot = lock(&self.callbacks);
            callbacks.append(&mut slot);
            *slot = callbacks;
        }
    }

    /// Returns the name for a log.
    fn shown(&self) -> Printable<&str> {
        printable(self.name.as_str()).path()
    }

    fn log(&self, event: &Event) {
        let level = match &event.kind {
            EventKind::Failed { .. } => log::Level::Warn,
            _ if self.verbose => log::Level::Info,
            _ => log::Level::Debug,
        };
        match &event.kind {
            EventKind::Failed { step, error } => {
                log::log!(target: LOG_TARGET, level, "{}: failed to {step}: {}", self.shown(), error.report());
            }
            _ => log::log!(target: LOG_TARGET, level, "{}: {event}", self.shown()),
        }
    }
}

/// The target of every log record, so that a host can filter the records.
pub(crate) const LOG_TARGET: &str = "dynload_hotreload";
