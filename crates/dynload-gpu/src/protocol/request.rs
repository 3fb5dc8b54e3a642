//! What the host sends.

use super::{
    MAX_BINDINGS, MAX_NAME_BYTES, MAX_SOURCE_BYTES, Malformed,
    fields::{Reader, Writer},
};
use dynload_sandbox::gpu::{
    Binding, BufferUsage, Command, Device, Dispatch, MAX_BUFFERS, MAX_DISPATCHES, MAX_ENTRY_POINT_BYTES,
    MAX_KERNELS, PIECE,
};

const OPEN: u8 = 1;
const CREATE_BUFFER: u8 = 2;
const CREATE_KERNEL: u8 = 3;
const WRITE: u8 = 4;
const SUBMIT: u8 = 5;
const WAIT: u8 = 6;
const READ: u8 = 7;
const FREE_BUFFER: u8 = 8;
const FREE_KERNEL: u8 = 9;
const WRITE_SHARED: u8 = 10;
const READ_SHARED: u8 = 11;

const STORAGE: u8 = 1;
const UNIFORM: u8 = 2;

/// A frame of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// Opens a device. Answered like [`Command::Wait`].
    Open {
        /// Its index in the worker's list.
        index: u32,
        /// The device at that index in the host's list. The worker's list may be another one, if devices have come or gone.
        device: Device,
        /// The memory that the instance may use.
        max_memory_bytes: u64,
        /// Whether the worker's standard output is memory to share.
        has_window: bool,
    },
    /// [`Command::Write`], with the bytes in the shared memory.
    WriteShared {
        /// The buffer.
        buffer: u32,
        /// The offset in the buffer, in bytes.
        at: u64,
        /// Where the bytes are in the host's half of the shared memory.
        from: u32,
        /// Their number, at most [`PIECE`].
        size: u32,
    },
    /// [`Command::Read`]. The answers may be in the shared memory, of which the host needs nothing any more.
    ReadShared {
        /// The buffer.
        buffer: u32,
        /// The offset in the buffer, in bytes.
        at: u64,
        /// The number of bytes.
        size: u64,
    },
    /// Anything else.
    Command(Command<'a>),
}

impl<'a> Request<'a> {
    /// Writes the frame to `head`, which is cleared first, except for the bytes that are returned: they are its end.
    pub fn encode<'b>(&'b self, head: &mut Vec<u8>) -> &'b [u8] {
        match self {
            Request::Open {
                index,
                device,
                max_memory_bytes,
                has_window,
            } => {
                let mut writer = Writer::new(head, OPEN);
                writer.u32(*index);
                writer.kind(device.kind);
                writer.text(&device.name);
                writer.u64(*max_memory_bytes);
                writer.u8(u8::from(*has_window));
                writer.end(&[])
            }
            Request::WriteShared {
                buffer,
                at,
                from,
                size,
            } => {
                let mut writer = Writer::new(head, WRITE_SHARED);
                writer.u32(*buffer);
                writer.u64(*at);
                writer.u32(*from);
                writer.u32(*size);
                writer.end(&[])
            }
            Request::ReadShared { buffer, at, size } => encode_read(READ_SHARED, [*at, *size], *buffer, head),
            Request::Command(command) => encode_command(command, head),
        }
    }

    /// Reads a frame. `dispatches` is where the list of a [`Command::Submit`] is put.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not a frame of the host.
    pub fn decode(frame: &'a [u8], dispatches: &'a mut Vec<Dispatch>) -> Result<Request<'a>, Malformed> {
        let mut reader = Reader::new(frame);
        let command = match reader.u8()? {
            OPEN => {
                let index = reader.u32()?;
                let kind = reader.kind()?;
                let name = reader.text(MAX_NAME_BYTES)?.to_owned();
                let max_memory_bytes = reader.u64()?;
                let has_window = reader.u8()? == 1;
                reader.end()?;
                return Ok(Request::Open {
                    index,
                    device: Device { kind, name },
                    max_memory_bytes,
                    has_window,
                });
            }
            WRITE_SHARED => {
                let (buffer, at) = (reader.below(MAX_BUFFERS)?, reader.u64()?);
                let (from, size) = reader.part()?;
                reader.end()?;
                return Ok(Request::WriteShared {
                    buffer,
                    at,
                    from,
                    size,
                });
            }
            READ_SHARED => {
                let (buffer, at, size) = (reader.below(MAX_BUFFERS)?, reader.u64()?, reader.u64()?);
                reader.end()?;
                return Ok(Request::ReadShared { buffer, at, size });
            }
            CREATE_KERNEL => {
                let kernel = reader.below(MAX_KERNELS)?;
                let entry_point = reader.text(MAX_ENTRY_POINT_BYTES as usize)?;
                let source = reader.rest(MAX_SOURCE_BYTES)?;
                Command::CreateKernel {
                    kernel,
                    source: str::from_utf8(source).map_err(|_| Malformed)?,
                    entry_point,
                }
            }
            WRITE => Command::Write {
                buffer: reader.below(MAX_BUFFERS)?,
                at: reader.u64()?,
                bytes: reader.rest(PIECE as usize)?,
            },
            SUBMIT => {
                dispatches.clear();
                for _ in 0..reader.below(MAX_DISPATCHES + 1)? {
                    dispatches.push(dispatch(&mut reader)?);
                }
                reader.end()?;
                Command::Submit(dispatches)
            }
            tag => {
                let command = match tag {
                    CREATE_BUFFER => Command::CreateBuffer {
                        buffer: reader.below(MAX_BUFFERS)?,
                        size: reader.u64()?,
                        usage: usage(reader.u8()?)?,
                    },
                    WAIT => Command::Wait,
                    READ => Command::Read {
                        buffer: reader.below(MAX_BUFFERS)?,
                        at: reader.u64()?,
                        size: reader.u64()?,
                    },
                    FREE_BUFFER => Command::FreeBuffer(reader.below(MAX_BUFFERS)?),
                    FREE_KERNEL => Command::FreeKernel(reader.below(MAX_KERNELS)?),
                    _ => return Err(Malformed),
                };
                reader.end()?;
                command
            }
        };
        Ok(Request::Command(command))
    }
}

