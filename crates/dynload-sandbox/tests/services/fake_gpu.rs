//! A GPU of the tests: it executes three kernels, or misbehaves as told, and records what it was sent.

use dynload_sandbox::{InterruptHandle, caps::GpuKind, gpu::*};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// How sessions behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Obey,
    /// No session can be opened.
    Refuse,
    /// Accepts everything and never replies.
    Silent,
    /// Executes everything but dispatches, which never end.
    Hang,
    /// Passes nothing on.
    Clogged,
    /// Ends at the first command that needs a reply.
    Die,
    /// Has no memory for buffers and kernels.
    Poor,
    /// Replies to a wait or to the creation of a buffer with data.
    WrongKind,
    /// Returns more data than was asked for.
    TooMuch,
    /// Describes kernels that no device has.
    Implausible,
    /// Replies to what needs no reply.
    Chatty,
    /// Returns data in bytes.
    Crumbs,
}

/// What is known of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) commands: Vec<String>,
    pub(crate) opened: usize,
    pub(crate) alive: usize,
    pub(crate) waits: usize,
    /// What the next reply with data interrupts.
    pub(crate) interrupted: Option<InterruptHandle>,
}

/// The host's devices: a GPU, a second one, and a driver on the processor.
pub(crate) struct FakeGpu {
    devices: Vec<Device>,
    pub(crate) behavior: Mutex<Behavior>,
    log: Arc<Mutex<Log>>,
}

impl FakeGpu {
    pub(crate) fn new(behavior: Behavior) -> Arc<FakeGpu> {
        let device = |kind, name: &str| Device {
            kind,
            name: name.to_owned(),
        };
        Arc::new(FakeGpu {
            devices: vec![
                device(GpuKind::Cpu, "soft"),
                device(GpuKind::Discrete, "first"),
                device(GpuKind::Integrated, &"ü".repeat(100)),
            ],
            behavior: Mutex::new(behavior),
            log: Arc::default(),
        })
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    /// Returns the commands since the last call of this.
    pub(crate) fn take_commands(&self) -> Vec<String> {
        std::mem::take(&mut self.log().commands)
    }
}

impl Gpu for FakeGpu {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn open(&self, device: usize, max_memory_bytes: u64) -> io::Result<Box<dyn Session>> {
        let behavior = *self.behavior.lock().unwrap();
        let mut log = self.log();
        log.commands.push(format!("open {device} {max_memory_bytes}"));
        if behavior == Behavior::Refuse {
            return Err(io::ErrorKind::Other.into());
        }
        log.opened += 1;
        log.alive += 1;
        Ok(Box::new(FakeSession {
            behavior,
            log: self.log.clone(),
            buffers: BTreeMap::new(),
            kernels: BTreeMap::new(),
            replies: vec![Answer::Ready],
            current: Answer::Ready,
            is_hanging: false,
        }))
    }
}

enum Answer {
    Ready,
    OutOfMemory,
    Kernel(KernelInfo),
    Invalid(String),
    Data(Vec<u8>),
}

struct FakeSession {
    behavior: Behavior,
    log: Arc<Mutex<Log>>,
    buffers: BTreeMap<u32, Vec<u8>>,
    kernels: BTreeMap<u32, String>,
    replies: Vec<Answer>,
    current: Answer,
    is_hanging: bool,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.log.lock().unwrap().alive -= 1;
    }
}

/// The kernels: `double` doubles words in place, `add` adds a uniform word to the words of the first resource and stores the
/// sums in the second, and `many` has as many resources as WebGPU allows. `wide` is `double` with workgroups of 256.
fn describe(source: &str) -> Option<KernelInfo> {
    let binding = |binding, kind, min_size| BindingInfo {
        binding,
        kind,
        min_size,
    };
    let (workgroup_size, bindings) = match source {
        "double" => ([64, 1, 1], vec![binding(3, BindingKind::Storage, 4)]),
        "wide" => ([4, 8, 8], vec![binding(3, BindingKind::Storage, 4)]),
        "add" => (
            [1, 1, 1],
            vec![
                binding(0, BindingKind::Uniform, 16),
                binding(1, BindingKind::ReadOnlyStorage, 4),
                binding(2, BindingKind::Storage, 4),
            ],
        ),
        "two" => (
            [1, 1, 1],
            vec![
                binding(0, BindingKind::Storage, 4),
                binding(1, BindingKind::Storage, 4),
            ],
        ),
        "none" => ([1, 1, 1], vec![]),
        _ => return None,
    };
    Some(KernelInfo {
        workgroup_size,
        bindings,
    })
}

fn implausible(n: usize) -> KernelInfo {
    let binding = |binding| BindingInfo {
        binding,
        kind: BindingKind::Storage,
        min_size: 4,
    };
    let (workgroup_size, bindings) = match n % 5 {
        0 => ([0, 1, 1], vec![]),
        1 => ([257, 1, 1], vec![]),
        2 => ([u32::MAX; 3], vec![]),
        3 => ([1; 3], vec![binding(1), binding(1)]),
        _ => ([1; 3], (0..9).map(binding).collect()),
    };
    KernelInfo {
        workgroup_size,
        bindings,
    }
}

impl FakeSession {
    fn words(&self, binding: &Binding) -> Vec<u32> {
        let bytes = &self.buffers[&binding.buffer][binding.at as usize..][..binding.size as usize];
        let words = bytes
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        words.collect()
    }

