//! The processes and descriptors of this process.

use std::{
    fs,
    time::{Duration, Instant},
};

/// How long anything may take that must not take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a test, and waits until the processes and descriptors are those of before.
pub(crate) fn nothing_is_left(test: &fn()) {
    let before = descriptors();
    test();
    if cfg!(target_os = "linux") {
        eventually("a process is left", || processes().is_empty());
        eventually("a descriptor is left", || descriptors() <= before);
    }
}

/// Returns the number of descriptors. The one with which they are counted is always among them.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Returns the processes that are copies of this program or were started by one, apart from this one.
pub(crate) fn processes() -> Vec<u32> {
    let mark = format!("{}=", crate::fake::VARIABLE).into_bytes();
    let has_mark = |process: u32| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry.starts_with(&mark))
    };
    let is_child = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(1) == Some(&std::process::id().to_string())
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| is_child(*process) || has_mark(*process))
        .collect()
}

/// Returns those of [`processes`] that have not ended: the others have not been waited for yet.
pub(crate) fn running() -> Vec<u32> {
    let has_ended = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .is_none_or(|(_, fields)| fields.trim_start().starts_with('Z'))
    };
    processes()
        .into_iter()
        .filter(|process| !has_ended(process))
        .collect()
}
