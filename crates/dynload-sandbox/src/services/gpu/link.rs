//! The sessions of an instance, one for each device that it uses, and waiting for them.

use super::{
    Devices,
    backend::{Command, Dispatch, Lost, Reply, Session},
};
use crate::{
    call::state::State,
    error::ErrorKind,
    host::{Caller, GuestMemory},
    services::{
        answer::{Answer, Fail},
        readiness,
        wasi::Errno,
    },
};
use dynload_caps::Capabilities;
use std::{
    boxed::Box,
    sync::{Mutex, PoisonError},
};

/// The use of a device.
pub(super) enum Link {
    Open(Open),
    /// The session ended, and the buffers and kernels with it.
    Lost,
}

pub(super) struct Open {
    /// In an uncontended lock, so that instances stay `Sync`.
    session: Mutex<Box<dyn Session>>,
    /// Whether something was submitted and not waited for.
    has_work: bool,
}

impl Link {
    fn session(&mut self) -> Result<&mut dyn Session, Lost> {
        match self {
            Link::Open(open) => Ok(&mut **open.session.get_mut().unwrap_or_else(PoisonError::into_inner)),
            Link::Lost => Err(Lost),
        }
    }
}

impl From<Lost> for Fail {
    fn from(_: Lost) -> Fail {
        Errno::Nodev.into()
    }
}

/// Opens the device for this instance, unless it is open.
pub(super) fn open(caller: &mut Caller<'_>, device: usize) -> Answer {
    match devices(caller).links.get(&device) {
        Some(Link::Open(_)) => return Ok(()),
        Some(Link::Lost) => return Err(Errno::Nodev.into()),
        None => {}
    }
    let config = &caller.state().config;
    let gpu = config.gpu.as_ref().ok_or(Errno::Nosys)?;
    let opened = gpu.open(device, config.scopes.gpu.max_memory_bytes);
    let link = match opened {
        Ok(session) => Link::Open(Open {
            session: Mutex::new(session),
            has_work: false,
        }),
        Err(_) => Link::Lost,
    };
    devices(caller).links.insert(device, link);
    let result = expect_ready(caller, device);
    if result.is_err() {
        devices(caller).links.insert(device, Link::Lost);
    }
    result
}

/// Sends a command once the earlier ones are passed on, so that no more than one is queued.
pub(super) fn send(caller: &mut Caller<'_>, device: usize, command: &Command<'_>) -> Answer {
    send_with(caller, device, |session, _| Ok(session.send(command)?))
}

