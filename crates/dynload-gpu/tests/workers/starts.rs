//! Creating [`Workers`].

use crate::{
    fake::{VARIABLE, device},
    left::{PATIENCE, descriptors, eventually, processes, running},
    sessions::outcome,
};
use dynload_gpu::{StartError, Workers};
use dynload_sandbox::gpu::Gpu;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{error::Error, fs::File, time::Instant};

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "a_relative_path_is_not_searched_for",
        a_relative_path_is_not_searched_for,
    ),
    (
        "a_program_that_does_not_exist_is_an_error",
        a_program_that_does_not_exist_is_an_error,
    ),
    (
        "a_host_without_descriptors_is_an_error",
        a_host_without_descriptors_is_an_error,
    ),
    (
        "a_program_that_is_not_a_worker_is_an_error",
        a_program_that_is_not_a_worker_is_an_error,
    ),
    (
        "a_worker_of_another_version_is_an_error",
        a_worker_of_another_version_is_an_error,
    ),
    (
        "a_worker_that_says_nothing_is_an_error",
        a_worker_that_says_nothing_is_an_error,
    ),
    (
        "the_devices_are_those_of_the_worker",
        the_devices_are_those_of_the_worker,
    ),
    ("spares_are_kept_and_replaced", spares_are_kept_and_replaced),
    (
        "a_spare_that_has_died_is_not_used",
        a_spare_that_has_died_is_not_used,
    ),
];

pub(crate) fn workers(behavior: &str) -> Result<Workers, StartError> {
    Workers::with_variables(std::env::current_exe().unwrap(), [(VARIABLE, behavior)])
}

fn a_relative_path_is_not_searched_for() {
    for path in ["dynload-gpu-worker", "./dynload-gpu-worker", ""] {
        let error = Workers::new(path).unwrap_err();
        assert!(matches!(&error, StartError::NotAbsolute { path: found } if found.as_os_str() == path));
        assert!(error.to_string().contains("absolute"), "{error}");
    }
}

fn a_program_that_does_not_exist_is_an_error() {
    let error = Workers::new("/nothing/here").unwrap_err();
    assert!(matches!(error, StartError::Spawn { .. }), "{error}");
    assert!(error.to_string().contains("`/nothing/here`"), "{error}");
    let cause = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
}

/// Whatever step of the start lacks a descriptor, the error says so.
fn a_host_without_descriptors_is_an_error() {
    let limit = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(64),
        ..limit
    };
    let mut has_failed = false;
    for free in 0..20 {
        let before = descriptors();
        setrlimit(Resource::Nofile, low).unwrap();
        let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - free);
        let started = workers("answers");
        setrlimit(Resource::Nofile, limit).unwrap();
        match started {
            Ok(workers) => assert_eq!(workers.devices(), [device()]),
            Err(error) => {
                has_failed = true;
                assert!(matches!(error, StartError::Spawn { .. }), "{free}: {error}");
            }
        }
        drop(taken);
        if cfg!(target_os = "linux") {
            eventually("a descriptor is left", || descriptors() <= before);
        }
    }
    assert!(has_failed);
}

fn a_program_that_is_not_a_worker_is_an_error() {
    for error in [
        Workers::new("/bin/true").unwrap_err(),
        workers("ends").unwrap_err(),
        workers("says something else").unwrap_err(),
    ] {
        assert!(matches!(error, StartError::NotAWorker { .. }), "{error}");
    }
}

fn a_worker_of_another_version_is_an_error() {
    let error = workers("is of another version").unwrap_err();
    let StartError::Version { found, required, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(found, required + 1);
}

fn a_worker_that_says_nothing_is_an_error() {
    let start = Instant::now();
    let error = workers("says nothing").unwrap_err();
    assert!(matches!(error, StartError::Timeout { .. }), "{error}");
    assert!(start.elapsed() < PATIENCE);
}

fn the_devices_are_those_of_the_worker() {
    let workers = workers("answers").unwrap();
    assert_eq!(workers.devices(), [device()]);
    let error = workers.open(1, 0).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

fn spares_are_kept_and_replaced() {
    let workers = workers("answers").unwrap();
    assert_eq!(processes().len(), 1, "the one that reported the devices");
    let workers = workers.with_spares(3);
    eventually("three spares", || processes().len() == 3);
    let sessions = [workers.open(0, 0).unwrap(), workers.open(0, 0).unwrap()];
    eventually("two sessions and three spares", || processes().len() == 5);
    drop(workers);
    eventually("two sessions", || processes().len() == 2);
    drop(sessions);
}

fn a_spare_that_has_died_is_not_used() {
    let workers = workers("answers").unwrap();
    let spare = processes()[0].cast_signed();
    let spare = rustix::process::Pid::from_raw(spare).unwrap();
    rustix::process::kill_process(spare, rustix::process::Signal::KILL).unwrap();
    eventually("the spare has ended", || running().is_empty());
    let mut session = workers.open(0, 0).unwrap();
    assert_eq!(outcome(&mut *session), Ok(()));
}
