//! Shaders that hang, starve or crash a driver. The host lives, and the next session works.

use crate::{
    compute::DOUBLE,
    subject::{Answer, Marked, STORAGE, Subject, bind, bytes, words},
};
use dynload_sandbox::gpu::{Command, Lost, PIECE};
use std::time::{Duration, Instant};

/// How long a shader may run before its session is dropped.
const DEADLINE: Duration = Duration::from_millis(100);

/// How long a function may take that does not wait, on a loaded machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Computes something in a new session.
fn works(gpu: &Marked) {
    let mut subject = gpu.open();
    assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
    assert!(matches!(subject.kernel(0, DOUBLE), Answer::Kernel(_)));
    subject.write(0, 0, &bytes(&[21; 64]));
    subject.dispatch(0, [1, 1, 1], &[bind(0, 0, 256)]);
    assert_eq!(words(&subject.read(0, 0, 256)), [42; 64]);
}

/// Runs something hostile until the deadline, drops the session, and checks that nothing has suffered.
fn survives(mark: &'static str, attack: impl FnOnce(&mut Subject)) -> Option<Result<Option<Answer>, Lost>> {
    let gpu = Marked::start(mark)?;
    let mut beside = gpu.open();
    let mut subject = gpu.open();
    attack(&mut subject);
    let start = Instant::now();
    let outcome = subject.answer_within(DEADLINE);
    drop(subject);
    assert!(start.elapsed() < DEADLINE + AT_ONCE, "{:?}", start.elapsed());
    works(&gpu);
    assert_eq!(
        beside.finish(),
        Ok(Answer::Ready),
        "a session that was open before"
    );
    drop(beside);
    gpu.end();
    Some(outcome)
}

fn compile(subject: &mut Subject, source: &str) {
    subject.send(&Command::CreateKernel {
        kernel: 0,
        source,
        entry_point: "main",
    });
}

#[test]
fn a_loop_without_end_in_every_group() {
    const LOOP: &str = "
        @group(0) @binding(0) var<storage, read_write> values: array<u32>;
        @compute @workgroup_size(256)
        fn main() { loop { values[0] += 1u; if (values[0] == 0xffffffffu) { break; } } }
    ";
    let outcome = survives("loop", |subject| {
        assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
        assert!(matches!(subject.kernel(0, LOOP), Answer::Kernel(_)));
        subject.dispatch(0, [65_535, 65_535, 1], &[bind(0, 0, 256)]);
        subject.send(&Command::Wait);
    });
    // It has not finished, and has not ended either.
    assert!(outcome.is_none_or(|outcome| outcome == Ok(None)));
}

#[test]
fn an_expression_that_is_too_deep() {
    for terms in [20_000, 130_000] {
        let sum = "a[0] + ".repeat(terms) + "a[1]";
        let source = format!(
            "@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n\
             @compute @workgroup_size(1) fn main() {{ a[0] = {sum}; }}"
        );
        // Whether its compiler takes long or crashes is up to the driver.
        survives("deep", |subject| compile(subject, &source));
    }
}

#[test]
fn nested_expressions() {
    let source = format!(
        "@compute @workgroup_size(1) fn main() {{ let a = {}1u{}; }}",
        "(".repeat(500_000),
        ")".repeat(500_000)
    );
    survives("nested", |subject| compile(subject, &source));
}

#[test]
fn functions_that_call_each_other_twice() {
    let mut source = String::from("fn f0(x: u32) -> u32 { return x * 3u + 1u; }\n");
    for n in 1..=16 {
        let before = n - 1;
        source += &format!("fn f{n}(x: u32) -> u32 {{ return f{before}(x) ^ f{before}(x + {n}u); }}\n");
    }
    source += "@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n\
               @compute @workgroup_size(1) fn main() { a[0] = f16(a[0]); }";
    survives("twice", |subject| compile(subject, &source));
}

#[test]
fn a_large_private_array() {
    const SOURCE: &str = "
        var<private> large: array<u32, 1000>;
        @group(0) @binding(0) var<storage, read_write> a: array<u32>;
        @compute @workgroup_size(1) fn main() { large[a[0]] = 1u; a[1] = large[a[2]]; }
    ";
    survives("private", |subject| compile(subject, SOURCE));
}

