//! What executes the GPU's work: devices, and sessions with them, which commands and replies pass through.

use dynload_caps::GpuKind;
use std::{boxed::Box, fmt, io, string::String, time::Duration, vec::Vec};

/// The devices of a host.
///
/// The sandbox checks handles, sizes, alignments, layouts and limits, counts memory and invocations, and charges fuel before a
/// command reaches a session. A session only executes.
pub trait Gpu: Send + Sync {
    /// Returns the devices. The list never changes.
    fn devices(&self) -> &[Device];

    /// Opens a session with the device of that index, for one instance alone. It starts with no buffer and no kernel.
    ///
    /// Returns at once: what takes time happens before the first reply, [`Reply::Ready`].
    ///
    /// # Errors
    ///
    /// The error of the system if no session can be started.
    fn open(&self, device: usize, max_memory_bytes: u64) -> io::Result<Box<dyn Session>>;
}

/// One instance's use of one device.
///
/// Commands are executed in order. No function waits, except [`wait`](Session::wait). Dropping a session returns at once and
/// ends whatever it executes; cleaning up happens elsewhere.
pub trait Session: Send {
    /// Accepts a command, even if earlier ones are not passed on yet.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the session has ended.
    fn send(&mut self, command: &Command<'_>) -> Result<(), Lost>;

    /// Passes commands on as far as possible without waiting. Returns whether all of them are.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the session has ended.
    fn is_sent(&mut self) -> Result<bool, Lost>;

    /// Returns the next reply, if it has arrived. Also passes commands on.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the session has ended, or does not keep to the protocol.
    fn receive(&mut self) -> Result<Option<Reply<'_>>, Lost>;

    /// Waits at most `timeout` until a command can be passed on or a reply has arrived.
    ///
    /// # Errors
    ///
    /// [`Lost`] if it cannot wait.
    fn wait(&mut self, timeout: Duration) -> Result<(), Lost>;
}

/// A session that has ended, for whatever reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session with the GPU has ended")
    }
}

impl std::error::Error for Lost {}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its kind.
    pub kind: GpuKind,
    /// Its name, as its driver reports it.
    pub name: String,
}

/// What a session executes. Numbers of buffers and kernels are indices that the sandbox assigns, below [`MAX_BUFFERS`] and
/// [`MAX_KERNELS`]; a number is assigned again only after [`FreeBuffer`](Command::FreeBuffer) or
/// [`FreeKernel`](Command::FreeKernel).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// Creates a buffer of zeros. Answered by [`Reply::Ready`] or [`Reply::OutOfMemory`].
    CreateBuffer {
        /// Its number.
        buffer: u32,
        /// Its size in bytes, a multiple of 4.
        size: u64,
        /// What it can be bound as.
        usage: BufferUsage,
    },
    /// Compiles a shader. Answered by [`Reply::Kernel`], [`Reply::Invalid`] or [`Reply::OutOfMemory`].
    CreateKernel {
        /// Its number.
        kernel: u32,
        /// The source text in WGSL.
        source: &'a str,
        /// The name of the entry point, a function with the attribute `@compute`.
        entry_point: &'a str,
    },
    /// Writes to a buffer. Not answered.
    Write {
        /// The buffer.
        buffer: u32,
        /// The offset in bytes, a multiple of 4.
        at: u64,
        /// The bytes: at most [`PIECE`], and a multiple of 4.
        bytes: &'a [u8],
    },
    /// Executes the dispatches in order; each sees what the earlier ones wrote. Not answered.
    Submit(&'a [Dispatch]),
    /// Answered by [`Reply::Ready`] when everything before it has been executed.
    Wait,
    /// Reads from a buffer, after everything before it has been executed. Answered by [`Reply::Data`], as often as it takes.
    Read {
        /// The buffer.
        buffer: u32,
        /// The offset in bytes, a multiple of 4.
        at: u64,
        /// The number of bytes, a multiple of 4.
        size: u64,
    },
    /// Frees a buffer. Not answered.
    FreeBuffer(u32),
    /// Frees a kernel. Not answered.
    FreeKernel(u32),
}

