//! `dynload.process_run`.

use super::guest::{errno::*, *};
use dynload_caps::ProgramScope;
use dynload_sandbox::*;
use std::time::{Duration, Instant};

fn world(limits: Limits) -> Sandbox {
    let mut scopes = Scopes::none();
    for program in [
        "/bin/cat",
        "/bin/sh",
        "/bin/sleep",
        "/usr/bin/env",
        "/bin/echo",
        "/does/not/exist",
        "/etc/passwd",
    ] {
        // Not absolute on Windows, where the tests with these programs do not run.
        scopes.programs.extend(ProgramScope::new(program));
    }
    let capabilities = Capabilities::PROCESS | Capabilities::CONSOLE;
    Sandbox::new(limits)
        .with_capabilities(capabilities)
        .with_scopes(scopes)
}

/// Writes a request into the guest's memory, with `room` bytes each for output and errors.
pub(crate) fn request(guest: &mut Guest, program: &str, args: &[&str], input: &[u8], room: u32) -> i64 {
    const AT: u32 = 40_000;
    let (program_at, args_at, input_at, output_at, errors_at) = (41_000, 42_000, 50_000, 100_000, 180_000);
    let args: String = args.iter().map(|arg| format!("{arg}\0")).collect();
    guest.put(program_at, program.as_bytes());
    guest.put(args_at, args.as_bytes());
    guest.put(input_at, input);
    let words = [
        (program_at, program.len() as u32),
        (args_at, args.len() as u32),
        (input_at, input.len() as u32),
        (output_at, room),
        (errors_at, room),
    ];
    for (n, (ptr, len)) in words.into_iter().enumerate() {
        guest.put(AT + n as u32 * 8, &ptr.to_le_bytes());
        guest.put(AT + n as u32 * 8 + 4, &len.to_le_bytes());
    }
    AT.into()
}

/// Runs a program. Returns its status, the number of bytes of output, the output, and the number of bytes of errors.
pub(crate) fn run_program(
    guest: &mut Guest,
    program: &str,
    args: &[&str],
    input: &[u8],
    room: u32,
) -> (i32, u32, Vec<u8>, u32) {
    let at = request(guest, program, args, input, room);
    assert_eq!(guest.call("process_run", &[at]), SUCCESS);
    let at = at as u32;
    let len = guest.u32(at + 44);
    let output = guest.bytes(100_000, len.min(room));
    (guest.u32(at + 40) as i32, len, output, guest.u32(at + 48))
}

#[test]
#[cfg_attr(windows, ignore = "it runs programs of Unix")]
fn a_c_guest_runs_programs() {
    let module = c_program("process", &[]);
    let mut sandbox = world(Limits::DEFAULT);
    let mut run = |args: &[&str]| run(&mut sandbox, &module, args);
    assert_eq!(
        run(&["/bin/cat", "through the cat"]),
        (0, "0|15|through the cat|0|".into())
    );
    // Arguments are passed unchanged: no shell interprets them.
    assert_eq!(
        run(&["/bin/echo", "", "$HOME", "*", "a  b", ""]),
        (0, "0|14|$HOME * a  b \n|0|".into())
    );
    assert_eq!(run(&["/usr/bin/env", ""]), (0, "0|0||0|".into()));
    let script = "echo oops >&2; pwd; exit 3";
    assert_eq!(
        run(&["/bin/sh", "", "-c", script]),
        (0, "3|2|/\n|5|oops\n".into())
    );
    // Ended by a signal: 128 plus its number.
    assert_eq!(run(&["/bin/sh", "", "-c", "kill -9 $$"]), (0, "137|0||0|".into()));
    assert_eq!(run(&["/does/not/exist", ""]).0, 44);
    assert_eq!(run(&["/etc/passwd", ""]).0, 2);
    for unlisted in ["/bin/ls", "cat", "/bin/../bin/cat", "//bin/cat", "/bin/cat/", ""] {
        assert_eq!(run(&[unlisted, ""]).0, 76, "{unlisted}");
    }
    sandbox.revoke(Capabilities::PROCESS);
    assert_eq!(super::guest::run(&mut sandbox, &module, &["/bin/cat", ""]).0, 76);
}

