//! Sessions with fake workers.

use crate::{
    left::{PATIENCE, eventually, processes},
    starts::workers,
};
use dynload_sandbox::gpu::{Command, Gpu, Lost, PIECE, Reply, Session};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("answers_arrive_in_any_portions", answers_arrive_in_any_portions),
    (
        "a_worker_that_lies_is_lost_and_killed",
        a_worker_that_lies_is_lost_and_killed,
    ),
    (
        "nothing_waits_for_a_worker_that_hangs",
        nothing_waits_for_a_worker_that_hangs,
    ),
    (
        "what_was_not_asked_for_does_not_end_a_wait",
        what_was_not_asked_for_does_not_end_a_wait,
    ),
    ("a_flood_is_not_read", a_flood_is_not_read),
    ("sessions_do_not_share_a_worker", sessions_do_not_share_a_worker),
    (
        "what_a_worker_has_started_is_killed",
        what_a_worker_has_started_is_killed,
    ),
    ("sessions_outlive_the_workers", sessions_outlive_the_workers),
    (
        "sessions_are_opened_and_dropped_from_many_threads",
        sessions_are_opened_and_dropped_from_many_threads,
    ),
    (
        "a_session_that_is_dropped_at_once_starts_nothing_that_stays",
        dropped_at_once,
    ),
];

/// How long a function may take that does not wait, on a loaded machine.
const AT_ONCE: Duration = Duration::from_secs(2);

const READ: Command<'_> = Command::Read {
    buffer: 0,
    at: 0,
    size: 8,
};

/// Waits for replies until the session is lost or `count` bytes have arrived; [`Reply::Ready`] counts as none.
fn read(session: &mut dyn Session, count: usize) -> Result<Vec<u8>, Lost> {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    while bytes.len() < count {
        match session.receive()? {
            Some(Reply::Data(data)) => bytes.extend(data),
            Some(Reply::Ready) => {}
            Some(other) => panic!("{other:?}"),
            None => session.wait(Duration::from_millis(100))?,
        }
        assert!(Instant::now() < deadline);
    }
    Ok(bytes)
}

/// Asks for bytes, and once more, which reveals every lie.
pub(crate) fn outcome(session: &mut dyn Session) -> Result<(), Lost> {
    for _ in 0..2 {
        session.send(&READ)?;
        read(session, 8)?;
    }
    Ok(())
}

fn at_once<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    assert!(start.elapsed() < AT_ONCE, "{what} took {:?}", start.elapsed());
    value
}

fn answers_arrive_in_any_portions() {
    let mut behaviors = vec!["answers", "answers byte by byte"];
    if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        behaviors.push("answers through shared memory");
    }
    for behavior in behaviors {
        let workers = workers(behavior).unwrap();
        let mut session = workers.open(0, 0).unwrap();
        assert_eq!(outcome(&mut *session), Ok(()), "{behavior}");
    }
    let workers = workers("answers").unwrap();
    let mut session = workers.open(0, 0).unwrap();
    let size = 3 * u64::from(PIECE) + 4;
    session
        .send(&Command::Read {
            buffer: 0,
            at: 0,
            size,
        })
        .unwrap();
    assert_eq!(read(&mut *session, size as usize), Ok(vec![0; size as usize]));
    // A read of nothing has no answer.
    session
        .send(&Command::Read {
            buffer: 0,
            at: 0,
            size: 0,
        })
        .unwrap();
    assert_eq!(outcome(&mut *session), Ok(()));
}

fn a_worker_that_lies_is_lost_and_killed() {
    for behavior in [
        "sends data that was not asked for",
        "answers with another kind",
        "announces four gigabytes",
        "announces nothing",
        "sends a frame that is too long",
        "sends more than was asked for",
        "shares more than was asked for",
        "shares what is not shared",
        "answers twice",
        "ends in a frame",
        "ends after its greeting",
        "greets again",
    ] {
        let workers = workers(behavior).unwrap();
        let mut session = workers.open(0, 0).unwrap();
        assert_eq!(outcome(&mut *session), Err(Lost), "{behavior}");
        // It is killed although the session was not dropped.
        eventually(behavior, || processes().is_empty());
        assert_eq!(session.send(&READ), Err(Lost), "{behavior}");
        assert_eq!(session.is_sent(), Err(Lost), "{behavior}");
        assert_eq!(session.receive().map(drop), Err(Lost), "{behavior}");
        assert_eq!(session.wait(PATIENCE), Err(Lost), "{behavior}");
    }
}

