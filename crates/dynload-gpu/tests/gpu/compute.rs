//! What kernels compute.

use crate::subject::{Answer, STORAGE, Subject, bind, bytes, words, workers};
use dynload_sandbox::gpu::{BindingInfo, BindingKind, KernelInfo};

const DOUBLE: &str = "
    @group(0) @binding(0) var<storage, read_write> values: array<u32>;

    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if (id.x < arrayLength(&values)) {
            values[id.x] = values[id.x] * 2u;
        }
    }
";

#[test]
fn a_kernel_doubles_numbers() {
    let Some(gpu) = workers() else { return };
    let mut subject = Subject::open(gpu);
    assert_eq!(subject.buffer(0, 4000, STORAGE), Answer::Ready);
    let info = KernelInfo {
        workgroup_size: [64, 1, 1],
        bindings: vec![BindingInfo {
            binding: 0,
            kind: BindingKind::Storage,
            min_size: 4,
        }],
    };
    assert_eq!(subject.kernel(0, DOUBLE), Answer::Kernel(info));
    let numbers: Vec<u32> = (0..1000).collect();
    subject.write(0, 0, &bytes(&numbers));
    subject.dispatch(0, [16, 1, 1], &[bind(0, 0, 4000)]);
    subject.dispatch(0, [16, 1, 1], &[bind(0, 0, 4000)]);
    assert_eq!(subject.finish(), Ok(Answer::Ready));
    let doubled: Vec<u32> = numbers.iter().map(|n| n * 4).collect();
    assert_eq!(words(&subject.read(0, 0, 4000)), doubled);
}