#[test]
fn buffers_beyond_the_limit_are_out_of_memory() {
    let Some(gpu) = Marked::start("buffers") else {
        return;
    };
    let mut subject = Subject::open(&gpu.workers, 64 << 20);
    let outcomes: Vec<Answer> = (0..16).map(|n| subject.buffer(n, 256 << 20, STORAGE)).collect();
    assert_eq!(outcomes[0], Answer::Ready);
    assert_eq!(outcomes[15], Answer::OutOfMemory);
    // What was created before still works, and what is freed can be used again.
    subject.write(0, 0, &[7; 4]);
    assert_eq!(subject.read(0, 0, 8), [7, 7, 7, 7, 0, 0, 0, 0]);
    subject.send(&Command::FreeBuffer(0));
    assert_eq!(subject.buffer(0, 128 << 20, STORAGE), Answer::Ready);
    works(&gpu);
    drop(subject);
    gpu.end();
}

#[test]
fn writes_without_a_submission_do_not_pile_up() {
    let Some(gpu) = Marked::start("writes") else {
        return;
    };
    let mut subject = gpu.open();
    assert_eq!(subject.buffer(0, 4 << 20, STORAGE), Answer::Ready);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", gpu.process())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    let before = resident();
    let bytes = vec![7; 4 << 20];
    for _ in 0..200 {
        subject.write(0, 0, &bytes);
        pass_on(&mut subject);
    }
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    let grown = resident() - before;
    assert!(grown < 64 << 20, "{grown}");
}

/// Passes everything on that was sent.
fn pass_on(subject: &mut Subject) {
    while !subject.0.is_sent().unwrap() {
        subject.0.wait(Duration::from_millis(10)).unwrap();
    }
}

/// Each write needs a resource of the driver, however few its bytes are.
#[test]
fn small_writes_without_a_submission_do_not_pile_up() {
    let Some(gpu) = Marked::start("small writes") else {
        return;
    };
    let mut subject = Subject::open(&gpu.workers, 64 << 20);
    assert_eq!(subject.buffer(0, 1 << 20, STORAGE), Answer::Ready);
    for n in 0..250_000 {
        subject.write(0, n * 4, &bytes(&[n as u32]));
        pass_on(&mut subject);
    }
    assert_eq!(words(&subject.read(0, 999_996, 4)), [249_999]);
    drop(subject);
    gpu.end();
}

/// What the sandbox counts as free is free in the device, also if a write or a dispatch still uses it.
#[test]
fn memory_that_is_freed_in_use_can_be_used_again() {
    const SIZE: u64 = 64 << 20;
    let Some(gpu) = Marked::start("freed") else {
        return;
    };
    let mut subject = Subject::open(&gpu.workers, SIZE);
    assert!(matches!(subject.kernel(0, DOUBLE), Answer::Kernel(_)));
    for n in 0..40 {
        assert_eq!(subject.buffer(n % 3, SIZE, STORAGE), Answer::Ready, "{n}");
        subject.write(n % 3, 0, &bytes(&[n]));
        if n % 2 == 0 {
            subject.dispatch(0, [1, 1, 1], &[bind(0, n % 3, SIZE)]);
        }
        subject.send(&Command::FreeBuffer(n % 3));
        pass_on(&mut subject);
    }
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    drop(subject);
    gpu.end();
}

#[test]
fn a_reader_that_does_not_read_is_not_waited_for() {
    let outcome = survives("unread", |subject| {
        assert_eq!(subject.buffer(0, 64 << 20, STORAGE), Answer::Ready);
        for _ in 0..8 {
            subject.send(&Command::Read {
                buffer: 0,
                at: 0,
                size: 64 << 20,
            });
        }
        // The worker waits until it can send the rest.
    });
    assert!(outcome.is_none_or(
        |outcome| matches!(outcome, Ok(Some(Answer::Data(data))) if data.len() == PIECE as usize)
    ));
}

#[test]
fn a_session_that_does_not_keep_to_the_interface_is_lost() {
    // The sandbox checks all of this; a worker does not rely on it.
    let Some(gpu) = Marked::start("interface") else {
        return;
    };
    for command in [
        Command::FreeBuffer(256),
        Command::Write {
            buffer: 5,
            at: 0,
            bytes: &[0; 4],
        },
        Command::Write {
            buffer: 0,
            at: 254,
            bytes: &[0; 4],
        },
        Command::Read {
            buffer: 0,
            at: 256,
            size: 4,
        },
        Command::Read {
            buffer: 0,
            at: u64::MAX,
            size: 4,
        },
        Command::CreateBuffer {
            buffer: 1,
            size: 1 << 40,
            usage: STORAGE,
        },
        Command::Submit(&[dynload_sandbox::gpu::Dispatch {
            kernel: 0,
            workgroups: [1, 1, 1],
            bindings: Vec::new(),
        }]),
    ] {
        let mut subject = gpu.open();
        assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
        subject.send(&command);
        let _ = subject.0.send(&Command::Wait);
        assert_eq!(subject.answer(), Err(Lost), "{command:?}");
    }
    works(&gpu);
    gpu.end();
}