#[test]
#[cfg_attr(windows, ignore = "it runs programs of Unix")]
fn more_output_than_the_guest_has_room_for() {
    let mut guest = Guest::new(&world(Limits::DEFAULT));
    let script =
        "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done";
    let (status, len, output, _) = run_program(&mut guest, "/bin/sh", &["-c", script], b"", 100);
    assert_eq!((status, len), (0, 3000 * 41));
    assert_eq!(
        output,
        [&b"0123456789012345678901234567890123456789\n"[..]; 3].concat()[..100]
    );
    // A large input, and a program that reads none of it.
    let input = vec![b'x'; 40_000];
    let (status, len, output, _) = run_program(&mut guest, "/bin/cat", &[], &input, 60_000);
    assert_eq!((status, len), (0, 40_000));
    assert_eq!(output, input);
    assert_eq!(
        run_program(&mut guest, "/bin/sh", &["-c", "exit 5"], &input, 0).0,
        5
    );
}

#[test]
#[cfg_attr(windows, ignore = "it runs programs of Unix")]
fn the_deadline_kills_the_children_too() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("alive");
    let mut guest = Guest::new(&world(Limits::DEFAULT.with_time(Duration::from_millis(2_000))));
    // A child in the background that would write forever.
    let script = format!(
        "(while :; do echo x >> {}; sleep 0.01; done) & sleep 1000",
        mark.display()
    );
    let at = request(
        &mut guest,
        "/bin/sh",
        &["-c", &format!("PATH=/bin:/usr/bin; {script}")],
        b"",
        0,
    );
    let before = Instant::now();
    let error = guest.try_call("process_run", &[at]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    assert!(before.elapsed() < Duration::from_secs(60));
    let size = std::fs::metadata(&mark).unwrap().len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(std::fs::metadata(&mark).unwrap().len(), size);
}

#[test]
#[cfg_attr(windows, ignore = "it runs programs of Unix")]
fn background_processes_end_with_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("alive");
    let mut guest = Guest::new(&world(Limits::DEFAULT));
    let script = format!(
        "PATH=/bin:/usr/bin; (while :; do echo x >> {0}; sleep 0.01; done) & while [ ! -s {0} ]; do sleep 0.01; done",
        mark.display()
    );
    assert_eq!(run_program(&mut guest, "/bin/sh", &["-c", &script], b"", 10).0, 0);
    let size = std::fs::metadata(&mark).unwrap().len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(std::fs::metadata(&mark).unwrap().len(), size);
}

#[test]
#[cfg_attr(windows, ignore = "it runs programs of Unix")]
fn hostile_requests() {
    let sandbox = world(Limits::DEFAULT);
    for n in 0..5 {
        for (ptr, len) in [(MEMORY, 1), (u32::MAX, 1), (0, u32::MAX), (MEMORY - 1, 2)] {
            let mut guest = Guest::new(&sandbox);
            let at = request(&mut guest, "/bin/cat", &["-"], b"x", 10) as u32;
            guest.put(at + n * 8, &ptr.to_le_bytes());
            guest.put(at + n * 8 + 4, &len.to_le_bytes());
            let error = guest.try_call("process_run", &[at.into()]).unwrap_err();
            assert!(is_out_of_bounds(&error), "{n} {ptr:x} {len:x}: {error}");
        }
    }
    for at in [MEMORY - 51, MEMORY, u32::MAX] {
        let error = Guest::new(&sandbox)
            .try_call("process_run", &[(at as i32).into()])
            .unwrap_err();
        assert!(is_out_of_bounds(&error), "{at:x}: {error}");
    }
    let mut guest = Guest::new(&sandbox);
    let at = request(&mut guest, "/bin/cat", &[], b"", 0) as u32;
    // Arguments that are unterminated, not UTF-8, too many, too long.
    for (bytes, wanted) in [
        (&b"abc"[..], INVAL),
        (&[0xff, 0][..], 25),
        (&[0; 2000][..], TOO_BIG),
    ] {
        guest.put(60_000, bytes);
        guest.put(at + 8, &60_000_u32.to_le_bytes());
        guest.put(at + 12, &(bytes.len() as u32).to_le_bytes());
        assert_eq!(guest.call("process_run", &[at.into()]), wanted);
    }
    guest.put(at + 8, &0_u32.to_le_bytes());
    guest.put(at + 12, &200_000_u32.to_le_bytes());
    assert_eq!(guest.call("process_run", &[at.into()]), TOO_BIG);
}

