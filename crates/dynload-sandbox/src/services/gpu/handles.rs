//! Handles of buffers and kernels: a kind, a generation and an index, so that a stale or invented handle is an error.

use crate::services::wasi::Errno;
use std::vec::Vec;

/// Bits of the index.
const INDEX: u32 = 8;

/// Bits of the generation. It starts at 1, so no handle is 0.
const GENERATION: u32 = 22;

/// What a handle identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Buffer = 1,
    Kernel = 2,
}

/// Returns what a handle claims to identify.
pub(super) fn kind(handle: u32) -> Result<Kind, Errno> {
    match handle >> (INDEX + GENERATION) {
        1 => Ok(Kind::Buffer),
        2 => Ok(Kind::Kernel),
        _ => Err(Errno::Badf),
    }
}

/// The objects of one kind.
pub(super) struct Handles<T> {
    kind: Kind,
    max: u32,
    slots: Vec<Slot<T>>,
}

struct Slot<T> {
    /// The generation of the object, or of the next one. A slot whose generations are used up stays empty.
    generation: u32,
    object: Option<T>,
}

impl<T> Slot<T> {
    fn is_free(&self) -> bool {
        self.object.is_none() && self.generation < 1 << GENERATION
    }
}

impl<T> Handles<T> {
    /// Creates a table for at most `max` objects, which must be at most 256.
    pub(super) fn new(kind: Kind, max: u32) -> Handles<T> {
        Handles {
            kind,
            max,
            slots: Vec::new(),
        }
    }

    /// Returns the index of the next object. MFILE if there are as many as allowed.
    pub(super) fn vacant(&self) -> Result<u32, Errno> {
        let index = self
            .slots
            .iter()
            .position(Slot::is_free)
            .unwrap_or(self.slots.len()) as u32;
        if index < self.max {
            Ok(index)
        } else {
            Err(Errno::Mfile)
        }
    }

    /// Adds an object at the [vacant](Handles::vacant) index, and returns its handle.
    pub(super) fn insert(&mut self, index: u32, object: T) -> u32 {
        if index as usize == self.slots.len() {
            self.slots.push(Slot {
                generation: 1,
                object: None,
            });
        }
        let slot = &mut self.slots[index as usize];
        slot.object = Some(object);
        (self.kind as u32) << (INDEX + GENERATION) | slot.generation << INDEX | index
    }

    /// Returns the index and the object of a handle. BADF if there is no such object.
    pub(super) fn get(&self, handle: u32) -> Result<(u32, &T), Errno> {
        let index = self.index(handle)?;
        let object = self.slots[index as usize].object.as_ref().ok_or(Errno::Badf)?;
        Ok((index, object))
    }

    /// Removes an object, and returns its index too. BADF if there is no such object.
    pub(super) fn remove(&mut self, handle: u32) -> Result<(u32, T), Errno> {
        let index = self.index(handle)?;
        let slot = &mut self.slots[index as usize];
        let object = slot.object.take().ok_or(Errno::Badf)?;
        slot.generation += 1;
        Ok((index, object))
    }

    fn index(&self, handle: u32) -> Result<u32, Errno> {
        let index = handle & ((1 << INDEX) - 1);
        let generation = handle >> INDEX & ((1 << GENERATION) - 1);
        let slot = self.slots.get(index as usize).ok_or(Errno::Badf)?;
        if kind(handle)? != self.kind || slot.generation != generation {
            return Err(Errno::Badf);
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_identifies_one_object_of_one_kind() {
        let mut buffers = Handles::new(Kind::Buffer, 2);
        let mut kernels = Handles::new(Kind::Kernel, 2);
        let first = buffers.insert(buffers.vacant().unwrap(), "first");
        let kernel = kernels.insert(kernels.vacant().unwrap(), "kernel");
        assert_eq!(buffers.get(first), Ok((0, &"first")));
        for invented in [0, 1, kernel, first + 1, first | 1 << 31, u32::MAX] {
            assert_eq!(buffers.get(invented), Err(Errno::Badf), "{invented:#x}");
            assert_eq!(buffers.remove(invented), Err(Errno::Badf), "{invented:#x}");
        }
        assert_eq!(buffers.remove(first), Ok((0, "first")));
        assert_eq!(buffers.get(first), Err(Errno::Badf));
        let second = buffers.insert(buffers.vacant().unwrap(), "second");
        assert_ne!(first, second);
        buffers.insert(buffers.vacant().unwrap(), "third");
        assert_eq!(buffers.vacant(), Err(Errno::Mfile));
    }

    #[test]
    fn an_index_whose_generations_are_used_up_is_not_used_again() {
        let mut buffers = Handles::new(Kind::Buffer, 1);
        let mut seen = 0;
        while let Ok(index) = buffers.vacant() {
            let handle = buffers.insert(index, ());
            assert!(handle > seen, "{handle:#x}");
            seen = handle;
            buffers.remove(handle).unwrap();
        }
        assert_eq!(seen >> INDEX, (1 << GENERATION | ((1 << GENERATION) - 1)));
    }
}