fn encode_command<'b>(command: &Command<'b>, head: &mut Vec<u8>) -> &'b [u8] {
    match command {
        Command::CreateBuffer { buffer, size, usage } => {
            let mut writer = Writer::new(head, CREATE_BUFFER);
            writer.u32(*buffer);
            writer.u64(*size);
            let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
            writer.u8(bit(usage.storage, STORAGE) | bit(usage.uniform, UNIFORM));
            writer.end(&[])
        }
        Command::CreateKernel {
            kernel,
            source,
            entry_point,
        } => {
            let mut writer = Writer::new(head, CREATE_KERNEL);
            writer.u32(*kernel);
            writer.text(entry_point);
            writer.end(source.as_bytes())
        }
        Command::Write { buffer, at, bytes } => {
            let mut writer = Writer::new(head, WRITE);
            writer.u32(*buffer);
            writer.u64(*at);
            writer.end(bytes)
        }
        Command::Submit(dispatches) => {
            let mut writer = Writer::new(head, SUBMIT);
            writer.length(dispatches.len());
            for dispatch in *dispatches {
                encode_dispatch(dispatch, &mut writer);
            }
            writer.end(&[])
        }
        Command::Wait => Writer::new(head, WAIT).end(&[]),
        Command::Read { buffer, at, size } => encode_read(READ, [*at, *size], *buffer, head),
        Command::FreeBuffer(number) | Command::FreeKernel(number) => {
            let is_buffer = matches!(command, Command::FreeBuffer(_));
            let mut writer = Writer::new(head, if is_buffer { FREE_BUFFER } else { FREE_KERNEL });
            writer.u32(*number);
            writer.end(&[])
        }
    }
}

fn encode_read(tag: u8, [at, size]: [u64; 2], buffer: u32, head: &mut Vec<u8>) -> &'static [u8] {
    let mut writer = Writer::new(head, tag);
    writer.u32(buffer);
    writer.u64(at);
    writer.u64(size);
    writer.end(&[])
}

fn encode_dispatch(dispatch: &Dispatch, writer: &mut Writer<'_>) {
    writer.u32(dispatch.kernel);
    dispatch.workgroups.iter().for_each(|count| writer.u32(*count));
    writer.length(dispatch.bindings.len());
    for binding in &dispatch.bindings {
        writer.u32(binding.binding);
        writer.u32(binding.buffer);
        writer.u64(binding.at);
        writer.u64(binding.size);
    }
}

fn dispatch(reader: &mut Reader<'_>) -> Result<Dispatch, Malformed> {
    let kernel = reader.below(MAX_KERNELS)?;
    let workgroups = [reader.u32()?, reader.u32()?, reader.u32()?];
    let mut bindings = Vec::new();
    for _ in 0..reader.below(MAX_BINDINGS as u32 + 1)? {
        bindings.push(Binding {
            binding: reader.u32()?,
            buffer: reader.below(MAX_BUFFERS)?,
            at: reader.u64()?,
            size: reader.u64()?,
        });
    }
    Ok(Dispatch {
        kernel,
        workgroups,
        bindings,
    })
}

fn usage(bits: u8) -> Result<BufferUsage, Malformed> {
    if bits & !(STORAGE | UNIFORM) != 0 {
        return Err(Malformed);
    }
    Ok(BufferUsage {
        storage: bits & STORAGE != 0,
        uniform: bits & UNIFORM != 0,
    })
}