fn nothing_waits_for_a_worker_that_hangs() {
    let workers = workers("hangs").unwrap();
    // With the worker that has greeted, and with one that is started for the session.
    for _ in 0..2 {
        let mut session = at_once("opening", || workers.open(0, 0).unwrap());
        let piece = vec![0; PIECE as usize];
        let write = Command::Write {
            buffer: 0,
            at: 0,
            bytes: &piece,
        };
        at_once("sending 32 MiB", || {
            for _ in 0..128 {
                session.send(&write).unwrap();
            }
        });
        assert_eq!(at_once("asking", || session.is_sent()), Ok(false));
        assert_eq!(
            at_once("receiving", || session.receive().map(|reply| reply.is_some())),
            Ok(false)
        );
        let start = Instant::now();
        session.wait(Duration::from_millis(20)).unwrap();
        at_once("waiting 20 ms", || {
            session.wait(Duration::from_millis(20)).unwrap()
        });
        assert!(start.elapsed() < AT_ONCE * 2);
        at_once("dropping", || drop(session));
    }
}

/// Otherwise the host would look again and again until its deadline.
fn what_was_not_asked_for_does_not_end_a_wait() {
    let workers = workers("opens, speaks and hangs").unwrap();
    let mut session = workers.open(0, 0).unwrap();
    while session.receive().unwrap().is_none() {
        session.wait(Duration::from_millis(20)).unwrap();
    }
    let piece = vec![0; PIECE as usize];
    for _ in 0..128 {
        let (buffer, at, bytes) = (0, 0, &*piece);
        session.send(&Command::Write { buffer, at, bytes }).unwrap();
    }
    assert_eq!(session.is_sent(), Ok(false));
    let start = Instant::now();
    for _ in 0..50 {
        session.wait(Duration::from_millis(10)).unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(500));
}

fn a_flood_is_not_read() {
    let workers = workers("floods").unwrap();
    let mut session = workers.open(0, 0).unwrap();
    session.send(&READ).unwrap();
    // As long as nothing is received, the flood waits in the socket.
    at_once("sending", || session.send(&Command::Wait).unwrap());
    assert_eq!(read(&mut *session, 8), Err(Lost));
}

fn sessions_do_not_share_a_worker() {
    let workers = workers("answers").unwrap();
    let mut first = workers.open(0, 0).unwrap();
    assert_eq!(outcome(&mut *first), Ok(()));
    let before = processes();
    assert_eq!(before.len(), 1);
    let mut second = workers.open(0, 0).unwrap();
    assert_eq!(outcome(&mut *second), Ok(()));
    assert_eq!(processes().len(), 2);
    drop(first);
    eventually("the first worker has ended", || processes().len() == 1);
    assert_ne!(processes(), before);
    assert_eq!(outcome(&mut *second), Ok(()));
}

fn what_a_worker_has_started_is_killed() {
    let workers = workers("leaves a process").unwrap();
    let mut session = workers.open(0, 0).unwrap();
    assert_eq!(outcome(&mut *session), Ok(()));
    assert_eq!(processes().len(), 2);
    drop(session);
    eventually("both have ended", || processes().is_empty());
}

fn sessions_outlive_the_workers() {
    let workers = workers("answers").unwrap();
    let mut sessions = [workers.open(0, 0).unwrap(), workers.open(0, 0).unwrap()];
    drop(workers);
    for session in &mut sessions {
        assert_eq!(outcome(&mut **session), Ok(()));
    }
}

fn sessions_are_opened_and_dropped_from_many_threads() {
    let workers = workers("answers").unwrap().with_spares(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..5 {
                    let mut session = workers.open(0, 0).unwrap();
                    if n % 2 == 0 {
                        assert_eq!(outcome(&mut *session), Ok(()));
                    }
                }
            });
        }
    });
}

fn dropped_at_once() {
    let workers = workers("answers").unwrap();
    for _ in 0..50 {
        at_once("opening and dropping", || drop(workers.open(0, 0).unwrap()));
    }
}
