//! The GPUs of a sandbox.

use std::path::Path;

use dynload_sandbox::Sandbox;

use crate::exit::{Failure, code};

/// Starts the worker that runs shaders, and checks that the scopes open a device.
#[cfg(unix)]
pub(crate) fn open(sandbox: &mut Sandbox, worker: Option<&Path>) -> Result<(), Failure> {
    use dynload_diagnostics::{listed, printable};
    use dynload_sandbox::gpu::Gpu;

    let worker = match worker {
        // A path that the user wrote is relative to the directory of the user.
        Some(worker) => std::path::absolute(worker),
        None => std::env::current_exe().map(|program| program.with_file_name("dynload-gpu-worker")),
    };
    let worker = worker.map_err(|error| Failure::of(code::USAGE, &error))?;
    let gpu = dynload_gpu::Workers::new(worker).map_err(|error| Failure::of(code::USAGE, &error))?;
    let devices = gpu.devices();
    let scope = &sandbox.scopes().gpu;
    if !devices
        .iter()
        .any(|device| scope.allows(device.kind, &device.name))
    {
        let names: Vec<String> = devices
            .iter()
            .map(|device| format!("`{}:{}`", device.kind, printable(&device.name)))
            .collect();
        let found = match names.is_empty() {
            true => "this machine has none".to_owned(),
            false => format!("this machine has {}", listed(&names)),
        };
        return Err(Failure::new(
            code::USAGE,
            format!("no GPU matches `--gpu`: {found}; `*` does not match one of the kind cpu"),
        ));
    }
    sandbox.set_gpu(std::sync::Arc::new(gpu));
    Ok(())
}

/// There are no GPUs on this platform.
#[cfg(not(unix))]
pub(crate) fn open(_sandbox: &mut Sandbox, _worker: Option<&Path>) -> Result<(), Failure> {
    Err(Failure::new(code::USAGE, "`--gpu` is available on Unix only"))
}
