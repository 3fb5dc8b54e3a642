//! Tests of what builds inherit from the host, and of what they leave behind in it.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dynload_hotreload::{BuildCommand, Builder, Config, ReloadError};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::harness::*;

fn scripted(dir: &Dir, source: &Path, body: &str) -> Config {
    let script = script(dir, "tools/build", body);
    text_config(source)
        .with_builder(Builder::Command(
            BuildCommand::new(script).args(["{src}", "{out}"]),
        ))
        .with_build_timeout(ROOM)
}

/// Runs a test of this program in a child process, through `env` with these options; in the child, calls `inside`.
pub(crate) fn alone(options: &[&str], test: &str, inside: impl FnOnce()) {
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

/// Forks a child that only waits for the end of this process.
fn fork_and_wait() {
    let parent = std::process::id().cast_signed();
    // SAFETY: the child calls only async-signal-safe functions.
    unsafe {
        if libc::fork() == 0 {
            while libc::getppid() == parent {
                libc::poll(std::ptr::null_mut(), 0, 20);
            }
            libc::_exit(0);
        }
    }
}

fn close_standard_streams() {
    for fd in 0..3 {
        // SAFETY: the test is alone in its process, and prints nothing until standard error is restored.
        unsafe { libc::close(fd) };
    }
}

fn restore_standard_error(from: &impl AsRawFd) {
    // SAFETY: an open descriptor, which replaces another one.
    unsafe { libc::dup2(from.as_raw_fd(), 2) };
}

/// Checks that five saves become five versions.
fn five_saves_become_five_versions() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, r#"echo built; cp "$1" "$2""#));
    reloader.start().unwrap();
    let error = reloader.last_error().map(|error| error.report());
    assert_eq!(reloader.version(), 1, "{error:?}");
    for number in 2..=5 {
        dir.write("plugin.txt", text(number));
        await_version(&reloader, number);
        assert_eq!(reloader.current().unwrap().call(), number);
    }
}

/// A regression test: builds failed with ECHILD, and none of five versions was loaded.
#[test]
fn builds_work_if_the_host_ignores_sigchld() {
    alone(
        &["--ignore-signal=CHLD"],
        "children::builds_work_if_the_host_ignores_sigchld",
        || {
            five_saves_become_five_versions();
            // The artifact of an earlier build is not that of a failed one.
            let dir = Dir::new();
            let source = dir.write("plugin.txt", text(1));
            let body = r#"grep -q fail "$1" && exit 1; cp "$1" "$1.built""#;
            let command = BuildCommand::new(script(&dir, "build", body)).arg("{src}");
            let command = command.output(dir.at("plugin.txt.built"));
            let reloader = text_reloader(text_config(&source).with_builder(Builder::Command(command)));
            let mut trace = Trace::of(&reloader);
            reloader.start().unwrap();
            assert_eq!(reloader.version(), 1);
            dir.write("plugin.txt", "text 2 fail end");
            trace.await_failure();
            dir.write("plugin.txt", text(2));
            await_version(&reloader, 2);
            // A failed build has created no artifact.
            let dir = Dir::new();
            let source = dir.write("plugin.txt", text(1));
            let reloader = text_reloader(scripted(&dir, &source, "echo what is wrong; exit 1"));
            reloader.start().unwrap();
            let error = reloader.last_error().unwrap();
            let is_named = matches!(
                &*error,
                ReloadError::NoArtifact { .. } | ReloadError::BuildFailed { .. }
            );
            assert!(is_named, "{error:?}");
            assert!(error.report().contains("what is wrong"), "{}", error.report());
            // A missing build command is named.
            let missing =
                text_config(&source).with_builder(Builder::Command(BuildCommand::new("/does/not/exist")));
            let reloader = text_reloader(missing);
            reloader.start().unwrap();
            let error = reloader.last_error().unwrap();
            assert!(matches!(&*error, ReloadError::BuilderMissing { .. }), "{error:?}");
        },
    );
}

#[test]
fn builds_work_if_another_thread_reaps_every_child() {
    alone(
        &[],
        "children::builds_work_if_another_thread_reaps_every_child",
        || {
            thread::spawn(|| {
                loop {
                    if waitid(WaitId::All, WaitIdOptions::EXITED).is_err() {
                        thread::sleep(Duration::from_micros(100));
                    }
                }
            });
            five_saves_become_five_versions();
        },
    );
}

/// A child that another thread of the host forks has copies of all descriptors, and keeps them open.
#[test]
fn builds_work_and_leave_nothing_if_another_thread_forks() {
    alone(
        &[],
        "children::builds_work_and_leave_nothing_if_another_thread_forks",
        || {
            let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
            let (fds, threads) = (count("fd"), count("task"));
            let done = Arc::new(AtomicBool::new(false));
            let is_done = Arc::clone(&done);
            let forking = thread::spawn(move || {
                let mut children = 0;
                while !is_done.load(Ordering::SeqCst) {
                    if children < 500 {
                        fork_and_wait();
                        children += 1;
                    }
                    thread::sleep(Duration::from_micros(500));
                }
            });
            five_saves_become_five_versions();
            // While the children have their copies of the descriptors.
            await_until("the threads end", || count("task") <= threads + 1);
            assert!(count("fd") <= fds, "{} descriptors, {fds} before", count("fd"));
            done.store(true, Ordering::SeqCst);
            forking.join().unwrap();
        },
    );
}

