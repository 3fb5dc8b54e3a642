//! The decoders of both sides, over everything that can arrive.
#![cfg(unix)]

mod bounds;

use dynload_caps::GpuKind;
use dynload_gpu::protocol::{
    Answer, Conversation, Frames, LENGTH, MAX_ANSWER, MAX_REQUEST, Request, VERSION, WINDOW, cut,
};
use dynload_sandbox::gpu::{
    Binding, BindingInfo, BindingKind, BufferUsage, Command, Device, Dispatch, KernelInfo, MAX_BUFFERS,
    MAX_KERNELS, PIECE, Reply,
};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::RngSeed};
use std::io::Read;

/// Encodes a frame, with its length.
fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut head = vec![1, 2, 3];
    let tail = encode(&mut head);
    [head, tail].concat()
}

fn request_bytes(request: &Request<'_>) -> Vec<u8> {
    encoded(|head| request.encode(head).to_vec())
}

fn answer_bytes(answer: &Answer<'_>) -> Vec<u8> {
    encoded(|head| answer.encode(head).to_vec())
}

/// Lets bytes arrive in portions, and returns the frames until an error or the end.
fn frames(mut bytes: &[u8], portions: &[usize], longest: usize) -> Vec<Vec<u8>> {
    let mut frames = Frames::new(longest);
    let mut found = Vec::new();
    let mut portions = portions.iter().cycle();
    let mut received = 0;
    loop {
        match frames.whole() {
            Ok(Some(length)) => {
                let frame = frames.take().unwrap().unwrap();
                assert_eq!(frame.len(), length);
                found.push(frame.to_vec());
            }
            Ok(None) => {
                assert_eq!(frames.take(), Ok(None));
                let most = *portions.next().unwrap();
                let count = frames.fill(|space| {
                    assert!(!space.is_empty());
                    let most = most.min(space.len());
                    (&mut bytes).take(most as u64).read(space)
                });
                let count = count.unwrap();
                received += count;
                assert!(frames.capacity() <= (2 * received).max(16 << 10), "{received}");
                if count == 0 {
                    return found;
                }
            }
            Err(_) => {
                assert!(frames.take().is_err());
                return found;
            }
        }
    }
}

fn device() -> impl Strategy<Value = Device> {
    let kinds = select(vec![
        GpuKind::Cpu,
        GpuKind::Integrated,
        GpuKind::Discrete,
        GpuKind::Virtual,
        GpuKind::Other,
    ]);
    (kinds, ".{0,60}").prop_map(|(kind, name)| Device { kind, name })
}

fn dispatch() -> impl Strategy<Value = Dispatch> {
    let binding = (any::<u32>(), 0..MAX_BUFFERS, any::<u64>(), any::<u64>());
    let binding = binding.prop_map(|(binding, buffer, at, size)| Binding {
        binding,
        buffer,
        at,
        size,
    });
    (0..MAX_KERNELS, any::<[u32; 3]>(), vec(binding, 0..=20)).prop_map(|(kernel, workgroups, bindings)| {
        Dispatch {
            kernel,
            workgroups,
            bindings,
        }
    })
}

/// The parts of a request, which borrows from them.
#[derive(Debug, Clone)]
struct Parts {
    which: u8,
    number: u32,
    other: [u64; 2],
    text: String,
    name: String,
    bytes: Vec<u8>,
    device: Device,
    dispatches: Vec<Dispatch>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let fields = (
        0..11_u8,
        0..MAX_KERNELS,
        any::<[u64; 2]>(),
        ".{0,300}",
        "[a-z_é]{0,60}",
    );
    (
        fields,
        vec(any::<u8>(), 0..2000),
        device(),
        vec(dispatch(), 0..20),
    )
        .prop_map(
            |((which, number, other, text, name), bytes, device, dispatches)| Parts {
                which,
                number,
                other,
                text,
                name,
                bytes,
                device,
                dispatches,
            },
        )
}

impl Parts {
    fn request(&self) -> Request<'_> {
        let [first, second] = self.other;
        Request::Command(match self.which {
            0 => {
                return Request::Open {
                    index: self.number,
                    device: self.device.clone(),
                    max_memory_bytes: first,
                    has_window: second & 1 != 0,
                };
            }
            9 => {
                return Request::WriteShared {
                    buffer: self.number,
                    at: first,
                    from: second as u32 % (WINDOW - PIECE),
                    size: (second >> 32) as u32 % PIECE + 1,
                };
            }
            10 => {
                return Request::ReadShared {
                    buffer: self.number,
                    at: first,
                    size: second,
                };
            }
            1 => Command::CreateBuffer {
                buffer: self.number,
                size: first,
                usage: BufferUsage {
                    storage: second & 1 != 0,
                    uniform: second & 2 != 0,
                },
            },
            2 => Command::CreateKernel {
                kernel: self.number,
                source: &self.text,
                entry_point: &self.name,
            },
            3 => Command::Write {
                buffer: self.number,
                at: first,
                bytes: &self.bytes,
            },
            4 => Command::Submit(&self.dispatches),
            5 => Command::Wait,
            6 => Command::Read {
                buffer: self.number,
                at: first,
                size: second,
            },
            7 => Command::FreeBuffer(self.number),
            _ => Command::FreeKernel(self.number),
        })
    }
}

