//! What a program inherits, and how it and its descendants end.
#![cfg(target_os = "linux")]

use dynload_process::{Environment, Process, null, occupy_standard_streams};
use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    process::{WaitId, WaitIdOptions, waitid},
};
use std::{
    fs,
    io::{self, Read, Write},
    iter,
    os::fd::AsRawFd,
    path::Path,
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .current_dir("/")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
}

fn start(command: &Command) -> Process {
    Process::spawn(command, Environment::Empty, [0; 3].map(|_| null().unwrap())).unwrap()
}

/// Runs the command to its end, and returns its output.
fn output(command: &Command, environment: Environment) -> String {
    let (mut reader, writer) = io::pipe().unwrap();
    let streams = [null().unwrap(), writer.into(), null().unwrap()];
    let process = Process::spawn(command, environment, streams).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    process.wait().unwrap();
    text
}

/// Waits until the file contains a line.
fn await_text(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(Instant::now() < deadline, "{} remained empty", path.display()),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Returns whether a process is alive, which a zombie is not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

fn await_death(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "{pid} is still alive");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a test of this program again, started by `env` with these options, and runs `inside` in that process.
fn run_under_env(options: &[&str], test: &str, inside: impl FnOnce()) {
    const INSIDE: &str = "DYNLOAD_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let output = Command::new("env")
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// With an inherited descriptor, `/bin/cat /proc/self/fd/9` could read the file that the host opened without close-on-exec.
#[test]
fn no_descriptor_of_the_host_is_inherited() {
    let dir = tempfile::tempdir().unwrap();
    let mut secret = fs::File::create_new(dir.path().join("secret")).unwrap();
    secret.write_all(b"secret").unwrap();
    fcntl_setfd(&secret, FdFlags::empty()).unwrap();
    let far = rustix::io::fcntl_dupfd_cloexec(&secret, 900).unwrap();
    fcntl_setfd(&far, FdFlags::empty()).unwrap();
    let listed = output(&shell("ls /proc/$$/fd"), Environment::Empty);
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"]);
    for fd in [secret.as_raw_fd(), far.as_raw_fd()] {
        let mut cat = Command::new("/bin/cat");
        cat.arg(format!("/proc/self/fd/{fd}"));
        assert_eq!(output(&cat, Environment::Empty), "");
    }
    // The host's own descriptors are unchanged.
    assert_eq!(fcntl_getfd(&secret).unwrap(), FdFlags::empty());
    assert_eq!(fcntl_getfd(&far).unwrap(), FdFlags::empty());
}

#[test]
fn the_program_gets_exactly_the_requested_environment() {
    let mut env = Command::new("/usr/bin/env");
    assert_eq!(output(&env, Environment::Empty), "");
    env.env("A", "b c").env_remove("PATH");
    assert_eq!(output(&env, Environment::Empty), "A=b c\n");
    let host = output(&env, Environment::Host);
    assert!(host.contains("A=b c\n") && !host.contains("\nPATH="), "{host}");
}

#[test]
fn the_program_has_its_own_session_no_terminal_and_default_signals() {
    let options = [
        "--ignore-signal=CHLD,HUP,INT,USR1",
        "--block-signal=TERM,USR2,ALRM",
    ];
    run_under_env(
        &options,
        "the_program_has_its_own_session_no_terminal_and_default_signals",
        || {
            let own = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(!own.contains("SigIgn:\t0000000000000000"), "{own}");
            assert!(!own.contains("SigBlk:\t0000000000000000"), "{own}");
            let mut cat = Command::new("cat");
            cat.args(["/proc/self/stat", "/proc/self/status"]);
            let text = output(&cat, Environment::Host);
            let (pid, rest) = text.split_once(' ').unwrap();
            // The words are the state, parent, group, session and terminal.
            let words: Vec<&str> = rest.split_once(") ").unwrap().1.split(' ').collect();
            assert_eq!(words[2..5], [pid, pid, "0"], "{text}");
            for name in ["SigBlk", "SigIgn", "SigCgt"] {
                assert!(text.contains(&format!("{name}:\t0000000000000000")), "{text}");
            }
            // The host's mask is unchanged.
            let blocked = |text: &str| {
                text.lines()
                    .find(|line| line.starts_with("SigBlk"))
                    .map(str::to_owned)
            };
            let now = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert_eq!(blocked(&own), blocked(&now));
        },
    );
}

#[test]
fn spawn_reports_why_the_program_did_not_start() {
    let error = |program: &str, dir: &str| {
        let mut command = Command::new(program);
        command.current_dir(dir);
        let streams = [0; 3].map(|_| null().unwrap());
        let error = Process::spawn(&command, Environment::Empty, streams).unwrap_err();
        error.kind()
    };
    run_under_env(
        &["--ignore-signal=CHLD"],
        "spawn_reports_why_the_program_did_not_start",
        || {
            for _ in 0..20 {
                assert_eq!(error("/does/not/exist", "/"), io::ErrorKind::NotFound);
                assert_eq!(error("does-not-exist", "/"), io::ErrorKind::NotFound);
                assert_eq!(error("/bin/true", "/does/not/exist"), io::ErrorKind::NotFound);
                assert_eq!(error("/etc/passwd", "/"), io::ErrorKind::PermissionDenied);
                assert_eq!(error("/bin/true\0", "/"), io::ErrorKind::InvalidInput);
            }
        },
    );
}

#[test]
fn reap_returns_the_exit_status_once() {
    let status = |script: &str| {
        let mut process = start(&shell(script));
        process.wait().unwrap();
        assert!(process.has_ended().unwrap());
        let status = process.reap();
        assert_eq!(process.reap(), None);
        status.unwrap().to_string()
    };
    assert_eq!(status("exit 3"), "exit status: 3");
    assert_eq!(status("kill -9 $$"), "signal: 9 (SIGKILL)");
    let mut process = start(&shell("sleep 1000"));
    assert!(!process.has_ended().unwrap());
    assert_eq!(process.reap(), None);
    process.kill_all();
    assert!(process.has_ended().unwrap());
}

fn check_that_ends_are_detected() {
    for _ in 0..20 {
        let mut process = start(&shell("exit 0"));
        process.watch().unwrap().unwrap().wait();
        assert!(process.has_ended().unwrap());
        process.reap();
        let mut process = start(&shell("sleep 1000 & sleep 1000"));
        assert!(!process.has_ended().unwrap());
        process.kill_all();
        assert!(process.has_ended().unwrap());
    }
}

/// Returns whether the system keeps the exit statuses of processes that were reaped: from Linux 6.15 on.
fn keeps_statuses() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// If the host ignores SIGCHLD, the system reaps the program: the end is detected, but older systems lose the exit status.
#[test]
fn the_end_is_detected_if_sigchld_is_ignored() {
    run_under_env(
        &["--ignore-signal=CHLD"],
        "the_end_is_detected_if_sigchld_is_ignored",
        || {
            check_that_ends_are_detected();
            for (script, status) in [
                ("exit 3", "exit status: 3"),
                ("kill -9 $$", "signal: 9 (SIGKILL)"),
            ] {
                let mut process = start(&shell(script));
                process.wait().unwrap();
                let kept = keeps_statuses().then(|| status.to_owned());
                assert_eq!(process.reap().map(|status| status.to_string()), kept);
                assert_eq!(process.reap(), None);
            }
        },
    );
}

#[test]
fn the_end_is_detected_if_another_thread_reaps_every_child() {
    run_under_env(
        &[],
        "the_end_is_detected_if_another_thread_reaps_every_child",
        || {
            thread::spawn(|| {
                loop {
                    if waitid(WaitId::All, WaitIdOptions::EXITED).is_err() {
                        thread::yield_now();
                    }
                }
            });
            check_that_ends_are_detected();
        },
    );
}

/// A child that another thread of the host forked during the start has copies of all descriptors, and keeps them open.
#[test]
fn a_start_ends_although_another_thread_forks() {
    run_under_env(&[], "a_start_ends_although_another_thread_forks", || {
        let (sender, started) = mpsc::channel();
        thread::spawn(move || {
            for _ in 0..200 {
                let mut process = start(&shell("exit 3"));
                process.wait().unwrap();
                assert_eq!(process.reap().unwrap().code(), Some(3));
                let missing = Command::new("/does/not/exist");
                let streams = [0; 3].map(|_| null().unwrap());
                let error = Process::spawn(&missing, Environment::Empty, streams).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
            }
            sender.send(()).unwrap();
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let host = std::process::id().cast_signed();
        let mut children = 0;
        let outcome = loop {
            if children < 300 {
                children += 1;
                // SAFETY: the child calls only async-signal-safe functions, until this process ends.
                unsafe {
                    if libc::fork() == 0 {
                        while libc::getppid() == host {
                            libc::poll(std::ptr::null_mut(), 0, 20);
                        }
                        libc::_exit(0);
                    }
                }
            }
            match started.recv_timeout(Duration::from_millis(1)) {
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                outcome => break outcome,
            }
        };
        outcome.expect("a start waits for a process that another thread forked");
    });
}

#[test]
fn closed_standard_streams_are_occupied() {
    run_under_env(&[], "closed_standard_streams_are_occupied", || {
        let kept = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 10).unwrap();
        for fd in 0..3 {
            // SAFETY: nothing reads or prints until they are opened again.
            unsafe { libc::close(fd) };
        }
        let mut process = start(&shell("exit 3"));
        let links: Vec<_> = (0..3)
            .map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")))
            .collect();
        process.wait().unwrap();
        let code = process.reap().unwrap().code();
        // SAFETY: an open descriptor; the other one is replaced.
        unsafe { libc::dup2(kept.as_raw_fd(), 2) };
        for link in links {
            assert_eq!(link.unwrap(), Path::new("/dev/null"));
        }
        assert_eq!(code, Some(3));
        // Open streams are left alone.
        occupy_standard_streams().unwrap();
        let stderr = fs::read_link("/proc/self/fd/2").unwrap();
        assert_eq!(
            stderr,
            fs::read_link(format!("/proc/self/fd/{}", kept.as_raw_fd())).unwrap()
        );
    });
}

/// A process id is used again: none of the functions affects the process that has it now.
#[test]
fn another_process_with_the_same_process_id_is_not_affected() {
    const TEST: &str = "another_process_with_the_same_process_id_is_not_affected";
    const ALONE: &str = "DYNLOAD_TEST_OWN_PROCESS_IDS";
    if std::env::var_os(ALONE).is_none() {
        // In a namespace of its own, a process may choose the next process id (pid_namespaces(7)).
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"])
            .args(["env", "--ignore-signal=CHLD"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains("unshare failed") || errors.contains("uid_map") || errors.contains("mount") {
            eprintln!("skipped, because users cannot create namespaces here: {errors}");
            return;
        }
        assert!(output.status.success(), "{errors}");
        return;
    }
    let take = |id: u32, command: &Command| {
        // Other threads of this test may start a process in between.
        let attempts = iter::repeat_with(|| {
            fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string()).unwrap();
            start(command)
        });
        attempts.take(1000).find(|process| process.id() == id).unwrap()
    };
    let sleep = shell("exec sleep 1000");
    // The system reaps the program when it ends.
    for kill in [
        (|process| process.kill_group(Duration::from_millis(1))) as fn(&mut Process),
        |process| process.kill_all(),
        |_| (),
    ] {
        let mut old = start(&shell("exit 0"));
        old.wait().unwrap();
        let new = take(old.id(), &sleep);
        assert!(old.has_ended().unwrap());
        kill(&mut old);
        drop(old);
        assert!(!new.has_ended().unwrap());
    }
    // A program that another thread reaped, but whose children live.
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("pid");
    let mut old = start(&shell(&format!("sleep 1000 & echo $! > {}", mark.display())));
    let child = await_text(&mark);
    old.wait().unwrap();
    assert!(is_alive(&child));
    old.kill_group(Duration::ZERO);
    await_death(&child);
}

/// A child that left the session by `setsid`, one whose parent has ended, and one without an environment.
#[test]
fn a_daemon_is_killed_too() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("pid");
    for (leave, leaves_group) in [
        ("", false),
        ("setsid", true),
        ("setsid -f", true),
        ("env -i setsid -f", true),
    ] {
        let _ = fs::remove_file(&mark);
        let script = format!(
            "{leave} sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' >/dev/null 2>&1 & exec sleep 1000",
            mark.display()
        );
        let mut process = start(&shell(&script));
        let pid = await_text(&mark);
        assert!(is_alive(&pid));
        if leaves_group {
            // Killing only the group does not affect it.
            process.kill_group(Duration::ZERO);
            assert!(process.has_ended().unwrap() && is_alive(&pid), "{leave}");
        }
        process.kill_all();
        assert!(process.has_ended().unwrap());
        assert!(!is_alive(&pid), "{leave}: the child is still alive");
    }
}

#[test]
fn many_forking_descendants_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let alive = dir.path().join("alive");
    let script = format!(
        "fork() {{ while :; do setsid sh -c 'echo x >> {0}; sleep 0.05' & sleep 0.002; done; }}; fork & fork & wait",
        alive.display()
    );
    let mut process = start(&shell(&script));
    await_text(&alive);
    process.kill_all();
    let size = fs::metadata(&alive).unwrap().len();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(fs::metadata(&alive).unwrap().len(), size);
}

#[test]
fn dropping_the_process_kills_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("pid");
    let process = start(&shell(&format!(
        "sleep 1000 & echo $! > {}; wait",
        mark.display()
    )));
    let pid = await_text(&mark);
    drop(process);
    await_death(&pid);
}

#[test]
fn the_program_ends_with_the_thread_that_started_it() {
    let process = thread::spawn(|| start(&shell("exec sleep 1000"))).join().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_group_may_clean_up() {
    let dir = tempfile::tempdir().unwrap();
    let (ready, clean) = (dir.path().join("ready"), dir.path().join("clean"));
    let script = format!(
        "trap 'echo done > {}; exit 0' TERM; echo on > {}; while :; do sleep 0.01; done",
        clean.display(),
        ready.display()
    );
    let mut process = start(&shell(&script));
    await_text(&ready);
    process.kill_group(Duration::from_secs(60));
    assert_eq!(fs::read_to_string(clean).unwrap(), "done\n");
}