    fn store(&mut self, binding: &Binding, words: impl Iterator<Item = u32>) {
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let buffer = self.buffers.get_mut(&binding.buffer).unwrap();
        buffer[binding.at as usize..][..bytes.len()].copy_from_slice(&bytes);
    }

    fn dispatch(&mut self, dispatch: &Dispatch) {
        let bindings = &dispatch.bindings;
        match self.kernels[&dispatch.kernel].as_str() {
            "double" | "wide" => {
                let words = self.words(&bindings[0]);
                self.store(&bindings[0], words.into_iter().map(|word| word.wrapping_mul(2)));
            }
            "add" => {
                let added = self.words(&bindings[0])[0];
                let words = self.words(&bindings[1]);
                self.store(
                    &bindings[2],
                    words.into_iter().map(|word| word.wrapping_add(added)),
                );
            }
            _ => {}
        }
    }

    fn answer(&mut self, reply: Answer) {
        self.replies.push(reply);
    }

    fn execute(&mut self, command: &Command<'_>) {
        match command {
            Command::CreateBuffer { .. } | Command::CreateKernel { .. }
                if self.behavior == Behavior::Poor =>
            {
                self.answer(Answer::OutOfMemory);
            }
            Command::CreateBuffer { buffer, size, .. } => {
                // The size is limited by the scope of the test.
                assert!(!self.buffers.contains_key(buffer), "{command:?}");
                self.buffers.insert(*buffer, vec![0; *size as usize]);
                self.answer(Answer::Ready);
            }
            Command::CreateKernel { kernel, source, .. } => {
                assert!(!self.kernels.contains_key(kernel), "{command:?}");
                let info = match self.behavior {
                    Behavior::Implausible => Some(implausible(self.log.lock().unwrap().opened)),
                    _ => describe(source),
                };
                match info {
                    Some(info) => {
                        self.kernels.insert(*kernel, (*source).to_owned());
                        self.answer(Answer::Kernel(info));
                    }
                    None => self.answer(Answer::Invalid(format!("ünknown shader `{source}`"))),
                }
            }
            Command::Write { buffer, at, bytes } => {
                assert!(bytes.len() <= PIECE as usize);
                let buffer = self.buffers.get_mut(buffer).unwrap();
                buffer[*at as usize..][..bytes.len()].copy_from_slice(bytes);
                if self.behavior == Behavior::Chatty {
                    self.answer(Answer::Ready);
                }
            }
            Command::Submit(list) => list.iter().for_each(|dispatch| self.dispatch(dispatch)),
            Command::Wait => self.answer(Answer::Ready),
            Command::Read { buffer, at, size } => {
                let mut bytes = self.buffers[buffer][*at as usize..][..*size as usize].to_vec();
                if self.behavior == Behavior::TooMuch {
                    bytes.extend([0; 4]);
                }
                let size = match self.behavior {
                    Behavior::Crumbs => 1,
                    _ => PIECE as usize,
                };
                for piece in bytes.chunks(size) {
                    self.answer(Answer::Data(piece.to_vec()));
                }
            }
            Command::FreeBuffer(buffer) => drop(self.buffers.remove(buffer).unwrap()),
            Command::FreeKernel(kernel) => drop(self.kernels.remove(kernel).unwrap()),
        }
    }
}

impl Session for FakeSession {
    fn send(&mut self, command: &Command<'_>) -> Result<(), Lost> {
        let text = match command {
            Command::Write { buffer, at, bytes } => format!("Write {buffer} {at} {}", bytes.len()),
            command => format!("{command:?}"),
        };
        self.log.lock().unwrap().commands.push(text);
        self.is_hanging |= matches!(command, Command::Submit(_)) && self.behavior == Behavior::Hang;
        match (self.behavior, command) {
            _ if self.is_hanging => {}
            (Behavior::Silent, _) => {}
            (Behavior::Die, Command::Wait | Command::Read { .. } | Command::CreateBuffer { .. }) => {
                return Err(Lost);
            }
            (Behavior::WrongKind, Command::Wait | Command::CreateBuffer { .. }) => {
                self.answer(Answer::Data(vec![0; 4]));
            }
            _ => self.execute(command),
        }
        Ok(())
    }

    fn is_sent(&mut self) -> Result<bool, Lost> {
        Ok(self.behavior != Behavior::Clogged)
    }

    fn receive(&mut self) -> Result<Option<Reply<'_>>, Lost> {
        if self.replies.is_empty() {
            return Ok(None);
        }
        self.current = self.replies.remove(0);
        if let Answer::Data(_) = self.current
            && let Some(handle) = self.log.lock().unwrap().interrupted.take()
        {
            handle.interrupt();
        }
        Ok(Some(match &self.current {
            Answer::Ready => Reply::Ready,
            Answer::OutOfMemory => Reply::OutOfMemory,
            Answer::Kernel(info) => Reply::Kernel(info.clone()),
            Answer::Invalid(text) => Reply::Invalid(text),
            Answer::Data(bytes) => Reply::Data(bytes),
        }))
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), Lost> {
        assert!(timeout <= Duration::from_millis(1));
        self.log.lock().unwrap().waits += 1;
        thread::sleep(timeout);
        Ok(())
    }
}
