//! What kernels compute.

use crate::subject::{Answer, Marked, STORAGE, UNIFORM, bind, bytes, words};
use dynload_sandbox::gpu::{Binding, Command, Dispatch, PIECE};

pub(crate) const DOUBLE: &str = "
    @group(0) @binding(0) var<storage, read_write> values: array<u32>;

    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if (id.x < arrayLength(&values)) {
            values[id.x] = values[id.x] * 2u;
        }
    }
";

#[test]
fn each_dispatch_sees_what_the_earlier_ones_wrote() {
    let Some(gpu) = Marked::start("each_dispatch") else {
        return;
    };
    let mut subject = gpu.open();
    assert_eq!(subject.buffer(0, 4000, STORAGE), Answer::Ready);
    assert!(matches!(subject.kernel(0, DOUBLE), Answer::Kernel(_)));
    let numbers: Vec<u32> = (0..1000).collect();
    subject.write(0, 0, &bytes(&numbers));
    let dispatch = || Dispatch {
        kernel: 0,
        workgroups: [16, 1, 1],
        bindings: vec![bind(0, 0, 4000)],
    };
    subject.send(&Command::Submit(&[dispatch(), dispatch(), dispatch()]));
    // A write comes after what was submitted before it.
    subject.write(0, 0, &bytes(&[77]));
    subject.send(&Command::Submit(&[dispatch()]));
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    let mut expected: Vec<u32> = numbers.iter().map(|n| n * 16).collect();
    expected[0] = 154;
    assert_eq!(words(&subject.read(0, 0, 4000)), expected);
    // Reading waits for what was submitted, too.
    subject.send(&Command::Submit(&[dispatch()]));
    assert_eq!(words(&subject.read(0, 0, 4)), [308]);
}

#[test]
fn resources_are_parts_of_buffers() {
    const ADD: &str = "
        struct Settings { factor: u32, offset: u32 }
        @group(0) @binding(7) var<uniform> settings: Settings;
        @group(0) @binding(2) var<storage, read> input: array<u32>;
        @group(0) @binding(4) var<storage, read_write> output: array<u32>;

        @compute @workgroup_size(4, 2)
        fn main(@builtin(local_invocation_index) at: u32) {
            output[at] = input[at] * settings.factor + settings.offset + arrayLength(&output);
        }
    ";
    let Some(gpu) = Marked::start("resources") else {
        return;
    };
    let mut subject = gpu.open();
    assert_eq!(subject.buffer(0, 256, UNIFORM), Answer::Ready);
    assert_eq!(subject.buffer(1, 4096, STORAGE), Answer::Ready);
    assert_eq!(subject.buffer(255, 4096, STORAGE), Answer::Ready);
    let Answer::Kernel(info) = subject.kernel(63, ADD) else {
        panic!("it does not compile")
    };
    assert_eq!(info.workgroup_size, [4, 2, 1]);
    let bindings: Vec<(u32, u64)> = info.bindings.iter().map(|b| (b.binding, b.min_size)).collect();
    assert_eq!(bindings, [(2, 4), (4, 4), (7, 8)]);
    subject.write(0, 0, &bytes(&[3, 1000]));
    subject.write(1, 512, &bytes(&[1, 2, 3, 4, 5, 6, 7, 8]));
    let part = |binding, buffer, at, size| Binding {
        binding,
        buffer,
        at,
        size,
    };
    let bindings = [part(2, 1, 512, 32), part(4, 255, 256, 48), part(7, 0, 0, 8)];
    subject.dispatch(63, [1, 1, 1], &bindings);
    let mut expected = vec![0; 1024];
    for (n, word) in expected[64..72].iter_mut().enumerate() {
        *word = (n as u32 + 1) * 3 + 1000 + 12;
    }
    assert_eq!(words(&subject.read(255, 0, 4096)), expected);
}

