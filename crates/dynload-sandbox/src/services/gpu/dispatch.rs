//! `struct dynload_gpu_dispatch` of the guest: read, and checked against what the kernel declares.

use super::{
    Devices,
    backend::{
        BINDING_ALIGNMENT, Binding, BindingInfo, BindingKind, BufferUsage, Dispatch, KernelInfo,
        MAX_STORAGE_BINDING_BYTES, MAX_STORAGE_BINDINGS, MAX_UNIFORM_BINDING_BYTES, MAX_UNIFORM_BINDINGS,
        MAX_WORKGROUP_SIZE, MAX_WORKGROUPS,
    },
};
use crate::{
    host::GuestMemory,
    services::{answer::Answer, guest, guest::read_u32, wasi::Errno},
};
use std::vec::Vec;

/// The size of `struct dynload_gpu_dispatch`.
pub(super) const DISPATCH: u64 = 28;

/// The size of `struct dynload_gpu_binding`.
const BINDING: u64 = 24;

/// Fuel for a dispatch, on top of that for its invocations.
pub(super) const FUEL: u64 = 50;

/// Invocations for one unit of fuel.
const INVOCATIONS_PER_FUEL: u64 = 64;

/// A checked dispatch, and what it counts as.
pub(super) struct Checked {
    pub(super) dispatch: Dispatch,
    pub(super) invocations: u64,
}

impl Checked {
    /// Returns the fuel for the invocations.
    pub(super) fn fuel(&self) -> u64 {
        self.invocations.div_ceil(INVOCATIONS_PER_FUEL)
    }
}

/// Reads the dispatch at `at`, for a kernel and buffers of `device`.
pub(super) fn read(memory: &GuestMemory<'_>, devices: &Devices, device: usize, at: u32) -> Answer<Checked> {
    let word = |n: u64| -> Answer<u32> { Ok(read_u32(memory, guest::offset(at, n * 4)?)?) };
    let handle = word(0)?;
    let workgroups = [word(1)?, word(2)?, word(3)?];
    let (list, count, zero) = (word(4)?, word(5)?, word(6)?);
    let (kernel, compiled) = devices.kernels.get(handle)?;
    if compiled.device != device || zero != 0 || workgroups.iter().any(|&count| count > MAX_WORKGROUPS) {
        return Err(Errno::Inval.into());
    }
    let info = &compiled.info;
    // The number of bindings of a kernel is limited, so that of the guest is too.
    if count as usize != info.bindings.len() {
        return Err(Errno::Inval.into());
    }
    let mut bound = Vec::with_capacity(info.bindings.len());
    for n in 0..u64::from(count) {
        bound.push(binding(
            memory,
            devices,
            device,
            guest::offset(list, n * BINDING)?,
        )?);
    }
    bound.sort_unstable_by_key(|(binding, _): &(Binding, BufferUsage)| binding.binding);
    let is_declared = bound
        .iter()
        .zip(&info.bindings)
        .all(|((binding, usage), declared)| fits(binding, *usage, declared));
    let bound: Vec<_> = bound.into_iter().map(|(binding, _)| binding).collect();
    if !is_declared || !is_free_of_conflicts(&bound, &info.bindings) {
        return Err(Errno::Inval.into());
    }
    let size = info.workgroup_size.map(u64::from);
    let [x, y, z] = workgroups.map(u64::from);
    Ok(Checked {
        // At most 2^48 workgroups of 256 invocations.
        invocations: x * y * z * size[0] * size[1] * size[2],
        dispatch: Dispatch {
            kernel,
            workgroups,
            bindings: bound,
        },
    })
}

/// Reads a binding, and returns the usage of its buffer. The buffer is one of the device, and the range is inside it.
fn binding(
    memory: &GuestMemory<'_>,
    devices: &Devices,
    device: usize,
    at: u32,
) -> Answer<(Binding, BufferUsage)> {
    let word = |n: u64| -> Answer<u32> { Ok(read_u32(memory, guest::offset(at, n * 4)?)?) };
    let long = |n: u64| -> Answer<u64> {
        let bytes: [u8; 8] = memory.read(guest::offset(at, n * 4)?)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let (number, handle, start, size) = (word(0)?, word(1)?, long(2)?, long(4)?);
    let (buffer, known) = devices.buffers.get(handle)?;
    let is_inside = start.checked_add(size).is_some_and(|end| end <= known.size);
    let is_aligned = start.is_multiple_of(BINDING_ALIGNMENT) && size.is_multiple_of(4);
    if known.device != device || !is_inside || !is_aligned || size == 0 {
        return Err(Errno::Inval.into());
    }
    let binding = Binding {
        binding: number,
        buffer,
        at: start,
        size,
    };
    Ok((binding, known.usage))
}

/// Returns whether a binding is as declared.
fn fits(binding: &Binding, usage: BufferUsage, declared: &BindingInfo) -> bool {
    let (is_usable, max) = match declared.kind {
        BindingKind::Uniform => (usage.uniform, MAX_UNIFORM_BINDING_BYTES),
        BindingKind::ReadOnlyStorage | BindingKind::Storage => (usage.storage, MAX_STORAGE_BINDING_BYTES),
    };
    binding.binding == declared.binding && is_usable && (declared.min_size..=max).contains(&binding.size)
}

/// Returns whether what a dispatch may write is bound once only. As in WebGPU, a buffer is either written or read by a
/// dispatch, and resources that are written do not overlap.
fn is_free_of_conflicts(bound: &[Binding], declared: &[BindingInfo]) -> bool {
    let pairs = || bound.iter().zip(declared);
    pairs().enumerate().all(|(n, (one, its))| {
        pairs().skip(n + 1).all(|(other, others)| {
            let writes = [its.kind, others.kind].map(|kind| kind == BindingKind::Storage);
            let is_apart = one.at + one.size <= other.at || other.at + other.size <= one.at;
            match writes {
                _ if one.buffer != other.buffer => true,
                [false, false] => true,
                [true, true] => is_apart,
                _ => false,
            }
        })
    })
}

/// Returns whether a session's description of a kernel is within WebGPU's limits.
pub(super) fn is_plausible(info: &KernelInfo) -> bool {
    let [x, y, z] = info.workgroup_size.map(u64::from);
    let invocations = x.checked_mul(y).and_then(|plane| plane.checked_mul(z));
    let is_ascending = info.bindings.is_sorted_by(|one, two| one.binding < two.binding);
    let uniform = info
        .bindings
        .iter()
        .filter(|info| info.kind == BindingKind::Uniform);
    let uniform = uniform.count();
    is_ascending
        && invocations.is_some_and(|count| (1..=u64::from(MAX_WORKGROUP_SIZE)).contains(&count))
        && uniform <= MAX_UNIFORM_BINDINGS as usize
        && info.bindings.len() - uniform <= MAX_STORAGE_BINDINGS as usize
}
