//! The host services that need an operating system: WASI preview 1 and the `dynload` imports.
//!
//! They are those of Unix: elsewhere the names do not link, unless the embedder offers them.
//!
//! All of them keep to four rules. Capabilities are asked at every call. What a guest passes is checked before it is
//! believed, and never sizes an allocation. What waits does so a millisecond at a time, so that the deadline, an
//! interrupt or a revocation ends it. What was denied or failed is an errno; only limits, exits and pointers outside
//! the memory end the call.

mod answer;
mod descriptor;
mod error;
mod gpu;
mod grants;
mod guard;
mod guest;
mod network;
mod open_files;
mod process;
mod readiness;
mod signals;
mod thread;
mod wasi;

pub use error::ServiceError;
pub(crate) use grants::Grants;
pub(crate) use network::Resolving;
pub(crate) use readiness::PIPE_ROOM;
pub(crate) use signals::held_back;

use crate::{
    call::share::Share,
    call::state::State,
    config::Config,
    error::ErrorKind,
    host::{Caller, Stream},
    module::Module,
};
use answer::Answer;
use descriptor::{Descriptor, Kind, OpenDir, OpenFile, Table, Use};
use dynload_caps::{
    Capabilities,
    imports::{DYNLOAD, WASI_PREVIEW1},
};
use guard::Guard;
use std::{boxed::Box, sync::Arc, time::Duration, vec::Vec};
use wasi::Errno;
use wasmi::{Func, Store};

/// What the services keep for one instance. An instance that imports none of them keeps nothing.
pub(crate) struct Services {
    module: Module,
    open: Option<Box<Open>>,
    refused: Option<ServiceError>,
}

struct Open {
    table: Table,
    guard: Arc<Guard>,
    /// The variables that the scopes show, each as `NAME=value`.
    environ: Vec<Vec<u8>>,
    resolving: network::Resolving,
    workers: thread::Workers,
}

impl Services {
    pub(crate) fn new(module: &Module) -> Services {
        Services {
            module: module.clone(),
            open: None,
            refused: None,
        }
    }

    /// Gets ready what the scopes give, once.
    fn prepare(&mut self, config: &Config, parent: Option<&Share>) {
        if self.open.is_some() || self.refused.is_some() {
            return;
        }
        match Open::new(config, parent) {
            Ok(open) => self.open = Some(Box::new(open)),
            Err(error) => self.refused = Some(error),
        }
    }

    /// Why the scopes could not be opened, if so: the instance must not be made.
    pub(crate) fn refusal(&mut self) -> Result<(), ErrorKind> {
        match self.refused.take() {
            Some(error) => Err(ErrorKind::Host(Arc::new(error))),
            None => Ok(()),
        }
    }

    fn open(&self) -> &Open {
        match &self.open {
            Some(open) => open,
            // No function of a service exists in a store before `define` opened them.
            None => unreachable!("the services are open when one of them is called"),
        }
    }

    fn open_mut(&mut self) -> &mut Open {
        match &mut self.open {
            Some(open) => open,
            None => unreachable!("the services are open when one of them is called"),
        }
    }

    fn table(&mut self) -> &mut Table {
        &mut self.open_mut().table
    }

    /// What governs in directories that lie in each other.
    fn guard(&self) -> &Guard {
        &self.open().guard
    }

    /// The descriptor, if it may be used so.
    fn descriptor(
        &mut self,
        granted: Capabilities,
        fd: u32,
        intent: Use,
        right: u64,
    ) -> Result<&mut Descriptor, Errno> {
        let descriptor = self.table().get_mut(fd)?;
        descriptor.check(granted, intent, right)?;
        Ok(descriptor)
    }

    /// The file of a descriptor, if it may be used so. Consoles and sockets are `wrong`.
    fn file(
        &self,
        granted: Capabilities,
        fd: u32,
        intent: Use,
        right: u64,
        wrong: Errno,
    ) -> Result<&OpenFile, Errno> {
        let descriptor = self.open().table.get(fd)?;
        descriptor.check(granted, intent, 0)?;
        match &descriptor.kind {
            Kind::File(file) => descriptor.check(granted, intent, right).map(|()| file),
            Kind::Dir(_) => Err(Errno::Badf),
            _ => Err(wrong),
        }
    }

    /// The directory of a descriptor, if it may be used so.
    fn directory(&self, granted: Capabilities, fd: u32, intent: Use, right: u64) -> Result<&OpenDir, Errno> {
        let descriptor = self.open().table.get(fd)?;
        descriptor.check(granted, intent, 0)?;
        match &descriptor.kind {
            Kind::Dir(dir) => descriptor.check(granted, intent, right).map(|()| dir),
            _ => Err(Errno::Notdir),
        }
    }
}

impl Open {
    fn new(config: &Config, parent: Option<&Share>) -> Result<Open, ServiceError> {
        config.scopes.validate().map_err(ServiceError::Scope)?;
        Ok(Open {
            table: wasi::preopen(&config.grants)?,
            guard: config.grants.guard()?,
            environ: wasi::environment(&config.scopes.env),
            resolving: parent.map(Share::resolving).unwrap_or_default(),
            workers: thread::Workers::default(),
        })
    }
}

/// Whether a write of [`PIPE_ROOM`] bytes to the host's own stream would not have to wait. One that fails need not either.
pub(crate) fn is_console_ready(stream: Stream) -> bool {
    readiness::is_console_ready(stream, Duration::ZERO).unwrap_or(true)
}

/// Ends what the running call started and did not wait for. Fuel of workers is the call's own.
pub(crate) fn end_call(state: &mut State) {
    thread::end_call(state);
}

/// Makes the function of that name in a store, if a service has one.
pub(crate) fn define(store: &mut Store<State>, module: &str, name: &str) -> Option<Func> {
    let function = match module {
        WASI_PREVIEW1 => wasi::define(store, name),
        DYNLOAD => match name {
            "tcp_connect" | "tcp_listen" | "udp_bind" => network::define(store, name),
            "process_run" => process::define(store, name),
            "thread_spawn" | "thread_join" => thread::define(store, name),
            _ => gpu::define(store, name),
        },
        _ => None,
    }?;
    let state = store.data_mut();
    state.services.prepare(&state.config, state.parent.as_ref());
    Some(function)
}

/// Refuses unless every bit of `capability` is granted at this moment.
fn require(caller: &Caller<'_>, capability: Capabilities) -> Answer {
    if caller.capabilities().has(capability) {
        Ok(())
    } else {
        Err(Errno::Notcapable.into())
    }
}

/// Makes the functions of a service: a name, what serves it, and its parameters. All give back an errno.
macro_rules! functions {
    ($store:expr, $name:expr, { $($import:literal => $service:path [$($arg:ident: $ty:ty),*];)* }) => {
        match $name {
            $($import => Some(wasmi::Func::wrap(
                $store,
                |host: wasmi::Caller<'_, $crate::call::state::State> $(, $arg: $ty)*| -> Result<i32, wasmi::Error> {
                    $crate::services::answer::answer(host, |caller| $service(caller $(, $arg)*))
                },
            )),)*
            _ => None,
        }
    };
}
use functions;
