//! Runs the fuzz targets over a fixed corpus: `cargo test --no-default-features`.

use dynload_fuzz::{Reached, gpu_frames, load_and_run, meter};
use dynload_gpu::protocol::{Answer, Request, VERSION};
use dynload_oracle::{guests, random};
use dynload_sandbox::gpu::{Command, Reply};

/// Returns pseudorandom bytes generated from a seed.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

fn rounds() -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        20_000
    } else {
        200
    }
}

#[test]
fn whole_and_damaged_modules_are_loaded_and_run() {
    let mut reached = std::collections::BTreeMap::new();
    for guest in ["exits", "fib", "coroutine"] {
        let whole = guests::wasm(guest).expect("a guest");
        assert_eq!(load_and_run(&whole), Reached::Ran, "{guest}");
    }
    for seed in 0..rounds() {
        let mut wasm = random::module(seed % 50);
        assert_eq!(load_and_run(&wasm), Reached::Ran);
        for pair in bytes(seed, 6).chunks(2) {
            let at = 8 + (usize::from(pair[0]) << 8 | usize::from(pair[1])) % (wasm.len() - 8);
            wasm[at] = pair[1];
        }
        *reached.entry(load_and_run(&wasm)).or_insert(0) += 1;
    }
    println!("{reached:?}");
    assert!(reached.len() > 1, "{reached:?}");
}

#[test]
fn programs_generated_from_any_bytes_are_metered_exactly() {
    let mut returned = meter(&[]);
    for seed in 0..rounds() {
        returned += meter(&bytes(seed, 50 + (seed as usize % 30) * 40));
    }
    println!("{returned} calls returned");
    assert!(returned > 100, "only {returned} calls returned");
}

#[test]
fn whole_and_damaged_frames_are_accepted_or_refused() {
    let answers = [
        Answer::Hello {
            version: VERSION,
            devices: Vec::new(),
        },
        Answer::Reply(Reply::Data(&[7; 1])),
        Answer::Shared { from: 9, size: 2 },
        Answer::Reply(Reply::Data(&[7; 3])),
        Answer::Reply(Reply::Data(&[7; 1])),
        Answer::Reply(Reply::Ready),
        Answer::Reply(Reply::Invalid("wgsl:1:1")),
    ];
    let requests = [
        Request::Command(Command::Wait),
        Request::Command(Command::Write {
            buffer: 1,
            at: 8,
            bytes: &[1; 300],
        }),
        Request::ReadShared {
            buffer: 1,
            at: 0,
            size: 4,
        },
        Request::WriteShared {
            buffer: 1,
            at: 4,
            from: 8,
            size: 4,
        },
        Request::Command(Command::CreateKernel {
            kernel: 2,
            source: "fn main() {}",
            entry_point: "main",
        }),
    ];
    let mut head = Vec::new();
    // The host has asked for 1, 2 and 4 bytes, to wait, and for a kernel.
    let mut streams = [vec![20, 0x3e], vec![20, 0x3e]];
    for answer in &answers {
        let tail = answer.encode(&mut head);
        streams[0].extend([&head, tail].concat());
    }
    for request in &requests {
        let tail = request.encode(&mut head);
        streams[1].extend([&head, tail].concat());
    }
    assert_eq!(gpu_frames(&streams[0]), answers.len());
    assert_eq!(gpu_frames(&streams[1]), requests.len());
    let mut accepted = 0;
    for seed in 0..rounds() * 50 {
        let mut stream = streams[seed as usize % 2].clone();
        for pair in bytes(seed, 6).chunks(2) {
            let at = usize::from(pair[0]) % stream.len();
            stream[at] = pair[1];
        }
        accepted += gpu_frames(&stream);
    }
    println!("{accepted} frames were accepted");
    assert!(accepted > 100, "only {accepted} frames were accepted");
}