/// The descriptors of the reloader would become the standard streams, and receive what the host prints.
#[test]
fn closed_standard_streams_of_the_host_receive_no_descriptor_of_the_reloader() {
    alone(
        &[],
        "children::closed_standard_streams_of_the_host_receive_no_descriptor_of_the_reloader",
        || {
            let kept = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 100).unwrap();
            close_standard_streams();
            let outcome = std::panic::catch_unwind(five_saves_become_five_versions);
            let is_null =
                |fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap() == Path::new("/dev/null");
            let all_are_null = (0..3).all(is_null);
            restore_standard_error(&kept);
            outcome.unwrap();
            assert!(all_are_null);
        },
    );
}

/// A regression test: a build inherited descriptors that a library of the host had opened without close-on-exec.
#[test]
fn a_build_inherits_only_the_environment() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let secret = fs::File::open(&source).unwrap();
    fcntl_setfd(&secret, FdFlags::empty()).unwrap();
    assert!(secret.as_raw_fd() > 2);
    // The shell keeps the script itself open, as a descriptor above 9 that it chooses.
    let body = r#"ls -l /proc/$$/fd > "$1.fds"; cat /proc/self/status > "$1.status"; cat /proc/self/stat > "$1.stat"
                  env > "$1.env"; cp "$1" "$2""#;
    let config = scripted(&dir, &source, body).with_build_env("DYNLOAD_TEST_BUILD_ENV", "yes");
    let reloader = text_reloader(config);
    reloader.start().unwrap();
    let error = reloader.last_error().map(|error| error.report());
    assert_eq!(reloader.version(), 1, "{error:?}");
    let read = |what: &str| fs::read_to_string(dir.at(&format!("plugin.txt.{what}"))).unwrap();
    let fds = read("fds");
    assert!(!fds.lines().any(|line| line.ends_with("/plugin.txt")), "{fds}");
    assert!(
        read("status").contains("SigIgn:\t0000000000000000"),
        "{}",
        read("status")
    );
    assert!(
        read("env").contains("DYNLOAD_TEST_BUILD_ENV=yes\n"),
        "{}",
        read("env")
    );
    assert!(read("env").contains("PATH="), "{}", read("env"));
    // Process group, session, terminal.
    let stat = read("stat");
    let words: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!((words[2], words[4]), (words[3], "0"), "{stat}");
}

/// A regression test: each build left a thread and two descriptors behind, for as long as the server that its
/// compiler had started lived.
#[test]
fn a_server_that_a_compiler_starts_costs_no_resources() {
    alone(
        &[],
        "children::a_server_that_a_compiler_starts_costs_no_resources",
        || {
            let dir = Dir::new();
            let source = dir.write("plugin.txt", text(1));
            let body = r#"sleep 1000 & echo $! >> "$1.pids"; echo output; cp "$1" "$2""#;
            let reloader = text_reloader(scripted(&dir, &source, body));
            reloader.start().unwrap();
            let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
            let (fds, threads) = (count("fd"), count("task"));
            for number in 2..=6 {
                dir.write("plugin.txt", text(number));
                await_version(&reloader, number);
            }
            await_until("the threads of the builds end", || count("task") <= threads);
            // The watching thread opens a file now and then.
            await_until("the descriptors of the builds are closed", || count("fd") <= fds);
            for pid in fs::read_to_string(dir.at("plugin.txt.pids")).unwrap().lines() {
                assert!(is_alive(pid.parse().unwrap()), "the server was killed");
                Command::new("kill").arg(pid).status().unwrap();
            }
        },
    );
}

/// When a host ends, its build ends too: no one waits for it any more.
#[test]
fn a_build_ends_with_its_host() {
    const DIR: &str = "DYNLOAD_TEST_DIR";
    if let Some(dir) = std::env::var_os(DIR) {
        let source = Path::new(&dir).join("plugin.txt");
        let script = Path::new(&dir).join("build");
        let config =
            text_config(&source).with_builder(Builder::Command(BuildCommand::new(script).args(["{src}"])));
        text_reloader(config).start().unwrap();
        return;
    }
    let dir = Dir::new();
    dir.write("plugin.txt", text(1));
    script(
        &dir,
        "build",
        r#"echo $$ > "$1.new"; mv "$1.new" "$1.pid"; exec sleep 1000"#,
    );
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "children::a_build_ends_with_its_host"])
        .env(DIR, dir.path())
        .spawn()
        .unwrap();
    await_until("the build is running", || dir.at("plugin.txt.pid").exists());
    let pid = fs::read_to_string(dir.at("plugin.txt.pid")).unwrap();
    let pid = pid.trim().parse().unwrap();
    assert!(is_alive(pid));
    Command::new("kill").arg(host.id().to_string()).status().unwrap();
    host.wait().unwrap();
    await_until("the build has ended", || !is_alive(pid));
}
