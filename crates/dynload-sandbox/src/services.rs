//! The host services that need an operating system: WASI preview 1 and the `dynload` imports.
//!
//! They exist on Unix and Windows: elsewhere the names do not link, unless the embedder provides them.
//!
//! All of them follow four rules. Capabilities are checked on every call. Values from a guest are validated before
//! use, and never size an allocation. Waits last a millisecond at a time, so that the deadline, an interrupt or a
//! revocation ends them. A denial or a failure is an errno; only limits, exits and pointers outside the memory end the
//! call.

mod answer;
mod descriptor;
mod error;
pub(crate) mod gpu;
mod grants;
mod guard;
mod guest;
#[cfg(feature = "http")]
mod http;
mod network;
mod open_files;
mod process;
mod readiness;
mod signals;
pub(crate) mod system;
mod thread;
mod wasi;

pub use error::ServiceError;
pub(crate) use grants::Grants;
#[cfg(feature = "http")]
pub use http::{HttpClient, HttpError};
pub(crate) use network::LookupCount;

use crate::{
    call::share::Share, call::state::State, config::Config, error::ErrorKind, host::Caller, module::Module,
};
use answer::Answer;
use descriptor::{Descriptor, Kind, OpenDir, OpenFile, Table, Use};
use dynload_caps::{
    Capabilities,
    imports::{DYNLOAD, WASI_PREVIEW1},
};
use guard::Guard;
use std::{boxed::Box, sync::Arc, vec::Vec};
use wasi::Errno;
use wasmi::{Func, Store};

/// The state of the services for one instance. Empty if the instance imports none of them.
#[derive(Default)]
pub(crate) struct Services {
    open: Option<Box<Open>>,
    refused: Option<Box<ServiceError>>,
    /// The host names that are being looked up, once there was one.
    resolving: Option<LookupCount>,
}

struct Open {
    /// For workers.
    module: Module,
    table: Table,
    guard: Arc<Guard>,
    /// The environment variables that the scopes allow, each as `NAME=value`.
    environ: Vec<Vec<u8>>,
    workers: thread::Workers,
    gpu: gpu::Devices,
}

impl Services {
    /// Opens what the scopes grant, once.
    fn prepare(&mut self, module: &Module, config: &Config) {
        if self.open.is_some() || self.refused.is_some() {
            return;
        }
        match Open::new(module, config) {
            Ok(open) => self.open = Some(Box::new(open)),
            Err(error) => self.refused = Some(Box::new(error)),
        }
    }

    /// Returns an error if the scopes could not be opened: the instance must not be created.
    pub(crate) fn refusal(&mut self) -> Result<(), ErrorKind> {
        match self.refused.take() {
            Some(error) => Err(ErrorKind::Host(Arc::new(*error))),
            None => Ok(()),
        }
    }

    fn open(&self) -> &Open {
        match &self.open {
            Some(open) => open,
            // No function of a service exists in a store before `define` opens the services.
            None => unreachable!("the services are open when one of them is called"),
        }
    }

    fn open_mut(&mut self) -> &mut Open {
        match &mut self.open {
            Some(open) => open,
            None => unreachable!("the services are open when one of them is called"),
        }
    }

    /// Returns whether the instance imports a service.
    #[inline]
    pub(crate) fn are_open(&self) -> bool {
        self.open.is_some()
    }

    /// Returns the peak of the GPU memory, and the invocations of the call with that number.
    pub(crate) fn gpu_usage(&self, call: usize) -> (u64, u64) {
        self.open.as_ref().map_or((0, 0), |open| open.gpu.usage(call))
    }

    /// Returns whether workers share the fuel of the running call.
    fn is_shared(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.workers.is_shared())
    }

    /// Returns the count of host names that are being looked up for the instance and its workers.
    fn resolving(&mut self, parent: Option<&Share>) -> LookupCount {
        let shared = || parent.map(Share::resolving).unwrap_or_default();
        self.resolving.get_or_insert_with(shared).clone()
    }

    fn table(&mut self) -> &mut Table {
        &mut self.open_mut().table
    }

    /// Returns the guard of nested granted directories.
    fn guard(&self) -> &Guard {
        &self.open().guard
    }

    /// Returns the descriptor if this use of it is allowed.
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

    /// Returns the file of a descriptor if this use of it is allowed. The error for consoles and sockets is `wrong`.
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

    /// Returns the directory of a descriptor if this use of it is allowed.
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
    fn new(module: &Module, config: &Config) -> Result<Open, ServiceError> {
        config.scopes.validate().map_err(ServiceError::Scope)?;
        Ok(Open {
            module: module.clone(),
            table: wasi::preopen(&config.grants)?,
            guard: config.grants.guard()?,
            environ: wasi::environment(&config.scopes.env),
            workers: thread::Workers::default(),
            gpu: gpu::Devices::default(),
        })
    }
}

/// Ends what the running call started and did not wait for. The call pays for the fuel of its workers. If it has
/// `succeeded`, what it submitted to a GPU is waited for, and if that takes too long, it has not succeeded.
///
/// Only to be called if the services are open.
pub(crate) fn end_call(state: &mut State, succeeded: bool) -> Result<(), ErrorKind> {
    let result = gpu::end_call(state, succeeded);
    thread::end_call(state);
    result
}

/// Creates the function of that name in the store of an instance of `of`, if a service has one.
pub(crate) fn define(store: &mut Store<State>, of: &Module, module: &str, name: &str) -> Option<Func> {
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
    state.services.prepare(of, &state.config);
    Some(function)
}

/// Returns NOTCAPABLE unless every bit of `capability` is granted at this moment.
fn require(caller: &Caller<'_>, capability: Capabilities) -> Answer {
    if caller.capabilities().has(capability) {
        Ok(())
    } else {
        Err(Errno::Notcapable.into())
    }
}

/// Creates the functions of a service: import name, implementation and parameters. All return an errno.
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
