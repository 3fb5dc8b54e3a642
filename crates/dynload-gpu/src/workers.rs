//! A worker process for each session.

mod keeper;
mod spares;

use crate::{
    client::Client,
    error::StartError,
    protocol::{Answer, VERSION},
};
use dynload_sandbox::gpu::{Device, Gpu, Session};
use keeper::{Keeper, Program};
use spares::{Spare, Spares};
use std::{
    ffi::OsString,
    fmt, io,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// How long the first worker may take to report its devices: a driver may compile its own code when it starts.
const GREETING: Duration = Duration::from_secs(10);

/// The devices of this machine, each session with which is a process of its own, `dynload-gpu-worker`.
///
/// What a shader does to a driver, it does to that process: it may hang, use up its memory, or crash. The session ends when the
/// sandbox drops it, at once, whatever the worker does, and the worker is killed. It is never used for a second session.
///
/// The worker inherits nothing: no variables, except `MESA_SHADER_CACHE_DISABLE` and those of
/// [`with_variables`](Workers::with_variables), no descriptors, no terminal. It runs as the user of the host, and on Linux it
/// ends when the host does.
///
/// # Examples
///
/// ```no_run
/// use dynload_gpu::Workers;
/// use dynload_sandbox::gpu::Gpu;
///
/// let gpu = Workers::new("/usr/libexec/dynload-gpu-worker")?.with_spares(1);
/// for device in gpu.devices() {
///     println!("{}: {}", device.kind, device.name);
/// }
/// # Ok::<(), dynload_gpu::StartError>(())
/// ```
pub struct Workers {
    devices: Vec<Device>,
    keeper: Arc<Keeper>,
    spares: Arc<Spares>,
}

impl Workers {
    /// Starts a worker, which reports the devices. It serves the first session.
    ///
    /// Waits until it has: 0.1 to 0.2 s with a driver that uses the CPU, and at most 10 s. No device is not an error.
    ///
    /// # Errors
    ///
    /// A [`StartError`] if the path is relative, or the program cannot be started, or is not a worker of this version.
    pub fn new(worker: impl Into<PathBuf>) -> Result<Workers, StartError> {
        Workers::with_variables(worker, std::iter::empty::<(OsString, OsString)>())
    }

    /// Starts a worker as [`new`](Workers::new) does, with variables in the environment of each worker: `VK_DRIVER_FILES`
    /// chooses Vulkan's drivers, for example.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Workers::new).
    pub fn with_variables<N: Into<OsString>, V: Into<OsString>>(
        worker: impl Into<PathBuf>,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Workers, StartError> {
        let path = worker.into();
        if !path.is_absolute() {
            return Err(StartError::NotAbsolute { path });
        }
        let program = Program {
            path: path.clone(),
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        };
        let cannot_spawn = |source| StartError::Spawn {
            path: path.clone(),
            source,
        };
        let keeper = Keeper::new(program).map_err(cannot_spawn)?;
        let (report, failure) = mpsc::channel();
        let spare = keeper.start_spare(Some(report)).map_err(cannot_spawn)?;
        let mut client = Client::new(spare.socket, spare.window, false, spare.other_end);
        let devices = match greeting(&mut client) {
            Ok(devices) => devices,
            Err(Ungreeted::Lost) => {
                // If it was never started, the keeper has said why before it closed the socket.
                return Err(match failure.try_recv() {
                    Ok(source) => cannot_spawn(source),
                    Err(_) => StartError::NotAWorker { path },
                });
            }
            Err(Ungreeted::Version(found)) => {
                return Err(StartError::Version {
                    path,
                    found,
                    required: VERSION,
                });
            }
            Err(Ungreeted::Late) => {
                return Err(StartError::Timeout {
                    path,
                    waited: GREETING,
                });
            }
        };
        // Once the keeper has closed its copies, the host sees it if the worker dies. It sends nothing more.
        let _ = failure.recv();
        let (socket, window, other_end) = client.into_parts();
        let spares = Arc::new(Spares::default());
        spares.put(Spare {
            socket,
            window,
            has_greeted: true,
            other_end,
        });
        Ok(Workers {
            devices,
            keeper,
            spares,
        })
    }

    /// Keeps a number of workers ready that have been started already, so that a first use takes milliseconds.
    ///
    /// Each is a process that waits, with the memory that its driver needs to start.
    #[must_use]
    pub fn with_spares(self, count: usize) -> Workers {
        self.spares.set_target(count);
        self.keeper.fill(&self.spares);
        self
    }
}

impl Gpu for Workers {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn open(&self, device: usize, max_memory_bytes: u64) -> io::Result<Box<dyn Session>> {
        let wanted = self.devices.get(device).ok_or(io::ErrorKind::InvalidInput)?;
        let index = u32::try_from(device).map_err(|_| io::ErrorKind::InvalidInput)?;
        let open = |spare: Spare| {
            // The keeper lives for as long as the session does.
            let other_end = (spare.other_end, Arc::clone(&self.keeper));
            let mut client = Client::new(
                spare.socket,
                spare.window,
                spare.has_greeted,
                Some(Box::new(other_end)),
            );
            let opened = client.open(index, wanted, max_memory_bytes);
            (client, opened)
        };
        while let Some(spare) = self.spares.take() {
            // Its worker may have died since.
            if let (client, Ok(())) = open(spare) {
                self.keeper.fill(&self.spares);
                return Ok(Box::new(client));
            }
        }
        let (client, _) = open(self.keeper.start_spare(None)?);
        self.keeper.fill(&self.spares);
        // If its worker has ended already, the session says so when it is used.
        Ok(Box::new(client))
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("devices", &self.devices)
            .finish_non_exhaustive()
    }
}

/// Why a worker has not reported its devices.
enum Ungreeted {
    Lost,
    Version(u32),
    Late,
}

/// Waits for the devices of a worker.
fn greeting(client: &mut Client) -> Result<Vec<Device>, Ungreeted> {
    let deadline = Instant::now() + GREETING;
    loop {
        match client.greeting() {
            Ok(Some(Answer::Hello { version, devices })) if version == VERSION => return Ok(devices),
            Ok(Some(Answer::Hello { version, .. })) => return Err(Ungreeted::Version(version)),
            Ok(Some(_)) | Err(_) => return Err(Ungreeted::Lost),
            Ok(None) => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Ungreeted::Late);
        }
        client.wait(left).map_err(|_| Ungreeted::Lost)?;
    }
}
