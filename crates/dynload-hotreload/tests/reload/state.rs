//! Tests of state across versions, with a loader that keeps it in memory.

use std::sync::Mutex;

use dynload_hotreload::{Artifact, LoadError, Loader, Reloader, State, Step};

use crate::harness::*;

/// A loader of plugins that consist of a schema number and a counter.
struct Counter;

struct Counting {
    schema: u64,
    count: Mutex<u64>,
}

impl Loader for Counter {
    type Loaded = Counting;

    fn load(&self, artifact: &Artifact) -> Result<Counting, LoadError> {
        let content = std::fs::read_to_string(&artifact.path).unwrap();
        let schema = content.split(' ').next().unwrap().parse().unwrap();
        Ok(Counting {
            schema,
            count: Mutex::new(0),
        })
    }

    fn save(&self, old: &Counting) -> Result<Option<State>, LoadError> {
        match old.schema {
            0 => Ok(None),
            13 => Err(LoadError::new("not now")),
            schema => Ok(Some(State {
                schema,
                bytes: old.count.lock().unwrap().to_le_bytes().to_vec(),
            })),
        }
    }

    fn restore(&self, new: &Counting, state: &State) -> Result<(), LoadError> {
        if new.schema < state.schema {
            return Err(LoadError::new(format!(
                "schema {} is newer than {}",
                state.schema, new.schema
            )));
        }
        *new.count.lock().unwrap() = u64::from_le_bytes(state.bytes.as_slice().try_into().unwrap());
        Ok(())
    }
}

#[test]
fn state_is_saved_restored_and_refused() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "1 a");
    let reloader = Reloader::new(text_config(&source), Counter).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    *reloader.current().unwrap().count.lock().unwrap() = 42;
    dir.write("plugin.txt", "2 b");
    await_version(&reloader, 2);
    assert_eq!(*reloader.current().unwrap().count.lock().unwrap(), 42);

    dir.write("plugin.txt", "1 c");
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Restore);
    assert!(
        error.report().ends_with("schema 2 is newer than 1"),
        "{}",
        error.report()
    );
    assert_eq!(reloader.version(), 2);
    assert_eq!(reloader.current().unwrap().schema, 2);

    dir.write("plugin.txt", "13 d");
    await_version(&reloader, 3);
    dir.write("plugin.txt", "13 e");
    let (step, error) = trace.await_failure();
    assert_eq!((step, error.report().ends_with("not now")), (Step::Restore, true));
    assert_eq!(reloader.version(), 3);
}

#[test]
fn state_without_restore_is_not_lost_silently() {
    struct Forgetful;
    impl Loader for Forgetful {
        type Loaded = ();
        fn load(&self, _: &Artifact) -> Result<(), LoadError> {
            Ok(())
        }
        fn save(&self, _: &()) -> Result<Option<State>, LoadError> {
            Ok(Some(State {
                schema: 3,
                bytes: vec![1, 2],
            }))
        }
    }
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "a");
    let reloader = Reloader::new(text_config(&source), Forgetful).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    dir.write("plugin.txt", "b");
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Restore);
    assert!(error.report().contains("schema 3, 2 bytes"), "{}", error.report());
}
