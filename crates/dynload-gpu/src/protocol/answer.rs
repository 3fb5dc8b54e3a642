//! What the worker sends.

use super::{
    MAX_BINDINGS, MAX_DEVICES, MAX_NAME_BYTES, Malformed, VERSION,
    fields::{Reader, Writer},
};
use dynload_sandbox::gpu::{
    BindingInfo, BindingKind, Device, KernelInfo, MAX_MESSAGE_BYTES, MAX_STORAGE_BINDINGS,
    MAX_UNIFORM_BINDINGS, MAX_WORKGROUP_SIZE, PIECE, Reply,
};

const HELLO: u8 = 1;
const READY: u8 = 2;
const OUT_OF_MEMORY: u8 = 3;
const KERNEL: u8 = 4;
const INVALID: u8 = 5;
const DATA: u8 = 6;
const SHARED: u8 = 7;

/// The first bytes of the first frame, before the version.
const MAGIC: [u8; 4] = *b"dlgp";

/// The kinds of bindings; a kind's number is its index.
const KINDS: [BindingKind; 3] = [
    BindingKind::Uniform,
    BindingKind::ReadOnlyStorage,
    BindingKind::Storage,
];

/// A frame of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The first frame.
    Hello {
        /// The version of the worker's protocol.
        version: u32,
        /// The devices that it found. None if the version is another one.
        devices: Vec<Device>,
    },
    /// [`Reply::Data`], with the bytes in the shared memory.
    Shared {
        /// Where they are in the worker's half of the shared memory.
        from: u32,
        /// Their number, from 1 to [`PIECE`].
        size: u32,
    },
    /// The answer to a request.
    Reply(Reply<'a>),
}

impl<'a> Answer<'a> {
    /// Writes the frame to `head`, which is cleared first, except for the bytes that are returned: they are its end.
    pub fn encode<'b>(&'b self, head: &mut Vec<u8>) -> &'b [u8] {
        match self {
            Answer::Hello { version, devices } => {
                let mut writer = Writer::new(head, HELLO);
                MAGIC.iter().for_each(|byte| writer.u8(*byte));
                writer.u32(*version);
                writer.length(devices.len());
                for device in devices {
                    writer.kind(device.kind);
                    writer.text(&device.name);
                }
                writer.end(&[])
            }
            Answer::Shared { from, size } => {
                let mut writer = Writer::new(head, SHARED);
                writer.u32(*from);
                writer.u32(*size);
                writer.end(&[])
            }
            Answer::Reply(Reply::Ready) => Writer::new(head, READY).end(&[]),
            Answer::Reply(Reply::OutOfMemory) => Writer::new(head, OUT_OF_MEMORY).end(&[]),
            Answer::Reply(Reply::Invalid(message)) => Writer::new(head, INVALID).end(message.as_bytes()),
            Answer::Reply(Reply::Data(bytes)) => Writer::new(head, DATA).end(bytes),
            Answer::Reply(Reply::Kernel(info)) => {
                let mut writer = Writer::new(head, KERNEL);
                info.workgroup_size.iter().for_each(|size| writer.u32(*size));
                writer.length(info.bindings.len());
                for binding in &info.bindings {
                    writer.u32(binding.binding);
                    let number = KINDS.iter().position(|kind| *kind == binding.kind);
                    writer.u8(number.unwrap_or(KINDS.len()) as u8);
                    writer.u64(binding.min_size);
                }
                writer.end(&[])
            }
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not a frame of a worker.
    pub fn decode(frame: &'a [u8]) -> Result<Answer<'a>, Malformed> {
        let mut reader = Reader::new(frame);
        let reply = match reader.u8()? {
            HELLO => return hello(reader),
            SHARED => {
                let (from, size) = reader.part()?;
                reader.end()?;
                return Ok(Answer::Shared { from, size });
            }
            READY => {
                reader.end()?;
                Reply::Ready
            }
            OUT_OF_MEMORY => {
                reader.end()?;
                Reply::OutOfMemory
            }
            KERNEL => Reply::Kernel(kernel(reader)?),
            INVALID => {
                let message = reader.rest(MAX_MESSAGE_BYTES as usize)?;
                Reply::Invalid(str::from_utf8(message).map_err(|_| Malformed)?)
            }
            DATA => match reader.rest(PIECE as usize)? {
                [] => return Err(Malformed),
                bytes => Reply::Data(bytes),
            },
            _ => return Err(Malformed),
        };
        Ok(Answer::Reply(reply))
    }
}

fn hello(mut reader: Reader<'_>) -> Result<Answer<'_>, Malformed> {
    for byte in MAGIC {
        if reader.u8()? != byte {
            return Err(Malformed);
        }
    }
    let version = reader.u32()?;
    let mut devices = Vec::new();
    // What follows in other versions is unknown.
    if version == VERSION {
        for _ in 0..reader.below(MAX_DEVICES as u32 + 1)? {
            let kind = reader.kind()?;
            let name = reader.text(MAX_NAME_BYTES)?.to_owned();
            devices.push(Device { kind, name });
        }
        reader.end()?;
    }
    Ok(Answer::Hello { version, devices })
}

/// Reads what the worker says of a kernel, and refuses what the sandbox could not count with.
fn kernel(mut reader: Reader<'_>) -> Result<KernelInfo, Malformed> {
    let workgroup_size = [reader.u32()?, reader.u32()?, reader.u32()?];
    let product = workgroup_size
        .into_iter()
        .try_fold(1, |product: u32, size| product.checked_mul(size));
    if !product.is_some_and(|product| (1..=MAX_WORKGROUP_SIZE).contains(&product)) {
        return Err(Malformed);
    }
    let mut bindings: Vec<BindingInfo> = Vec::new();
    for _ in 0..reader.below(MAX_BINDINGS as u32 + 1)? {
        let binding = reader.u32()?;
        let kind = usize::from(reader.u8()?);
        let info = BindingInfo {
            binding,
            kind: *KINDS.get(kind).ok_or(Malformed)?,
            min_size: reader.u64()?,
        };
        if bindings.last().is_some_and(|last| last.binding >= binding) {
            return Err(Malformed);
        }
        bindings.push(info);
    }
    reader.end()?;
    let uniforms = bindings
        .iter()
        .filter(|info| info.kind == BindingKind::Uniform)
        .count();
    let storage = bindings.len() - uniforms;
    if uniforms > MAX_UNIFORM_BINDINGS as usize || storage > MAX_STORAGE_BINDINGS as usize {
        return Err(Malformed);
    }
    Ok(KernelInfo {
        workgroup_size,
        bindings,
    })
}
