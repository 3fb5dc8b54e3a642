//! The threads that start and end workers, so that no session waits for either.
//!
//! On Linux a program is killed when the thread that started it ends, so the thread that starts workers lives as long as any of
//! them is used.

use super::spares::{Spare, Spares};
use crate::{client::pair, window::Window};
use dynload_process::{Environment, Process, null};
use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// The time after which a worker that could not be killed is killed again.
const AGAIN: Duration = Duration::from_secs(1);

/// How to start a worker.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) variables: Vec<(OsString, OsString)>,
}

impl Program {
    /// Starts a worker at the other end.
    fn start(&self, end: TheirEnd) -> io::Result<Process> {
        let window = end.window.map_or_else(null, Ok)?;
        let mut command = Command::new(&self.path);
        command
            .current_dir("/")
            // Mesa would write files to the user's home directory.
            .env("MESA_SHADER_CACHE_DISABLE", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        Process::spawn(&command, Environment::Empty, [end.socket, window, null()?])
    }
}

/// What a worker gets.
struct TheirEnd {
    socket: OwnedFd,
    window: Option<OwnedFd>,
}

/// Creates both ends of a session. The first one has no worker yet.
fn ends() -> io::Result<(Spare, TheirEnd)> {
    let (socket, theirs) = pair()?;
    let (window, their_window) = Window::create().ok().unzip();
    let ours = Spare {
        socket,
        window,
        has_greeted: false,
        other_end: None,
    };
    let theirs = TheirEnd {
        socket: theirs.into(),
        window: their_window,
    };
    Ok((ours, theirs))
}

/// The threads. Dropping it ends them once they have done everything.
pub(super) struct Keeper {
    orders: Sender<Order>,
    ended: Sender<Process>,
}

enum Order {
    /// Start a worker.
    Start {
        end: TheirEnd,
        held: Arc<Mutex<Held>>,
        /// Where to send the error.
        report: Option<Sender<io::Error>>,
    },
    /// Start as many spares as are missing.
    Fill(Weak<Spares>),
}

/// The process of a lease.
enum Held {
    /// It is being started.
    Nothing,
    Process(Process),
    /// The lease has ended.
    Ended,
}

/// A worker that is in use, or about to be started. Dropping it ends the worker: at once for the one who drops it, and soon in
/// truth.
pub(super) struct Lease {
    held: Arc<Mutex<Held>>,
    ended: Sender<Process>,
}

impl Keeper {
    pub(super) fn new(program: Program) -> io::Result<Arc<Keeper>> {
        let (orders, received) = channel();
        let (ended, left) = channel();
        let ended_early = ended.clone();
        thread::Builder::new()
            .name("gpu workers".into())
            .spawn(move || keep(&program, &received, &ended_early))?;
        thread::Builder::new()
            .name("gpu workers' end".into())
            .spawn(move || reap(&left))?;
        Ok(Arc::new(Keeper { orders, ended }))
    }

    /// Has a worker started, and does not wait for it. If that fails, its socket is closed, after the error was sent to
    /// `report`.
    pub(super) fn start_spare(&self, report: Option<Sender<io::Error>>) -> io::Result<Spare> {
        let (spare, end) = ends()?;
        let held = Arc::new(Mutex::new(Held::Nothing));
        let order = Order::Start {
            end,
            held: Arc::clone(&held),
            report,
        };
        // Without the thread, the order is dropped, and the socket closed.
        let _ = self.orders.send(order);
        let lease = Lease {
            held,
            ended: self.ended.clone(),
        };
        Ok(Spare {
            other_end: Some(Box::new(lease)),
            ..spare
        })
    }

    /// Has the missing spares started.
    pub(super) fn fill(&self, spares: &Arc<Spares>) {
        let _ = self.orders.send(Order::Fill(Arc::downgrade(spares)));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Held::Process(process) = std::mem::replace(&mut *held, Held::Ended) {
            let _ = self.ended.send(process);
        }
    }
}

/// Starts workers.
fn keep(program: &Program, orders: &Receiver<Order>, ended: &Sender<Process>) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Start { end, held, report } => {
                // It may have been given up while it waited here.
                if matches!(&*held.lock().unwrap_or_else(PoisonError::into_inner), Held::Ended) {
                    continue;
                }
                // The original is closed after the error was reported, and so is the last one.
                let TheirEnd { socket, window } = end;
                let copy = socket.try_clone();
                match copy.and_then(|socket| program.start(TheirEnd { socket, window })) {
                    Ok(process) => hold(&held, process, ended),
                    Err(error) => drop(report.map(|report| report.send(error))),
                }
                drop(socket);
            }
            Order::Fill(spares) => fill(program, &spares, ended),
        }
    }
}

/// Gives a process to its lease, or ends it if the lease has ended.
fn hold(held: &Mutex<Held>, process: Process, ended: &Sender<Process>) {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*held, Held::Ended) {
        let _ = ended.send(process);
    } else {
        *held = Held::Process(process);
    }
}

fn fill(program: &Program, spares: &Weak<Spares>, ended: &Sender<Process>) {
    // An error is that of the next session, if it persists.
    while let Some(spares) = spares.upgrade()
        && spares.is_short()
        && let Ok((spare, end)) = ends()
        && let Ok(process) = program.start(end)
    {
        let lease = Lease {
            held: Arc::new(Mutex::new(Held::Process(process))),
            ended: ended.clone(),
        };
        spares.put(Spare {
            other_end: Some(Box::new(lease)),
            ..spare
        });
    }
}

/// Kills workers, and waits for them.
fn reap(ended: &Receiver<Process>) {
    let mut left: Vec<Process> = Vec::new();
    loop {
        let next = if left.is_empty() {
            ended.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            ended.recv_timeout(AGAIN)
        };
        match next {
            Ok(process) => left.push(process),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // A process that waits for its driver may not end when it is killed.
        left.retain_mut(|process| {
            process.kill_all();
            process.reap();
            !process.has_ended().unwrap_or(true)
        });
    }
}
