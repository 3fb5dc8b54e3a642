//! Counts the memory of an instance while it runs.

use crate::{
    error::DeniedGrowth,
    schedule,
    sync::{AtomicUsize, Ordering},
};
use alloc::sync::Arc;
use wasmi_core::LimiterError;

/// The bytes that several instances have together.
#[derive(Debug, Default)]
struct Sum {
    // No host has more bytes than addresses.
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// The memory that a call and its workers have together, under one limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryShare(Arc<Sum>);

impl MemoryShare {
    /// Adds bytes if the sum stays within the limit. Returns the sum that would result, either way.
    fn add(&self, bytes: u64, limit: u64) -> Result<u64, u64> {
        let sum = |now: usize| (now as u64).saturating_add(bytes);
        let fits = |now: usize| {
            usize::try_from(sum(now).min(limit))
                .ok()
                .filter(|_| sum(now) <= limit)
        };
        let order = Ordering::SeqCst;
        match self.0.now.fetch_update(order, order, fits) {
            Ok(before) => {
                self.0.peak.fetch_max(before + bytes as usize, order);
                Ok(sum(before))
            }
            Err(before) => Err(sum(before)),
        }
    }

    fn subtract(&self, bytes: u64) {
        self.0.now.fetch_sub(bytes as usize, Ordering::SeqCst);
    }
}

/// Bytes in memories and tables of one instance.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    pub(crate) limit: u64,
    pub(crate) now: u64,
    pub(crate) peak: u64,
    /// While there are workers: the memory that they and the call that started them have together.
    share: Option<MemoryShare>,
    /// Bytes that the rewriter added and the guest does not pay for.
    hidden: u64,
    /// The last growth that was allowed, in case it fails for another reason.
    last: u64,
    /// The fuel burnt since the last settlement for growth that the system refused.
    pub(crate) refund: u64,
    /// Bytes that are already counted for a growth that is about to happen.
    reserved: u64,
    /// The largest growth that was refused in the running call.
    pub(crate) denied: Option<DeniedGrowth>,
}

/// The bytes that a table element counts as.
pub(crate) const ELEMENT_BYTES: u64 = 8;

impl MemoryMeter {
    /// Creates a meter for an instance with `hidden_elements` table elements that the rewriter added.
    ///
    /// A worker shares the memory of the call that started it, under the limit of that call.
    pub(crate) fn new(limit: u64, hidden_elements: u32, share: Option<MemoryShare>) -> MemoryMeter {
        let hidden = u64::from(hidden_elements) * ELEMENT_BYTES;
        MemoryMeter {
            // No allocation is larger.
            limit: limit.min(isize::MAX as u64),
            now: 0,
            peak: 0,
            share,
            hidden,
            last: 0,
            refund: 0,
            reserved: 0,
            denied: None,
        }
    }

    /// Returns the memory of the instance, from now on together with that of its workers.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn share(&mut self) -> MemoryShare {
        let share = self.share.get_or_insert_with(|| {
            let share = MemoryShare::default();
            share.0.now.store(self.now as usize, Ordering::SeqCst);
            share
        });
        share.clone()
    }

    /// Counts the instance alone again, after its workers have ended.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn end_share(&mut self) {
        if let Some(share) = self.share.take() {
            self.peak = self.peak.max(share.0.peak.load(Ordering::SeqCst) as u64);
        }
    }

    /// Counts `bytes` more if the limit allows it. Returns the sum that would result, either way.
    fn add(&mut self, bytes: u64) -> Result<u64, u64> {
        let requested = match &self.share {
            Some(share) => share.add(bytes, self.limit)?,
            None => {
                let requested = self.now.saturating_add(bytes);
                if requested > self.limit {
                    return Err(requested);
                }
                requested
            }
        };
        self.now += bytes;
        Ok(requested)
    }

    /// Counts bytes that the instance keeps, if the limit allows these and the `initial` ones of its memories and tables.
    pub(crate) fn keep(&mut self, kept: u64, initial: u64) -> Result<(), DeniedGrowth> {
        let limit = self.limit;
        // The initial bytes are counted again when the memories and tables are created.
        let all = kept.saturating_add(initial);
        self.add(all)
            .map_err(|requested| DeniedGrowth { requested, limit })?;
        self.subtract(initial);
        Ok(())
    }

    /// Counts bytes that the host keeps for the guest until they are [released](MemoryMeter::release).
    pub(crate) fn hold(&mut self, bytes: u64) -> Result<(), DeniedGrowth> {
        self.keep(bytes, 0)?;
        self.settle();
        Ok(())
    }

    /// Stops counting bytes that were [held](MemoryMeter::hold).
    pub(crate) fn release(&mut self, bytes: u64) {
        self.subtract(bytes);
    }

    fn subtract(&mut self, bytes: u64) {
        self.now -= bytes;
        if let Some(share) = &self.share {
            share.subtract(bytes);
        }
    }

    /// Counts a growth by `more` bytes if the limit allows it. Returns whether it does.
    fn grow(&mut self, more: u64) -> bool {
        // Whichever bytes come first are free: at the end of instantiation only the sum matters.
        let free = self.hidden.min(more);
        self.hidden -= free;
        let more = more - free;
        self.last = 0;
        let reserved = core::mem::take(&mut self.reserved).min(more);
        match self.add(more - reserved) {
            Ok(_) => {
                self.last = more;
                true
            }
            Err(requested) => {
                let worst = self.denied.map_or(0, |denied| denied.requested);
                self.denied = Some(DeniedGrowth {
                    requested: requested.max(worst),
                    limit: self.limit,
                });
                false
            }
        }
    }

    /// Counts `more` bytes for a growth that is about to happen, so that no worker takes them in between. Returns whether the
    /// limit allows them.
    pub(crate) fn reserve(&mut self, more: u64) -> bool {
        let kept = core::mem::take(&mut self.reserved);
        self.subtract(kept);
        let fits = self.add(more).is_ok();
        if fits {
            self.reserved = more;
        }
        fits
    }

    /// Undoes a growth that was allowed and did not happen. The interpreter charges before it requests memory from the system.
    fn undo(&mut self, refused_by_system: bool, bytes_per_fuel: u64) {
        let last = core::mem::take(&mut self.last);
        self.subtract(last);
        if refused_by_system {
            self.refund += last / bytes_per_fuel;
        }
    }

    /// Updates the peak, once a growth is known to have happened: a peak does not count failed growth.
    pub(crate) fn settle(&mut self) {
        self.peak = self.peak.max(self.now);
    }
}

impl Drop for MemoryMeter {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.subtract(self.now);
        }
    }
}

impl wasmi::ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        self.settle();
        Ok(self.grow((desired - current) as u64))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        self.settle();
        Ok(self.grow(((desired - current) as u64).saturating_mul(ELEMENT_BYTES)))
    }

    fn memory_grow_failed(&mut self, error: &wasmi::errors::MemoryError) -> Result<(), LimiterError> {
        let refused = matches!(error, wasmi::errors::MemoryError::OutOfSystemMemory);
        self.undo(refused, schedule::BYTES_PER_FUEL);
        Ok(())
    }

    fn table_grow_failed(&mut self, error: &wasmi::errors::TableError) -> Result<(), LimiterError> {
        let refused = matches!(error, wasmi::errors::TableError::OutOfSystemMemory);
        self.undo(refused, schedule::ELEMENTS_PER_FUEL * ELEMENT_BYTES);
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}