#[test]
fn memory_is_zero_and_nothing_outside_of_a_resource_is_reached() {
    const SCRIBBLE: &str = "
        @group(0) @binding(0) var<storage, read_write> values: array<u32>;
        @group(0) @binding(1) var<storage, read_write> seen: array<u32, 2>;
        var<workgroup> shared_words: array<u32, 256>;

        @compute @workgroup_size(1)
        fn main(@builtin(workgroup_id) id: vec3<u32>) {
            // The first index after the resource, and far away from it.
            for (var n = 0u; n < 4u; n++) {
                seen[1] |= values[arrayLength(&values) + n * 16u];
                seen[1] |= values[0x3fffffffu - n];
                values[arrayLength(&values) + n * 16u] = 0xffffffffu;
                values[0x3fffffffu - n] = 0xffffffffu;
            }
            for (var n = 0u; n < 256u; n++) { seen[0] |= shared_words[n]; }
            shared_words[id.x] = 0xffffffffu;
        }
    ";
    let Some(gpu) = Marked::start("zero") else { return };
    let mut subject = gpu.open();
    for buffer in 0..3 {
        assert_eq!(subject.buffer(buffer, 1 << 20, STORAGE), Answer::Ready);
    }
    // Memory that is used again must not show what was in it.
    subject.write(2, 0, &[0xff; PIECE as usize]);
    subject.send(&Command::Wait);
    assert_eq!(subject.answer(), Ok(Answer::Ready));
    subject.send(&Command::FreeBuffer(2));
    assert_eq!(subject.buffer(2, 1 << 20, STORAGE), Answer::Ready);
    assert!(subject.read(2, 0, 1 << 20).iter().all(|byte| *byte == 0));

    assert!(matches!(subject.kernel(0, SCRIBBLE), Answer::Kernel(_)));
    let values = Binding {
        binding: 0,
        buffer: 0,
        at: 4096,
        size: 4096,
    };
    subject.dispatch(0, [64, 1, 1], &[values, bind(1, 1, 8)]);
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    for buffer in [1, 2] {
        assert!(
            subject
                .read(buffer, 8, (1 << 20) - 8)
                .iter()
                .all(|byte| *byte == 0),
            "{buffer}"
        );
    }
    let all = subject.read(0, 0, 1 << 20);
    let outside = all[..4096].iter().chain(&all[8192..]);
    assert_eq!(outside.filter(|byte| **byte != 0).count(), 0);
    let seen = words(&subject.read(1, 0, 8));
    assert_eq!(seen[0], 0, "the memory of a workgroup is not zero at first");
}

#[test]
fn megabytes_are_written_and_read() {
    let Some(gpu) = Marked::start("megabytes") else {
        return;
    };
    let mut subject = gpu.open();
    const SIZE: u64 = (9 << 20) + 12;
    assert_eq!(subject.buffer(0, SIZE, STORAGE), Answer::Ready);
    let written: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    subject.write(0, 0, &written);
    assert!(subject.read(0, 0, SIZE) == written);
    assert_eq!(subject.read(0, SIZE - 4, 4), written[SIZE as usize - 4..]);
    subject.write(0, 8, &[1, 2, 3, 4]);
    assert_eq!(
        subject.read(0, 4, 12),
        [&written[4..8], &[1, 2, 3, 4], &written[12..16]].concat()
    );
}

#[test]
fn nothing_overtakes_anything() {
    let Some(gpu) = Marked::start("overtakes") else {
        return;
    };
    let mut subject = gpu.open();
    const SIZE: u64 = 3 << 20;
    let written: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![n + 1; SIZE as usize]).collect();
    for buffer in 0..4 {
        assert_eq!(subject.buffer(buffer, SIZE, STORAGE), Answer::Ready);
    }
    for _ in 0..3 {
        // More than the memory that is shared with the worker, and none of it is answered.
        for (buffer, bytes) in written.iter().enumerate() {
            subject.write(buffer as u32, 0, bytes);
        }
        subject.write(0, 4, &[9; 4]);
        // All are asked for before the first answer is looked at.
        for buffer in 0..4 {
            let (at, size) = (0, SIZE);
            subject.send(&Command::Read { buffer, at, size });
        }
        for (buffer, bytes) in written.iter().enumerate() {
            let mut expected = bytes.clone();
            if buffer == 0 {
                expected[4..8].fill(9);
            }
            assert!(subject.data(SIZE) == expected, "{buffer}");
        }
    }
}

#[test]
fn hundreds_of_submissions_are_executed() {
    let Some(gpu) = Marked::start("hundreds") else {
        return;
    };
    let mut subject = gpu.open();
    assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
    let add = DOUBLE.replace("* 2u", "+ 1u");
    assert!(matches!(subject.kernel(0, &add), Answer::Kernel(_)));
    for _ in 0..500 {
        subject.dispatch(0, [1, 1, 1], &[bind(0, 0, 256)]);
    }
    assert_eq!(words(&subject.read(0, 0, 256)), [500; 64]);
}

#[test]
fn sessions_do_not_see_each_other() {
    let Some(gpu) = Marked::start("side by side") else {
        return;
    };
    let mut subjects: Vec<_> = (0..2).map(|_| gpu.open()).collect();
    for (n, subject) in subjects.iter_mut().enumerate() {
        assert_eq!(subject.buffer(0, 256, STORAGE), Answer::Ready);
        assert!(matches!(subject.kernel(0, DOUBLE), Answer::Kernel(_)));
        subject.write(0, 0, &bytes(&[n as u32 + 1; 64]));
    }
    for _ in 0..3 {
        for subject in &mut subjects {
            subject.dispatch(0, [1, 1, 1], &[bind(0, 0, 256)]);
        }
    }
    for (n, subject) in subjects.iter_mut().enumerate() {
        assert_eq!(words(&subject.read(0, 0, 256)), [(n as u32 + 1) * 8; 64]);
    }
    drop(subjects);
    gpu.end();
}