/// As [`send`], for a command with bytes of the guest's memory.
pub(super) fn send_with(
    caller: &mut Caller<'_>,
    device: usize,
    mut send: impl FnMut(&mut dyn Session, &GuestMemory<'_>) -> Answer,
) -> Answer {
    retry(caller, device, |caller| {
        let (memory, state) = caller.memory_and_state();
        let session = state.services.open_mut().gpu.link(device)?.session()?;
        if !session.is_sent()? {
            return Ok(None);
        }
        send(session, &memory).map(Some)
    })
}

/// Sends dispatches, which [`finish`] waits for.
pub(super) fn submit(caller: &mut Caller<'_>, device: usize, dispatches: &[Dispatch]) -> Answer {
    send(caller, device, &Command::Submit(dispatches))?;
    if let Ok(Link::Open(open)) = devices(caller).link(device) {
        open.has_work = true;
    }
    Ok(())
}

/// Waits for the next reply, until `take` returns a value for one. `take` may copy to the guest's memory.
pub(super) fn receive<T>(
    caller: &mut Caller<'_>,
    device: usize,
    mut take: impl FnMut(&mut GuestMemory<'_>, Reply<'_>) -> Answer<Option<T>>,
) -> Answer<T> {
    retry(caller, device, |caller| {
        let (mut memory, state) = caller.memory_and_state();
        let session = state.services.open_mut().gpu.link(device)?.session()?;
        // One at a time: there may be more of them than the time of the call is enough for.
        match session.receive()? {
            Some(reply) => take(&mut memory, reply),
            None => Ok(None),
        }
    })
}

/// Waits for [`Reply::Ready`].
pub(super) fn expect_ready(caller: &mut Caller<'_>, device: usize) -> Answer {
    let is_ready = receive(caller, device, |_, reply| match reply {
        Reply::Ready => Ok(Some(true)),
        Reply::OutOfMemory => Ok(Some(false)),
        _ => Err(Lost.into()),
    })?;
    if is_ready {
        Ok(())
    } else {
        Err(Errno::Nomem.into())
    }
}

/// Waits until everything that was submitted to the device has been executed.
pub(super) fn finish(caller: &mut Caller<'_>, device: usize) -> Answer {
    send(caller, device, &Command::Wait)?;
    expect_ready(caller, device)?;
    set_idle(caller, device);
    Ok(())
}

/// Records that everything that was submitted to the device has been executed.
pub(super) fn set_idle(caller: &mut Caller<'_>, device: usize) {
    if let Ok(Link::Open(open)) = devices(caller).link(device) {
        open.has_work = false;
    }
}

/// Calls `step` until it returns a value. If it fails, or the call has to end, or the capability is revoked, the replies can
/// no longer be assigned to commands, and the session ends.
fn retry<T>(
    caller: &mut Caller<'_>,
    device: usize,
    step: impl FnMut(&mut Caller<'_>) -> Answer<Option<T>>,
) -> Answer<T> {
    let result = readiness::retry(caller, Capabilities::GPU, step, |caller, slice| {
        Ok(devices(caller).link(device)?.session()?.wait(slice)?)
    });
    if result.is_err() {
        devices(caller).links.insert(device, Link::Lost);
    }
    result
}

pub(super) fn devices<'a>(caller: &'a mut Caller<'_>) -> &'a mut Devices {
    &mut caller.state().services.open_mut().gpu
}

/// What was submitted does not outlive the call: waits for it if the call `succeeded`, and ends the session otherwise.
pub(super) fn end_call(state: &mut State, succeeded: bool) -> Result<(), ErrorKind> {
    let has_work = |link: &Link| matches!(link, Link::Open(open) if open.has_work);
    let busy = |state: &State| {
        let mut links = state.services.open().gpu.links.iter();
        links.find(|(_, link)| has_work(link)).map(|(device, _)| *device)
    };
    let mut result = Ok(());
    while let Some(device) = busy(state) {
        let ended = match succeeded && result.is_ok() {
            true => finish_at_end(state, device),
            false => Ok(false),
        };
        let link = match ended {
            Ok(true) => continue,
            Ok(false) => Link::Lost,
            Err(kind) => {
                result = Err(kind);
                Link::Lost
            }
        };
        state.services.open_mut().gpu.links.insert(device, link);
    }
    result
}

/// As [`finish`], without a caller. Returns whether the session is still alive.
fn finish_at_end(state: &mut State, device: usize) -> Result<bool, ErrorKind> {
    let mut is_asked = false;
    loop {
        let now = state.look()?;
        if !state.config.authority.capabilities().has(Capabilities::GPU) {
            return Ok(false);
        }
        let slice = readiness::SLICE.min(state.meter.remaining(now));
        let Ok(link) = state.services.open_mut().gpu.link(device) else {
            return Ok(false);
        };
        match finish_slice(link, &mut is_asked, slice) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(Lost) => return Ok(false),
        }
    }
}

fn finish_slice(link: &mut Link, is_asked: &mut bool, slice: core::time::Duration) -> Result<bool, Lost> {
    let session = link.session()?;
    if !*is_asked && session.is_sent()? {
        session.send(&Command::Wait)?;
        *is_asked = true;
    }
    match session.receive()? {
        Some(Reply::Ready) if *is_asked => {}
        Some(_) => return Err(Lost),
        None => {
            session.wait(slice)?;
            return Ok(false);
        }
    }
    if let Link::Open(open) = link {
        open.has_work = false;
    }
    Ok(true)
}
