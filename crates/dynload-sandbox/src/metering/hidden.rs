//! The hidden globals that rewritten code counts in, each a mutable `i64`.

use wasmi::{AsContext, AsContextMut, Global, Val};

pub(crate) fn read(ctx: impl AsContext, global: Global) -> u64 {
    match global.get(ctx) {
        Val::I64(value) => value as u64,
        _ => 0,
    }
}

pub(crate) fn write(ctx: impl AsContextMut, global: Global, value: u64) {
    let written = global.set(ctx, Val::I64(value as i64));
    debug_assert!(written.is_ok(), "hidden globals are mutable i64");
}
