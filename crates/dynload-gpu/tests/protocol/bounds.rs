//! The bounds of frames, exactly.

use super::{answer_bytes, frames, request_bytes};
use dynload_caps::GpuKind;
use dynload_gpu::protocol::{Answer, LENGTH, MAX_ANSWER, MAX_REQUEST, Request, VERSION, WINDOW};
use dynload_sandbox::gpu::{
    Binding, BindingInfo, BindingKind, Command, Device, Dispatch, KernelInfo, MAX_DISPATCHES,
    MAX_MESSAGE_BYTES, PIECE, Reply,
};

#[test]
fn the_longest_frames_are_accepted_and_longer_ones_are_not() {
    let dispatches = |count: u32, bindings: usize| {
        let binding = Binding {
            binding: 0,
            buffer: 0,
            at: 0,
            size: 4,
        };
        let dispatch = Dispatch {
            kernel: 0,
            workgroups: [1; 3],
            bindings: vec![binding; bindings],
        };
        vec![dispatch; count as usize]
    };
    let is_accepted = |request: &Request<'_>| {
        let frames = frames(&request_bytes(request), &[1 << 20], MAX_REQUEST);
        frames.len() == 1 && Request::decode(&frames[0], &mut Vec::new()).is_ok()
    };
    let submit = |list: &[Dispatch]| is_accepted(&Request::Command(Command::Submit(list)));
    assert!(submit(&dispatches(MAX_DISPATCHES, 20)));
    assert!(!submit(&dispatches(MAX_DISPATCHES + 1, 0)) && !submit(&dispatches(1, 21)));

    let text = "x".repeat((1 << 20) + 1);
    let kernel = |source: usize, entry_point: usize| {
        is_accepted(&Request::Command(Command::CreateKernel {
            kernel: 0,
            source: &text[..source],
            entry_point: &text[..entry_point],
        }))
    };
    assert!(kernel(1 << 20, 255));
    assert!(!kernel((1 << 20) + 1, 255) && !kernel(1 << 20, 256));

    let bytes = vec![0; PIECE as usize + 1];
    let write = |bytes: &[u8]| {
        is_accepted(&Request::Command(Command::Write {
            buffer: 0,
            at: 0,
            bytes,
        }))
    };
    assert!(write(&bytes[1..]) && !write(&bytes));

    let is_heard = |answer: &Answer<'_>| {
        let frames = frames(&answer_bytes(answer), &[1 << 20], MAX_ANSWER);
        frames.len() == 1 && Answer::decode(&frames[0]).is_ok()
    };
    let data = |bytes| is_heard(&Answer::Reply(Reply::Data(bytes)));
    assert!(data(&bytes[1..]) && !data(&bytes) && !data(&[]));
    let shared = |from, size| is_heard(&Answer::Shared { from, size });
    assert!(shared(WINDOW - 4, 4) && !shared(WINDOW - 3, 4) && !shared(0, 0));
    assert!(shared(0, PIECE) && !shared(0, PIECE + 1) && !shared(u32::MAX, 1));
    let invalid = |length: u32| is_heard(&Answer::Reply(Reply::Invalid(&text[..length as usize])));
    assert!(invalid(MAX_MESSAGE_BYTES) && !invalid(MAX_MESSAGE_BYTES + 1));
    let hello = |count| {
        let device = Device {
            kind: GpuKind::Other,
            name: "x".repeat(256),
        };
        is_heard(&Answer::Hello {
            version: VERSION,
            devices: vec![device; count],
        })
    };
    assert!(hello(64) && !hello(65));
}

#[test]
fn a_kernel_that_could_not_be_counted_is_refused() {
    let binding = |binding, kind| BindingInfo {
        binding,
        kind,
        min_size: 4,
    };
    let is_heard = |workgroup_size, bindings: Vec<BindingInfo>| {
        let info = KernelInfo {
            workgroup_size,
            bindings,
        };
        Answer::decode(&answer_bytes(&Answer::Reply(Reply::Kernel(info)))[LENGTH..]).is_ok()
    };
    assert!(is_heard([256, 1, 1], vec![]));
    for size in [
        [0, 1, 1],
        [257, 1, 1],
        [16, 17, 1],
        [u32::MAX, u32::MAX, 2],
        [1 << 31, 2, 1],
    ] {
        assert!(!is_heard(size, vec![]), "{size:?}");
    }
    let many = |count, kind| (0..count).map(|n| binding(n, kind)).collect::<Vec<_>>();
    assert!(
        is_heard([1; 3], many(8, BindingKind::Storage)) && is_heard([1; 3], many(12, BindingKind::Uniform))
    );
    assert!(!is_heard([1; 3], many(9, BindingKind::ReadOnlyStorage)));
    assert!(!is_heard([1; 3], many(13, BindingKind::Uniform)));
    for order in [[1, 0], [1, 1]] {
        assert!(!is_heard(
            [1; 3],
            order.map(|n| binding(n, BindingKind::Storage)).to_vec()
        ));
    }
}