/// What a buffer can be bound as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferUsage {
    /// As `var<storage>`.
    pub storage: bool,
    /// As `var<uniform>`.
    pub uniform: bool,
}

/// One execution of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: u32,
    /// The number of workgroups in each dimension, each from 1 to [`MAX_WORKGROUPS`].
    pub workgroups: [u32; 3],
    /// What is bound, in the order of the kernel's [`KernelInfo::bindings`].
    pub bindings: Vec<Binding>,
}

/// A part of a buffer as a resource of a dispatch, in the bind group 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The number in the shader's `@binding`.
    pub binding: u32,
    /// The buffer.
    pub buffer: u32,
    /// The offset in bytes, a multiple of [`BINDING_ALIGNMENT`].
    pub at: u64,
    /// The number of bytes, a multiple of 4.
    pub size: u64,
}

/// The answer of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The session is open, the buffer exists, or everything has been executed.
    Ready,
    /// There is not enough memory.
    OutOfMemory,
    /// The kernel is compiled.
    Kernel(KernelInfo),
    /// The shader is invalid: the message of the compiler, at most [`MAX_MESSAGE_BYTES`].
    Invalid(&'a str),
    /// The next bytes of the buffer, at least one and at most [`PIECE`].
    Data(&'a [u8]),
}

/// What a session knows of a kernel that it compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelInfo {
    /// The shader's `@workgroup_size`.
    pub workgroup_size: [u32; 3],
    /// The resources that the entry point uses, all in the bind group 0, in ascending order of their numbers.
    pub bindings: Vec<BindingInfo>,
}

/// A resource of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingInfo {
    /// The number in the shader's `@binding`.
    pub binding: u32,
    /// What can be bound.
    pub kind: BindingKind,
    /// The minimum size in bytes: that of the type, with one element of a runtime-sized array.
    pub min_size: u64,
}

/// The address space and access of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// `var<uniform>`.
    Uniform,
    /// `var<storage, read>`.
    ReadOnlyStorage,
    /// `var<storage, read_write>`.
    Storage,
}

/// The maximum number of buffers of an instance.
pub const MAX_BUFFERS: u32 = 256;

/// The maximum number of kernels of an instance.
pub const MAX_KERNELS: u32 = 64;

/// The maximum number of bytes that one [`Command::Write`] or [`Reply::Data`] carries.
pub const PIECE: u32 = 256 << 10;

/// The maximum length of a compiler's message, in bytes.
pub const MAX_MESSAGE_BYTES: u32 = 4096;

/// The maximum length of an entry point's name, in bytes.
pub const MAX_ENTRY_POINT_BYTES: u32 = 255;

/// The maximum number of dispatches in one list.
pub const MAX_DISPATCHES: u32 = 256;

/// The maximum number of workgroups in one dimension: `maxComputeWorkgroupsPerDimension` in WebGPU.
pub const MAX_WORKGROUPS: u32 = 65_535;

/// The maximum number of invocations in a workgroup: `maxComputeInvocationsPerWorkgroup` in WebGPU.
pub const MAX_WORKGROUP_SIZE: u32 = 256;

/// The maximum number of storage resources of a kernel: `maxStorageBuffersPerShaderStage` in WebGPU.
pub const MAX_STORAGE_BINDINGS: u32 = 8;

/// The maximum number of uniform resources of a kernel: `maxUniformBuffersPerShaderStage` in WebGPU.
pub const MAX_UNIFORM_BINDINGS: u32 = 12;

/// The maximum size of a buffer in bytes: `maxBufferSize` in WebGPU.
pub const MAX_BUFFER_BYTES: u64 = 256 << 20;

/// The maximum size of a storage resource in bytes: `maxStorageBufferBindingSize` in WebGPU.
pub const MAX_STORAGE_BINDING_BYTES: u64 = 128 << 20;

/// The maximum size of a uniform resource in bytes: `maxUniformBufferBindingSize` in WebGPU.
pub const MAX_UNIFORM_BINDING_BYTES: u64 = 64 << 10;

/// The alignment of a resource's offset in bytes: `minStorageBufferOffsetAlignment` in WebGPU.
pub const BINDING_ALIGNMENT: u64 = 256;
