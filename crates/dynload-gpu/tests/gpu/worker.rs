//! What a worker may do on its machine.

use crate::subject::{Answer, Marked, STORAGE, Subject};
use std::fs;

#[test]
fn a_worker_has_given_up_what_it_does_not_need() {
    let Some(gpu) = Marked::start("rights") else {
        return;
    };
    let max_memory_bytes = 32 << 20;
    let mut subject = Subject::open(&gpu.workers, max_memory_bytes);
    assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
    let process = gpu.process();
    let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap();

    let environment = read("environ");
    let mut variables: Vec<&str> = environment.split_terminator('\0').collect();
    variables.sort_unstable();
    assert_eq!(
        variables,
        ["DYNLOAD_TEST=rights", "MESA_SHADER_CACHE_DISABLE=true"]
    );
    assert!(read("status").contains("NoNewPrivs:\t1"));
    let limits = read("limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..]
            .split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let data = (max_memory_bytes + (512 << 20)).to_string();
    assert_eq!(limit("Max data size"), [data.clone(), data]);
    // Its own session and process group, and no terminal.
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let [_, _, group, session, terminal, ..] = fields[..] else {
        panic!("{stat}")
    };
    let own = process.to_string();
    assert_eq!([group, session, terminal], [&own, &own, "0"]);
    for stream in [0, 1, 2] {
        let target = fs::read_link(format!("/proc/{process}/fd/{stream}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
}

#[test]
fn a_first_use_takes_a_spare() {
    let Some(gpu) = Marked::start("spare") else { return };
    let process = gpu.process();
    let mut subject = gpu.open();
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    assert_eq!(gpu.process(), process, "the worker that has reported the devices");
    drop(subject);
    gpu.end();
}