/// `/bin/cat /proc/self/fd/9` used to read a file that some library of the host had opened without
/// close-on-exec.
#[cfg(target_os = "linux")]
#[test]
fn a_program_inherits_no_descriptor() {
    use rustix::io::{FdFlags, fcntl_setfd};
    use std::os::fd::AsRawFd;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "secret").unwrap();
    let secret = std::fs::File::open(dir.path().join("secret")).unwrap();
    fcntl_setfd(&secret, FdFlags::empty()).unwrap();
    let mut guest = Guest::new(&world(Limits::DEFAULT));
    let path = format!("/proc/self/fd/{}", secret.as_raw_fd());
    let (status, len, _, errors) = run_program(&mut guest, "/bin/cat", &[&path], b"", 100);
    assert_eq!((status, len), (1, 0));
    assert!(errors > 0);
    let script = "PATH=/bin:/usr/bin; ls /proc/$$/fd; cat /proc/$$/status";
    let (_, len, output, _) = run_program(&mut guest, "/bin/sh", &["-c", script], b"", 9000);
    let text = String::from_utf8(output[..len as usize].to_vec()).unwrap();
    assert!(text.starts_with("0\n1\n2\nName:"), "{text}");
    // This host ignores SIGPIPE, as every program in Rust does.
    assert!(text.contains("SigIgn:\t0000000000000000"), "{text}");
}

/// A child that called `setsid`, and one whose parent had exited, used to outlive the program and its deadline.
#[cfg(target_os = "linux")]
#[test]
fn daemons_end_with_the_program() {
    let dir = tempfile::tempdir().unwrap();
    for (n, leave) in ["setsid", "setsid -f", "env -i setsid -f"]
        .into_iter()
        .enumerate()
    {
        let mark = dir.path().join(n.to_string());
        let daemon = format!(
            "PATH=/bin:/usr/bin; {leave} /bin/sh -c 'while :; do echo x >> {0}; /bin/sleep 0.01; done' >/dev/null 2>&1 &
            while [ ! -s {0} ]; do sleep 0.01; done;",
            mark.display()
        );
        let still = || {
            let size = std::fs::metadata(&mark).unwrap().len();
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(std::fs::metadata(&mark).unwrap().len(), size, "{leave}");
        };
        let mut guest = Guest::new(&world(Limits::DEFAULT));
        assert_eq!(run_program(&mut guest, "/bin/sh", &["-c", &daemon], b"", 10).0, 0);
        still();
        std::fs::remove_file(&mark).unwrap();
        let mut guest = Guest::new(&world(Limits::DEFAULT.with_time(Duration::from_millis(2_000))));
        let at = request(
            &mut guest,
            "/bin/sh",
            &["-c", &format!("{daemon} sleep 1000")],
            b"",
            0,
        );
        let error = guest.try_call("process_run", &[at]).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Time), "{error}");
        still();
    }
}

/// The host ignores SIGCHLD: the program runs and is waited for. Its status is known from Linux 6.15 on; before, it is -1,
/// which reports this.
#[cfg(target_os = "linux")]
#[test]
fn a_host_that_ignores_sigchld() {
    alone(
        &["--ignore-signal=CHLD"],
        "process::a_host_that_ignores_sigchld",
        || {
            let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
            let mut numbers = release
                .split('.')
                .map(|number| number.parse::<u32>().unwrap_or(0));
            let is_known = (numbers.next(), numbers.next()) >= (Some(6), Some(15));
            let expected = if is_known { 0 } else { -1 };
            let mut guest = Guest::new(&world(Limits::DEFAULT));
            for _ in 0..5 {
                let (status, len, output, _) = run_program(&mut guest, "/bin/cat", &[], b"all of it", 100);
                assert_eq!((status, len, &output[..9]), (expected, 9, &b"all of it"[..]));
                let at = request(&mut guest, "/does/not/exist", &[], b"", 0);
                assert_eq!(guest.call("process_run", &[at]), NOENT);
            }
        },
    );
}
