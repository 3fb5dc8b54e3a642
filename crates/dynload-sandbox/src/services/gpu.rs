//! `dynload.gpu_*`: compute shaders on a device of the host, behind the capability GPU.
//!
//! Handles, sizes, alignments, layouts and limits are checked here, and memory, invocations and fuel are counted here, before a
//! command reaches the [backend]: so they are exact, and the same whatever the device.

pub mod backend;
mod dispatch;
mod handles;
mod link;

use super::{answer::Answer, functions, guest, guest::read_u32, require, wasi::Errno};
use crate::{call::state::State, error::ErrorKind, host::Caller};
use backend::{
    BufferUsage, Command, KernelInfo, Lost, MAX_BUFFER_BYTES, MAX_BUFFERS, MAX_DISPATCHES,
    MAX_ENTRY_POINT_BYTES, MAX_KERNELS, PIECE, Reply,
};
use dynload_caps::{Capabilities, GpuKind};
use handles::{Handles, Kind};
use link::{Link, devices};
use std::{collections::BTreeMap, vec::Vec};
use wasmi::{Func, Store};

/// Creates the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, {
        "gpu_device_count" => device_count [count_out: u32];
        "gpu_device_info" => device_info [number: u32, out: u32];
        "gpu_buffer" => buffer [number: u32, size: u64, usage: u32, buffer_out: u32];
        "gpu_kernel" => kernel [number: u32, at: u32];
        "gpu_write" => write [handle: u32, at: u64, ptr: u32, len: u32];
        "gpu_submit" => submit [number: u32, list: u32, count: u32];
        "gpu_wait" => wait [number: u32];
        "gpu_read" => read [handle: u32, at: u64, ptr: u32, len: u32];
        "gpu_free" => free [handle: u32];
    })
}

/// What an instance has on the devices. A device is identified by its index in the list of the host.
pub(super) struct Devices {
    links: BTreeMap<usize, Link>,
    buffers: Handles<Buffer>,
    kernels: Handles<Kernel>,
    /// Bytes of all buffers together.
    memory: u64,
    peak_memory: u64,
    /// The invocations of the call with the number `call`.
    invocations: u64,
    call: usize,
}

struct Buffer {
    device: usize,
    size: u64,
    usage: BufferUsage,
}

struct Kernel {
    device: usize,
    info: KernelInfo,
}

impl Default for Devices {
    fn default() -> Devices {
        Devices {
            links: BTreeMap::new(),
            buffers: Handles::new(Kind::Buffer, MAX_BUFFERS),
            kernels: Handles::new(Kind::Kernel, MAX_KERNELS),
            memory: 0,
            peak_memory: 0,
            invocations: 0,
            call: 0,
        }
    }
}

impl Devices {
    fn link(&mut self, device: usize) -> Result<&mut Link, Lost> {
        self.links.get_mut(&device).ok_or(Lost)
    }

    /// Returns the peak of the memory, and the invocations of the call with that number.
    pub(super) fn usage(&self, call: usize) -> (u64, u64) {
        (
            self.peak_memory,
            if self.call == call { self.invocations } else { 0 },
        )
    }
}

/// Waits for what the call submitted, or ends it.
pub(super) fn end_call(state: &mut State, succeeded: bool) -> Result<(), ErrorKind> {
    if state.services.open().gpu.links.is_empty() {
        return Ok(());
    }
    link::end_call(state, succeeded)
}

/// Checks the capability and that the scopes open any device. NOSYS without a backend, and in a worker.
fn begin(caller: &mut Caller<'_>) -> Answer {
    require(caller, Capabilities::GPU)?;
    let state = caller.state();
    if state.config.scopes.gpu.is_empty() {
        return Err(Errno::Notcapable.into());
    }
    if state.config.gpu.is_none() || state.parent.is_some() {
        return Err(Errno::Nosys.into());
    }
    Ok(())
}

