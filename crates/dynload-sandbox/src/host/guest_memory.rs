//! Bounds-checked access to a guest's memory.

use crate::error::{Stop, Trap};
use core::fmt;

/// A pointer and a length from the guest that are outside its memory.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfBounds {
    /// The pointer.
    pub ptr: u32,
    /// The length in bytes.
    pub len: u64,
    /// The size of the memory in bytes.
    pub size: usize,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutOfBounds { ptr, len, size } = self;
        if *size == 0 {
            return write!(
                f,
                "cannot access {len} bytes at {ptr}: the guest exports no memory named `memory`, or an empty one"
            );
        }
        write!(
            f,
            "{len} bytes at {ptr} are outside the guest's memory of {size} bytes"
        )
    }
}

impl core::error::Error for OutOfBounds {}

dynload_diagnostics::debug_with_causes!(OutOfBounds);

impl From<OutOfBounds> for Stop {
    /// Ends the call with [`Trap::MemoryOutOfBounds`], the trap of a guest that makes such an access itself.
    ///
    /// If the guest has no memory, or an empty one, the call ends with [`ErrorKind::Host`](crate::ErrorKind::Host), and
    /// this error is the cause.
    fn from(outside: OutOfBounds) -> Stop {
        match outside.size {
            0 => Stop::host(outside),
            _ => Stop::trap(Trap::MemoryOutOfBounds),
        }
    }
}

/// The guest exports no memory named `memory`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest exports no memory named `memory`")
    }
}

impl core::error::Error for NoMemory {}

dynload_diagnostics::debug_with_causes!(NoMemory);

impl From<NoMemory> for Stop {
    fn from(none: NoMemory) -> Stop {
        Stop::host(none)
    }
}

/// The linear memory that the guest exports as `memory`.
///
/// Every access of a host function passes through here: the bounds are checked in one place, and no allocation is
/// sized by a length from the guest.
///
/// Pointers are 32 bits wide. In a 64-bit memory ([`EngineConfig::memory64`](crate::EngineConfig::memory64)), the host
/// reaches what starts in the first 4 GiB.
///
/// # Examples
///
/// A host function that returns a text: the guest allocates the bytes, the host writes them, and the results are the
/// pointer and the length.
///
/// ```
/// use dynload_sandbox::{Caller, Capabilities, Engine, Limits, Module, Sandbox, Stop, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut sandbox = Sandbox::new(Limits::DEFAULT);
/// sandbox.func_wrap("env", "greeting", Capabilities::NONE, |caller: &mut Caller<'_>, ()| {
///     let text = b"hello";
///     caller.charge_bytes(text.len() as u64)?;
///     let results = caller.call("alloc", &[Value::I32(text.len() as i32)])?;
///     let [Value::I32(ptr)] = results[..] else {
///         return Err(Stop::host("`alloc` does not return an i32"));
///     };
///     // The guest chose the pointer: `write` checks it.
///     caller.memory()?.write(ptr as u32, text)?;
///     Ok((ptr, text.len() as i32))
/// });
///
/// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
///     (import "env" "greeting" (func $greeting (result i32 i32)))
///     (memory (export "memory") 1)
///     (global $free (mut i32) (i32.const 1024))
///     (func (export "alloc") (param $size i32) (result i32)
///         (global.get $free)
///         (global.set $free (i32.add (global.get $free) (local.get $size))))
///     (func (export "run") (result i32 i32) (call $greeting)))"#)?)?;
/// let mut instance = sandbox.instantiate(&module)?;
/// assert_eq!(instance.call("run", &[])?, [Value::I32(1024), Value::I32(5)]);
/// assert_eq!(instance.memory()?.slice(1024, 5)?, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GuestMemory<'a>(pub(crate) &'a mut [u8]);

impl GuestMemory<'_> {
    /// Returns the size of the memory in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    fn range(&self, ptr: u32, len: u64) -> Result<core::ops::Range<usize>, OutOfBounds> {
        let start = ptr as usize;
        usize::try_from(len)
            .ok()
            .and_then(|len| start.checked_add(len))
            .filter(|end| *end <= self.0.len())
            .map(|end| start..end)
            .ok_or(OutOfBounds {
                ptr,
                len,
                size: self.0.len(),
            })
    }

    /// Returns the `len` bytes at `ptr`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`] if they are not inside the memory.
    pub fn slice(&self, ptr: u32, len: u32) -> Result<&[u8], OutOfBounds> {
        Ok(&self.0[self.range(ptr, len.into())?])
    }

    /// Returns the `len` bytes at `ptr` for writing.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`] if they are not inside the memory.
    pub fn slice_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8], OutOfBounds> {
        let range = self.range(ptr, len.into())?;
        Ok(&mut self.0[range])
    }

    /// Reads `N` bytes at `ptr`; `u32::from_le_bytes(memory.read(ptr)?)` reads a number.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`] if they are not inside the memory.
    pub fn read<const N: usize>(&self, ptr: u32) -> Result<[u8; N], OutOfBounds> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[self.range(ptr, N as u64)?]);
        Ok(bytes)
    }

    /// Writes `bytes` at `ptr`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`] if they do not fit into the memory at `ptr`; then nothing is written.
    pub fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let range = self.range(ptr, bytes.len() as u64)?;
        self.0[range].copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn ranges_at_the_end_of_the_memory_are_checked() {
        let mut bytes = vec![0; 16];
        let mut memory = GuestMemory(&mut bytes);
        assert_eq!(memory.slice(16, 0), Ok(&[][..]));
        assert!(memory.slice(17, 0).is_err());
        assert!(memory.slice(u32::MAX, u32::MAX).is_err());
        assert!(memory.write(13, &[1; 4]).is_err());
        memory.write(12, &7_u32.to_le_bytes()).unwrap();
        assert_eq!(u32::from_le_bytes(memory.read(12).unwrap()), 7);
    }
}
