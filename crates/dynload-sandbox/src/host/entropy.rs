//! Random bytes that the host provides.

use core::fmt;

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `buffer`. `state` belongs to one instance: a reproducible source keeps its position in it.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the host has no random bytes.
    fn fill(&self, state: &mut u64, buffer: &mut [u8]) -> Result<(), EntropyError>;

    /// Returns the initial state of the `n`th instance of the sandbox (from 0).
    fn start(&self, n: usize) -> u64 {
        n as u64
    }
}

/// The host has no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no random bytes")
    }
}

impl core::error::Error for EntropyError {}

/// The entropy of the operating system.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

#[cfg(feature = "std")]
impl Entropy for OsEntropy {
    fn fill(&self, _state: &mut u64, buffer: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

/// Entropy for reproducible runs: SplitMix64 from a seed. Not suitable for secrets.
///
/// The bytes of an instance depend on the seed and on the number of the instance in its sandbox. So they are the same
/// in every run only if the sandbox creates its instances in the same order, not if threads race to create them. The
/// bytes of a worker depend on the seed and on the number of workers that its instance started before, not on the
/// instance. A [reset](crate::Instance::reset) starts over.
#[derive(Debug, Clone, Copy)]
pub struct SeededEntropy(pub u64);

impl SeededEntropy {
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, state: &mut u64, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&SeededEntropy::next(state).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }

    fn start(&self, n: usize) -> u64 {
        let mut state = self.0 ^ (n as u64).rotate_left(32);
        SeededEntropy::next(&mut state)
    }
}
