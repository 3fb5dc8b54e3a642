//! Random bytes that the host provides.

use alloc::{boxed::Box, sync::Arc};
use core::fmt;

/// A source of random bytes for the instances of a sandbox.
pub trait Entropy: Send + Sync {
    /// Returns the random bytes of the `nth` instance of a sandbox, counted from 0. A reproducible source depends on `nth`, so
    /// that instances differ.
    fn stream(&self, nth: usize) -> Box<dyn EntropyStream>;
}

impl<T: Entropy + ?Sized> Entropy for Arc<T> {
    fn stream(&self, nth: usize) -> Box<dyn EntropyStream> {
        (**self).stream(nth)
    }
}

/// The random bytes of one instance.
pub trait EntropyStream: Send + Sync {
    /// Fills `buffer` with the next bytes.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the host has no random bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError>;
}

/// The host has no random bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no random bytes")
    }
}

impl core::error::Error for EntropyError {}

dynload_diagnostics::debug_with_causes!(EntropyError);

/// The entropy of the operating system.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

#[cfg(feature = "std")]
impl Entropy for OsEntropy {
    fn stream(&self, _nth: usize) -> Box<dyn EntropyStream> {
        Box::new(OsEntropy)
    }
}

#[cfg(feature = "std")]
impl EntropyStream for OsEntropy {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
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

impl Entropy for SeededEntropy {
    fn stream(&self, nth: usize) -> Box<dyn EntropyStream> {
        let mut seed = SplitMix64(self.0 ^ (nth as u64).rotate_left(32));
        Box::new(SplitMix64(seed.next()))
    }
}

/// Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators* (OOPSLA 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl EntropyStream for SplitMix64 {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