/// Returns the devices of the host that the scopes open.
fn open_devices(state: &State) -> impl Iterator<Item = (usize, &backend::Device)> {
    let scope = &state.config.scopes.gpu;
    let devices = state
        .config
        .gpu
        .iter()
        .flat_map(|gpu| gpu.devices().iter().enumerate());
    devices.filter(|(_, device)| scope.allows(device.kind, &device.name))
}

/// Returns the host's index of a device of the guest.
fn device(caller: &mut Caller<'_>, device: u32) -> Answer<usize> {
    begin(caller)?;
    let found = open_devices(caller.state()).nth(device as usize);
    Ok(found.map(|(index, _)| index).ok_or(Errno::Nodev)?)
}

fn device_count(caller: &mut Caller<'_>, count_out: u32) -> Answer {
    begin(caller)?;
    let count = open_devices(caller.state()).count();
    guest::write_u32(caller, count_out, count as u32)
}

/// Returns as much of the text as fits into `max` bytes.
fn prefix(text: &str, max: usize) -> &str {
    let mut ends = (0..=max.min(text.len())).rev();
    let end = ends.find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// The size of `struct dynload_gpu_info`, and of the name in it.
const INFO: u32 = 168;
const INFO_NAME: usize = 128;

fn device_info(caller: &mut Caller<'_>, number: u32, out: u32) -> Answer {
    let index = device(caller, number)?;
    caller.memory_or_empty().slice(out, INFO)?;
    let state = caller.state();
    let scope = &state.config.scopes.gpu;
    let devices = &state.services.open().gpu;
    let (_, invocations) = devices.usage(state.call);
    let device = state.config.gpu.as_ref().and_then(|gpu| gpu.devices().get(index));
    let device = device.ok_or(Errno::Nodev)?;
    // The numbers of `VkPhysicalDeviceType`.
    let kind: u32 = match device.kind {
        GpuKind::Integrated => 1,
        GpuKind::Discrete => 2,
        GpuKind::Virtual => 3,
        GpuKind::Cpu => 4,
        _ => 0,
    };
    let name = prefix(&device.name, INFO_NAME);
    let mut info = Vec::with_capacity(INFO as usize);
    info.extend(kind.to_le_bytes());
    info.extend((name.len() as u32).to_le_bytes());
    info.extend(name.as_bytes());
    info.resize(8 + INFO_NAME, 0);
    info.extend(scope.max_memory_bytes.to_le_bytes());
    info.extend((scope.max_memory_bytes - devices.memory).to_le_bytes());
    info.extend(scope.max_invocations.saturating_sub(invocations).to_le_bytes());
    info.extend(u64::from(scope.max_shader_bytes).to_le_bytes());
    Ok(caller.memory_or_empty().write(out, &info)?)
}

fn buffer(caller: &mut Caller<'_>, number: u32, size: u64, usage: u32, buffer_out: u32) -> Answer {
    let device = device(caller, number)?;
    caller.memory_or_empty().slice(buffer_out, 4)?;
    let usage = match usage {
        1..=3 => BufferUsage {
            storage: usage & 1 != 0,
            uniform: usage & 2 != 0,
        },
        _ => return Err(Errno::Inval.into()),
    };
    if size == 0 || !size.is_multiple_of(4) {
        return Err(Errno::Inval.into());
    }
    let left = caller.state().config.scopes.gpu.max_memory_bytes - devices(caller).memory;
    if size > left.min(MAX_BUFFER_BYTES) {
        return Err(Errno::Nomem.into());
    }
    let buffer = devices(caller).buffers.vacant()?;
    // It is filled with zeros.
    caller.charge_bytes(size)?;
    link::open(caller, device)?;
    link::send(caller, device, &Command::CreateBuffer { buffer, size, usage })?;
    link::expect_ready(caller, device)?;
    let devices = devices(caller);
    devices.memory += size;
    devices.peak_memory = devices.peak_memory.max(devices.memory);
    let handle = devices.buffers.insert(buffer, Buffer { device, size, usage });
    guest::write_u32(caller, buffer_out, handle)
}

/// `struct dynload_gpu_shader` of the guest: the offset of its results, and its size.
const KERNEL_RESULTS: u64 = 24;
const KERNEL: u32 = 44;

fn kernel(caller: &mut Caller<'_>, number: u32, at: u32) -> Answer {
    let device = device(caller, number)?;
    let max = caller.state().config.scopes.gpu.max_shader_bytes;
    let memory = caller.memory_or_empty();
    memory.slice(at, KERNEL)?;
    let word = |n: u64| -> Answer<u32> { Ok(read_u32(&memory, guest::offset(at, n * 4)?)?) };
    let (source, source_len) = (word(0)?, word(1)?);
    let (entry_point, entry_point_len) = (word(2)?, word(3)?);
    let (message, room) = (word(4)?, word(5)?);
    for (ptr, len) in [
        (source, source_len),
        (entry_point, entry_point_len),
        (message, room),
    ] {
        memory.slice(ptr, len)?;
    }
    if source_len > max {
        return Err(Errno::TooBig.into());
    }
    if entry_point_len > MAX_ENTRY_POINT_BYTES {
        return Err(Errno::Nametoolong.into());
    }
    caller.charge_bytes(u64::from(source_len) + u64::from(entry_point_len))?;
    let memory = caller.memory_or_empty();
    for (text, len) in [(source, source_len), (entry_point, entry_point_len)] {
        if core::str::from_utf8(memory.slice(text, len)?).is_err() {
            return Err(Errno::Ilseq.into());
        }
    }
    let kernel = devices(caller).kernels.vacant()?;
    link::open(caller, device)?;
    link::send_with(caller, device, |session, memory| {
        let text = |ptr, len| -> Answer<_> {
            core::str::from_utf8(memory.slice(ptr, len)?).map_err(|_| Errno::Ilseq.into())
        };
        session.send(&Command::CreateKernel {
            kernel,
            source: text(source, source_len)?,
            entry_point: text(entry_point, entry_point_len)?,
        })?;
        Ok(())
    })?;
    let compiled = link::receive(caller, device, |memory, reply| match reply {
        Reply::Kernel(info) if dispatch::is_plausible(&info) => Ok(Some(Ok(info))),
        Reply::Invalid(text) => {
            let text = prefix(text, room as usize);
            memory.write(message, text.as_bytes())?;
            Ok(Some(Err((Errno::Inval, text.len() as u32))))
        }
        Reply::OutOfMemory => Ok(Some(Err((Errno::Nomem, 0)))),
        _ => Err(Lost.into()),
    })?;
    let (words, result) = match compiled {
        Ok(info) => {
            let [x, y, z] = info.workgroup_size;
            let handle = devices(caller).kernels.insert(kernel, Kernel { device, info });
            ([handle, x, y, z, 0], Ok(()))
        }
        Err((errno, len)) => ([0, 0, 0, 0, len], Err(errno.into())),
    };
    for (n, word) in words.into_iter().enumerate() {
        guest::write_u32(caller, guest::offset(at, KERNEL_RESULTS + n as u64 * 4)?, word)?;
    }
    result
}

/// Checks a transfer, and returns the buffer's index and device. Its bytes are paid for.
fn transfer(caller: &mut Caller<'_>, handle: u32, at: u64, ptr: u32, len: u32) -> Answer<(u32, usize)> {
    begin(caller)?;
    caller.memory_or_empty().slice(ptr, len)?;
    let (index, buffer) = devices(caller).buffers.get(handle)?;
    let is_inside = at.checked_add(len.into()).is_some_and(|end| end <= buffer.size);
    if !is_inside || !at.is_multiple_of(4) || !len.is_multiple_of(4) {
        return Err(Errno::Inval.into());
    }
    let device = buffer.device;
    caller.charge_bytes(len.into())?;
    link::open(caller, device)?;
    Ok((index, device))
}

fn write(caller: &mut Caller<'_>, handle: u32, at: u64, ptr: u32, len: u32) -> Answer {
    let (buffer, device) = transfer(caller, handle, at, ptr, len)?;
    for done in (0..len).step_by(PIECE as usize) {
        let piece = (len - done).min(PIECE);
        link::send_with(caller, device, |session, memory| {
            session.send(&Command::Write {
                buffer,
                at: at + u64::from(done),
                bytes: memory.slice(ptr + done, piece)?,
            })?;
            Ok(())
        })?;
    }
    Ok(())
}

fn submit(caller: &mut Caller<'_>, number: u32, list: u32, count: u32) -> Answer {
    let device = device(caller, number)?;
    if count > MAX_DISPATCHES {
        return Err(Errno::TooBig.into());
    }
    // Also for a list that is refused: it is read up to the wrong dispatch.
    caller.charge(dispatch::FUEL * u64::from(count))?;
    let (memory, state) = caller.memory_and_state();
    let devices = &state.services.open().gpu;
    let mut dispatches = Vec::with_capacity(count as usize);
    let (_, mut invocations) = devices.usage(state.call);
    let mut fuel = 0_u64;
    for n in 0..u64::from(count) {
        let at = guest::offset(list, n * dispatch::DISPATCH)?;
        let checked = dispatch::read(&memory, devices, device, at)?;
        invocations = invocations.saturating_add(checked.invocations);
        fuel = fuel.saturating_add(checked.fuel());
        // Nothing to execute.
        if checked.invocations > 0 {
            dispatches.push(checked.dispatch);
        }
    }
    if invocations > state.config.scopes.gpu.max_invocations {
        return Err(Errno::TooBig.into());
    }
    caller.charge(fuel)?;
    if dispatches.is_empty() {
        return Ok(());
    }
    link::open(caller, device)?;
    link::submit(caller, device, &dispatches)?;
    let state = caller.state();
    let call = state.call;
    let devices = &mut state.services.open_mut().gpu;
    (devices.call, devices.invocations) = (call, invocations);
    Ok(())
}

fn wait(caller: &mut Caller<'_>, number: u32) -> Answer {
    let device = device(caller, number)?;
    if devices(caller).links.contains_key(&device) {
        link::finish(caller, device)?;
    }
    Ok(())
}

fn read(caller: &mut Caller<'_>, handle: u32, at: u64, ptr: u32, len: u32) -> Answer {
    let (buffer, device) = transfer(caller, handle, at, ptr, len)?;
    if len == 0 {
        return Ok(());
    }
    link::send(
        caller,
        device,
        &Command::Read {
            buffer,
            at,
            size: len.into(),
        },
    )?;
    let mut done = 0;
    link::receive(caller, device, |memory, reply| match reply {
        Reply::Data(bytes) if !bytes.is_empty() && bytes.len() <= (len - done) as usize => {
            memory.write(ptr + done, bytes)?;
            done += bytes.len() as u32;
            Ok((done == len).then_some(()))
        }
        _ => Err(Lost.into()),
    })?;
    link::set_idle(caller, device);
    Ok(())
}

fn free(caller: &mut Caller<'_>, handle: u32) -> Answer {
    begin(caller)?;
    let devices = devices(caller);
    let (device, command) = match handles::kind(handle)? {
        Kind::Buffer => {
            let (index, buffer) = devices.buffers.remove(handle)?;
            devices.memory -= buffer.size;
            (buffer.device, Command::FreeBuffer(index))
        }
        Kind::Kernel => {
            let (index, kernel) = devices.kernels.remove(handle)?;
            (kernel.device, Command::FreeKernel(index))
        }
    };
    match devices.link(device) {
        Ok(Link::Open(_)) => link::send(caller, device, &command),
        // It is gone with the session.
        _ => Ok(()),
    }
}
