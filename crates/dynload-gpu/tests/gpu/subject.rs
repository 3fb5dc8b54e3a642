//! Sessions, one command at a time.

use dynload_gpu::Workers;
use dynload_sandbox::gpu::{
    Binding, BufferUsage, Command, Dispatch, Gpu, KernelInfo, Lost, PIECE, Reply, Session,
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// How long anything may take that must not take long. Drivers compile slowly on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const STORAGE: BufferUsage = BufferUsage {
    storage: true,
    uniform: false,
};

pub(crate) const UNIFORM: BufferUsage = BufferUsage {
    storage: false,
    uniform: true,
};

/// Memory that no test exceeds by accident.
pub(crate) const MEMORY: u64 = 256 << 20;

/// The variable that marks the workers of one test.
const MARK: &str = "DYNLOAD_TEST";

/// The workers of one test.
pub(crate) struct Marked {
    pub(crate) workers: Workers,
    mark: &'static str,
}

impl Marked {
    /// Starts workers if there is a device, and says so otherwise.
    pub(crate) fn start(mark: &'static str) -> Option<Marked> {
        let worker = env!("CARGO_BIN_EXE_dynload-gpu-worker");
        let workers = Workers::with_variables(worker, [(MARK, mark)]).unwrap();
        if workers.devices().is_empty() {
            assert!(
                std::env::var_os("DYNLOAD_REQUIRE_GPU").is_none(),
                "there is no Vulkan device: install mesa-vulkan-drivers and libvulkan1"
            );
            println!("not tested: there is no Vulkan device");
            return None;
        }
        Some(Marked { workers, mark })
    }

    /// Opens the first device.
    pub(crate) fn open(&self) -> Subject {
        Subject::open(&self.workers, MEMORY)
    }

    /// Returns the process of the only worker.
    pub(crate) fn process(&self) -> u32 {
        let processes = processes(self.mark);
        let [process] = processes[..] else {
            panic!("{processes:?}")
        };
        process
    }

    /// Drops the workers, and waits until none of their processes is left.
    pub(crate) fn end(self) {
        let Marked { workers, mark } = self;
        drop(workers);
        eventually("a worker is left", || processes(mark).is_empty());
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the processes with a mark.
fn processes(mark: &str) -> Vec<u32> {
    let mark = format!("{MARK}={mark}").into_bytes();
    let has_mark = |process: &u32| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(has_mark)
        .collect()
}

/// A session that waits for its replies.
pub(crate) struct Subject(pub(crate) Box<dyn Session>);

/// A reply without borrows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Ready,
    OutOfMemory,
    Kernel(KernelInfo),
    Invalid(String),
    Data(Vec<u8>),
}

impl Subject {
    /// Opens the first device.
    pub(crate) fn open(gpu: &dyn Gpu, max_memory_bytes: u64) -> Subject {
        let mut subject = Subject(gpu.open(0, max_memory_bytes).unwrap());
        assert_eq!(subject.answer(), Ok(Answer::Ready));
        subject
    }

    /// Waits for the next reply.
    pub(crate) fn answer(&mut self) -> Result<Answer, Lost> {
        self.answer_within(PATIENCE)
            .map(|answer| answer.expect("no reply in time"))
    }

    /// Waits for the next reply until a deadline.
    pub(crate) fn answer_within(&mut self, time: Duration) -> Result<Option<Answer>, Lost> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(reply) = self.0.receive()? {
                return Ok(Some(match reply {
                    Reply::Ready => Answer::Ready,
                    Reply::OutOfMemory => Answer::OutOfMemory,
                    Reply::Kernel(info) => Answer::Kernel(info),
                    Reply::Invalid(message) => Answer::Invalid(message.to_owned()),
                    Reply::Data(bytes) => Answer::Data(bytes.to_vec()),
                }));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.0.wait(left)?;
        }
    }

    pub(crate) fn send(&mut self, command: &Command<'_>) {
        self.0.send(command).unwrap();
    }

    /// Creates a buffer.
    pub(crate) fn buffer(&mut self, buffer: u32, size: u64, usage: BufferUsage) -> Answer {
        self.send(&Command::CreateBuffer { buffer, size, usage });
        self.answer().unwrap()
    }

    /// Creates a kernel from its entry point `main`.
    pub(crate) fn kernel(&mut self, kernel: u32, source: &str) -> Answer {
        self.send(&Command::CreateKernel {
            kernel,
            source,
            entry_point: "main",
        });
        self.answer().unwrap()
    }

    pub(crate) fn write(&mut self, buffer: u32, at: u64, bytes: &[u8]) {
        for (n, piece) in bytes.chunks(PIECE as usize).enumerate() {
            self.send(&Command::Write {
                buffer,
                at: at + n as u64 * u64::from(PIECE),
                bytes: piece,
            });
        }
    }

    pub(crate) fn read(&mut self, buffer: u32, at: u64, size: u64) -> Vec<u8> {
        self.send(&Command::Read { buffer, at, size });
        self.data(size)
    }

    /// Waits for bytes.
    pub(crate) fn data(&mut self, size: u64) -> Vec<u8> {
        let mut all = Vec::new();
        while (all.len() as u64) < size {
            match self.answer().unwrap() {
                Answer::Data(bytes) => all.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// Executes one dispatch.
    pub(crate) fn dispatch(&mut self, kernel: u32, workgroups: [u32; 3], bindings: &[Binding]) {
        self.send(&Command::Submit(&[Dispatch {
            kernel,
            workgroups,
            bindings: bindings.to_vec(),
        }]));
    }

    pub(crate) fn finish(&mut self) -> Result<Answer, Lost> {
        self.0.send(&Command::Wait)?;
        self.answer()
    }
}

/// Binds the first bytes of a buffer.
pub(crate) fn bind(binding: u32, buffer: u32, size: u64) -> Binding {
    Binding {
        binding,
        buffer,
        at: 0,
        size,
    }
}

pub(crate) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn words(bytes: &[u8]) -> Vec<u32> {
    let (words, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    words.iter().map(|word| u32::from_le_bytes(*word)).collect()
}