fn kernel_info() -> impl Strategy<Value = KernelInfo> {
    let kinds = select(vec![
        BindingKind::Uniform,
        BindingKind::ReadOnlyStorage,
        BindingKind::Storage,
    ]);
    let bindings = proptest::collection::btree_map(any::<u32>(), (kinds, any::<u64>()), 0..=8);
    let sizes = select(vec![[1, 1, 1], [256, 1, 1], [4, 8, 8], [1, 1, 64]]);
    (sizes, bindings).prop_map(|(workgroup_size, bindings)| KernelInfo {
        workgroup_size,
        bindings: bindings
            .into_iter()
            .map(|(binding, (kind, min_size))| BindingInfo {
                binding,
                kind,
                min_size,
            })
            .collect(),
    })
}

/// Returns a configuration with the same cases in every run, or many more and new ones if `DYNLOAD_PROVE` is set.
fn config() -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var_os("DYNLOAD_PROVE") {
        Some(_) => (50_000, RngSeed::Random),
        None => (256, RngSeed::Fixed(0x6479_6e6c_6f61_6402)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_arrive_as_they_were_sent(
        all in vec(parts(), 1..6),
        portions in vec(1..5000_usize, 1..5),
    ) {
        let bytes: Vec<u8> = all.iter().flat_map(|parts| request_bytes(&parts.request())).collect();
        let frames = frames(&bytes, &portions, MAX_REQUEST);
        prop_assert_eq!(frames.len(), all.len());
        let mut dispatches = Vec::new();
        for (frame, parts) in frames.iter().zip(&all) {
            prop_assert_eq!(Request::decode(frame, &mut dispatches), Ok(parts.request()));
        }
    }

    #[test]
    fn answers_arrive_as_they_were_sent(
        devices in vec(device(), 0..6),
        info in kernel_info(),
        message in ".{0,300}",
        data in vec(any::<u8>(), 1..2000),
        portions in vec(1..5000_usize, 1..5),
    ) {
        let all = [
            Answer::Hello { version: VERSION, devices },
            Answer::Hello { version: VERSION + 1, devices: Vec::new() },
            Answer::Shared { from: 0, size: WINDOW.min(PIECE) },
            Answer::Shared { from: WINDOW - 1, size: 1 },
            Answer::Reply(Reply::Ready),
            Answer::Reply(Reply::OutOfMemory),
            Answer::Reply(Reply::Kernel(info)),
            Answer::Reply(Reply::Invalid(&message)),
            Answer::Reply(Reply::Data(&data)),
        ];
        let bytes: Vec<u8> = all.iter().flat_map(answer_bytes).collect();
        let frames = frames(&bytes, &portions, MAX_ANSWER);
        prop_assert_eq!(frames.len(), all.len());
        for (frame, answer) in frames.iter().zip(all) {
            prop_assert_eq!(Answer::decode(frame), Ok(answer));
        }
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(
        bytes in vec(any::<u8>(), 0..4000),
        portions in vec(1..500_usize, 1..5),
    ) {
        for longest in [MAX_REQUEST, MAX_ANSWER, 100] {
            for frame in frames(&bytes, &portions, longest) {
                prop_assert!((1..=longest).contains(&frame.len()));
            }
        }
    }

    #[test]
    fn any_frame_is_decoded_or_refused(tag in 0..14_u8, mut frame in vec(any::<u8>(), 0..600)) {
        frame.insert(0, tag);
        check(&frame);
    }

    #[test]
    fn a_damaged_frame_is_decoded_or_refused(
        parts in parts(),
        info in kernel_info(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut_at in any::<prop::sample::Index>(),
    ) {
        for frame in [request_bytes(&parts.request()), answer_bytes(&Answer::Reply(Reply::Kernel(info)))] {
            let mut frame = frame[LENGTH..].to_vec();
            let at = at.index(frame.len());
            frame[at] = byte;
            check(&frame);
            check(&frame[..cut_at.index(frame.len())]);
        }
    }

    #[test]
    fn a_worker_never_sends_more_than_was_asked_for(
        size in 1..100_000_u64,
        pieces in vec(1..20_000_usize, 1..20),
    ) {
        let mut conversation = Conversation::new(true);
        let is_shared = size % 2 == 0;
        conversation.ask(&match is_shared {
            true => Request::ReadShared { buffer: 0, at: 0, size },
            false => Request::Command(Command::Read { buffer: 0, at: 0, size }),
        });
        let mut heard = 0;
        for (n, piece) in pieces.into_iter().enumerate() {
            let data = vec![0; piece];
            let answer = match n % 3 {
                0 => Answer::Shared { from: 0, size: piece as u32 },
                _ => Answer::Reply(Reply::Data(&data)),
            };
            match conversation.hear(&answer) {
                Ok(()) if n % 3 == 0 && !is_shared => panic!("shared, but not asked for"),
                Ok(()) => heard += piece as u64,
                Err(_) => break,
            }
            prop_assert!(heard <= size);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters(text in ".{0,40}", most in 0..100_usize) {
        let cut = cut(&text, most);
        prop_assert!(text.starts_with(cut) && cut.len() <= most);
        prop_assert!(cut.len() == text.len() || cut.len() + 4 > most);
    }
}

/// Decodes a frame on both sides. What is decoded is the same again after it was encoded.
fn check(frame: &[u8]) {
    let mut dispatches = Vec::new();
    if let Ok(request) = Request::decode(frame, &mut dispatches) {
        let again = request_bytes(&request);
        assert_eq!(Request::decode(&again[LENGTH..], &mut Vec::new()), Ok(request));
    }
    if let Ok(answer) = Answer::decode(frame) {
        let again = answer_bytes(&answer);
        assert_eq!(Answer::decode(&again[LENGTH..]), Ok(answer));
    }
}
