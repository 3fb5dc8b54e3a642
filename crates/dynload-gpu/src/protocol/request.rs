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
            } => {
                let mut writer = Writer::new(head, OPEN);
                writer.u32(*index);
                writer.kind(device.kind);
                writer.text(&device.name);
                writer.u64(*max_memory_bytes);
                writer.end(&[])
            }
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
                reader.end()?;
                return Ok(Request::Open {
                    index,
                    device: Device { kind, name },
                    max_memory_bytes,
                });
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
        Command::Read { buffer, at, size } => {
            let mut writer = Writer::new(head, READ);
            writer.u32(*buffer);
            writer.u64(*at);
            writer.u64(*size);
            writer.end(&[])
        }
        Command::FreeBuffer(number) | Command::FreeKernel(number) => {
            let is_buffer = matches!(command, Command::FreeBuffer(_));
            let mut writer = Writer::new(head, if is_buffer { FREE_BUFFER } else { FREE_KERNEL });
            writer.u32(*number);
            writer.end(&[])
        }
    }
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
