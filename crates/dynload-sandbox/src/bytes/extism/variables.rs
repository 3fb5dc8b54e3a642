//! The variables that a plugin keeps between calls.

use crate::{bytes::out_of_memory, error::Stop, metering::memory_meter::MemoryMeter, schedule};
use alloc::{boxed::Box, collections::BTreeMap};

/// The maximum of all names and values together, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Variables by name. They count as memory of the instance, each with a record.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    values: BTreeMap<Box<[u8]>, Box<[u8]>>,
    bytes: u64,
}

impl Variables {
    /// Returns the value of a variable.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(key).map(|value| &**value)
    }

    /// Sets a variable, or removes it.
    pub(crate) fn set(
        &mut self,
        key: Box<[u8]>,
        value: Option<Box<[u8]>>,
        memory: &mut MemoryMeter,
    ) -> Result<(), Stop> {
        let bytes = |key: &[u8], value: &[u8]| key.len() as u64 + value.len() as u64;
        let before = self.values.get(&key).map_or(0, |value| bytes(&key, value));
        let after = value.as_ref().map_or(0, |value| bytes(&key, value));
        let sum = self.bytes - before + after;
        if sum > MAX_BYTES {
            return Err(Stop::host(
                "the variables of the plugin have more than 1 MiB; remove some by setting them to 0",
            ));
        }
        let counted = |is_set: bool, bytes: u64| if is_set { bytes + schedule::RECORD_BYTES } else { 0 };
        let (held, needed) = (
            counted(self.values.contains_key(&key), before),
            counted(value.is_some(), after),
        );
        // Only the difference, so that no worker takes the rest in between.
        memory.hold(needed.saturating_sub(held)).map_err(out_of_memory)?;
        memory.release(held.saturating_sub(needed));
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
        self.bytes = sum;
        Ok(())
    }
}
