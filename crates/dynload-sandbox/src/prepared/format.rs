//! The bytes of a prepared module. Its layout is documented at [`Prepared`](super::Prepared).

use crate::{
    engine::HAS_VECTORS,
    error::ModuleError,
    rewritten::{Hidden, InstanceCost, Rewritten},
};
#[cfg(feature = "rewriter")]
use alloc::vec::Vec;

const MAGIC: &[u8; 8] = b"\0dynprep";
/// The version of the format, and of everything that rewritten code and the host assume of each other: the names and types of
/// hidden exports, the layout of the frame counters, the arguments of host functions, the schedule of costs.
const VERSION: u32 = 2;
/// The bytes before the costs.
const HEADER: usize = 72;
/// The offset at which the bytes start that the checksum covers.
const CHECKED: usize = 16;

/// Flags.
mod flag {
    pub(super) const REFUND: u32 = 1;
    pub(super) const PEAKS: u32 = 2;
    pub(super) const COUNTS_FRAMES: u32 = 4;
    pub(super) const HAS_START: u32 = 8;
    pub(super) const GROWS: u32 = 16;
    pub(super) const IS_LAZY: u32 = 32;
    pub(super) const HAS_VECTORS: u32 = 64;
}

/// Returns the bytes of a rewritten module and of its properties.
#[cfg(feature = "rewriter")]
pub(super) fn encode(rewritten: &Rewritten, wasm: &[u8]) -> Vec<u8> {
    let flags = [
        (rewritten.hidden.refund.is_some(), flag::REFUND),
        (rewritten.hidden.peaks.is_some(), flag::PEAKS),
        (rewritten.counts_frames, flag::COUNTS_FRAMES),
        (rewritten.has_start, flag::HAS_START),
        (rewritten.grows, flag::GROWS),
        (rewritten.is_lazy, flag::IS_LAZY),
        (rewritten.has_vectors, flag::HAS_VECTORS),
    ];
    let flags: u32 = flags
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, flag)| flag)
        .sum();
    let mut out = Vec::with_capacity(HEADER + 4 * rewritten.costs.len() + wasm.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    for number in [
        rewritten.load_bytes,
        rewritten.instance.fuel,
        rewritten.instance.kept_bytes,
        rewritten.instance.initial_bytes,
        u64::from(rewritten.large),
        rewritten.costs.len() as u64,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for cost in &rewritten.costs {
        out.extend_from_slice(&cost.to_le_bytes());
    }
    out.extend_from_slice(wasm);
    let sum = checksum(&out[CHECKED..]);
    out[8..CHECKED].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Returns the properties of a prepared module, and its rewritten form.
pub(super) fn decode(bytes: &[u8]) -> Result<(Rewritten, &[u8]), ModuleError> {
    let refused = |reason| ModuleError::NotPrepared { reason };
    if !bytes.starts_with(MAGIC) {
        return Err(refused(
            "it does not start as one does; prepare the module, or load it with `Module::new`",
        ));
    }
    let mut reader = Reader(&bytes[MAGIC.len()..]);
    let cut = || refused("it is cut short; prepare it again");
    let sum = reader.u64().ok_or_else(cut)?;
    let checked = reader.0;
    if reader.u32().ok_or_else(cut)? != VERSION {
        return Err(refused(
            "another version of dynload-sandbox prepared it; prepare it again",
        ));
    }
    if checksum(checked) != sum {
        return Err(refused("its checksum is wrong; prepare it again"));
    }
    reader.rewritten().ok_or_else(cut)
}

/// The bytes that were not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// Reads everything from the flags on.
    fn rewritten(mut self) -> Option<(Rewritten, &'a [u8])> {
        let flags = self.u32()?;
        let is_set = |flag| flags & flag != 0;
        let has_vectors = is_set(flag::HAS_VECTORS);
        let load_bytes = self.u64()?;
        let instance = InstanceCost {
            fuel: self.u64()?,
            kept_bytes: self.u64()?,
            initial_bytes: self.u64()?,
        };
        let large = u32::try_from(self.u64()?).ok()?;
        let bytes_of_costs = usize::try_from(self.u64()?).ok()?.checked_mul(4)?;
        let (costs, wasm) = self.0.split_at_checked(bytes_of_costs)?;
        let costs = costs.as_chunks::<4>().0.iter();
        let rewritten = Rewritten {
            hidden: Hidden {
                frames: Some(()),
                refund: is_set(flag::REFUND).then_some(()),
                peaks: is_set(flag::PEAKS).then_some(((), ())),
            },
            counts_frames: is_set(flag::COUNTS_FRAMES),
            has_start: is_set(flag::HAS_START),
            grows: is_set(flag::GROWS),
            costs: costs.map(|cost| u32::from_le_bytes(*cost)).collect(),
            large,
            // Validated as a whole, a module with vectors is refused at load where the interpreter has none.
            is_lazy: is_set(flag::IS_LAZY) && (!has_vectors || HAS_VECTORS),
            has_vectors,
            load_bytes,
            instance,
        };
        Some((rewritten, wasm))
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let add = |sum: u64, number: u64| (sum ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (numbers, rest) = bytes.as_chunks::<8>();
    let sum = numbers.iter().fold(bytes.len() as u64, |sum, number| {
        add(sum, u64::from_le_bytes(*number))
    });
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add(sum, u64::from_le_bytes(last))
}
