//! Rewrites the bodies of the code section, those of a large module on several threads.

use super::{
    binary::{fill_prefix, prefix_len},
    body::{BodyRewriter, Context, Needs},
    first_use::Costs,
};
use crate::error::Refused;
use alloc::vec::Vec;
use wasmparser::{FuncToValidate, FunctionBody, ValidatorResources};

/// A function, and the resources to validate it.
pub(super) type Function<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Rewritten bodies, each with its size prefix, and the additions that they rely on.
#[derive(Default)]
pub(super) struct Code {
    /// In parts, so that each can be freed once it is part of the module.
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) needs: Needs,
    /// The number of values that blocks, branches and calls carry.
    carried: u64,
    pub(super) costs: Costs,
}

/// The bytes of a part of the rewritten code, unless a function has more.
const PART: usize = 256 << 10;

/// The bytes of code for which a thread is started: rewriting them takes about half a millisecond, and starting the thread a
/// tenth of that.
#[cfg(feature = "std")]
const BYTES_PER_THREAD: usize = 32 << 10;

/// The bytes of code that a thread takes at a time: few, so that all threads finish at about the same time. Of a large module
/// more, up to an amount whose rewritten form an allocator returns to the system as soon as it is freed.
#[cfg(feature = "std")]
const BATCH: core::ops::RangeInclusive<usize> = 8 << 10..=128 << 10;

/// The number of batches for each thread, as far as [`BATCH`] allows it.
#[cfg(feature = "std")]
const BATCHES_PER_THREAD: usize = 16;

impl Code {
    /// Returns the number of its bytes.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Adds the code of the functions that follow.
    #[cfg(feature = "std")]
    fn append(&mut self, mut next: Code) {
        self.parts.append(&mut next.parts);
        self.needs |= next.needs;
        self.carried += next.carried;
        self.costs.append(next.costs);
    }
}

/// Rewrites all functions.
pub(super) fn rewrite(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, Refused> {
    let code = in_parallel(context, functions)?;
    context.check_carried(code.carried)?;
    Ok(code)
}

#[cfg(not(feature = "std"))]
fn in_parallel(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, Refused> {
    sequentially(context, &mut BodyRewriter::default(), functions)
}

/// Rewrites all functions, on several threads if there is enough to do.
#[cfg(feature = "std")]
fn in_parallel(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, Refused> {
    let threads = match code_size(&functions) / BYTES_PER_THREAD {
        0 | 1 => 1,
        wanted => std::thread::available_parallelism().map_or(1, |processors| wanted.min(processors.get())),
    };
    if threads == 1 {
        sequentially(context, &mut BodyRewriter::default(), functions)
    } else {
        in_batches(context, functions, threads)
    }
}

/// Returns the bytes of code.
fn code_size(functions: &[Function<'_>]) -> usize {
    functions.iter().map(|(_, body)| body.range().len()).sum()
}

fn sequentially(
    context: &Context<'_>,
    bodies: &mut BodyRewriter,
    functions: Vec<Function<'_>>,
) -> Result<Code, Refused> {
    let mut code = Code::default();
    let size = code_size(&functions);
    let mut part = Vec::with_capacity((2 * size).min(PART));
    for (function, body) in functions {
        if part.len() > PART / 2 {
            code.parts
                .push(core::mem::replace(&mut part, Vec::with_capacity(PART)));
        }
        // Rewritten bodies are mostly between 1.5 and 2.5 times as long.
        let guess = prefix_len(2 * body.range().len());
        let start = part.len();
        // For a function that does not fit, at once and not by doubling.
        part.reserve(2 * body.range().len());
        part.resize(start + guess, 0);
        code.needs |= bodies.rewrite(context, function, &body, &mut part)?;
        code.carried += bodies.carried();
        bodies.add_cost(context, &mut code.costs);
        fill_prefix(&mut part, start, guess);
    }
    code.parts.push(part);
    Ok(code)
}

/// Rewrites all functions on `threads` threads, each of which takes one batch after another.
///
/// The calling thread only waits: otherwise a new thread that starts on its processor would wait for it.
#[cfg(feature = "std")]
fn in_batches(
    context: &Context<'_>,
    mut functions: Vec<Function<'_>>,
    threads: usize,
) -> Result<Code, Refused> {
    use std::sync::{Mutex, PoisonError};

    let batch = (code_size(&functions) / (threads * BATCHES_PER_THREAD)).clamp(*BATCH.start(), *BATCH.end());
    // In reverse order, so that the first batch can be popped from the end.
    let mut batches = Vec::new();
    while !functions.is_empty() {
        let mut size = 0;
        let first = functions.iter().rposition(|(_, body)| {
            size += body.range().len();
            size >= batch
        });
        batches.push(functions.split_off(first.unwrap_or(0)));
    }
    let batches = Mutex::new(batches);
    let work = || {
        let mut bodies = BodyRewriter::default();
        let mut done = Vec::new();
        loop {
            let (batch, remaining) = {
                let mut batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(batch) = batches.pop() else {
                    return done;
                };
                (batch, batches.len())
            };
            done.push((remaining, sequentially(context, &mut bodies, batch)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (0..threads)
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut done = Vec::new();
        for other in others {
            done.extend(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        // The remaining batches, if threads could not be started.
        done.extend(work());
        done
    });
    done.sort_unstable_by_key(|(remaining, _)| core::cmp::Reverse(*remaining));
    let mut code = Code::default();
    for (_, part) in done {
        code.append(part?);
    }
    Ok(code)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use crate::{EngineConfig, ModuleError, ModuleLimits, Translation, rewrite::module};
    use std::{format, ops::Range, vec::Vec};

    const ALL: Range<usize> = 0..3_000;
    /// The number of values that the call in each function carries, beyond the uncounted ones.
    const CARRIED: u64 = 4;

    /// A module with some of the functions, and `extra` code in one of them.
    fn functions(range: Range<usize>, extra: &str) -> Vec<u8> {
        let mut text = format!(
            "(module (func $wide (import \"\" \"\") (param {})) (memory 1)\n",
            "i64 ".repeat(16 + CARRIED as usize)
        );
        for i in range {
            text += &format!(
                "(func (param i32) (result i32) (local i64) {} (block (br_if 0 (local.get 0)) (drop (i32.const {i})))
                   (call $wide {}) (i32.add (local.get 0) (i32.const {i})))\n",
                if i == 2_500 { extra } else { "" },
                "(local.get 1)".repeat(16 + CARRIED as usize)
            );
        }
        text += ")";
        wat::parse_str(text).unwrap()
    }

    /// Translated at load: otherwise bodies depend on the size of the module.
    fn bodies(wasm: &[u8]) -> Vec<Vec<u8>> {
        let config = EngineConfig::default().with_translation(Translation::AtLoad);
        let (bytes, _) = module(wasm, &config).unwrap();
        let payloads = wasmparser::Parser::new(0).parse_all(&bytes);
        payloads
            .filter_map(|payload| match payload.unwrap() {
                wasmparser::Payload::CodeSectionEntry(body) => Some(body.as_bytes().to_vec()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn several_threads_produce_the_same_code_as_one() {
        let wasm = functions(ALL, "");
        assert!(wasm.len() > 2 * super::BYTES_PER_THREAD);
        let few: Vec<_> = ALL
            .step_by(300)
            .flat_map(|first| bodies(&functions(first..first + 300, "")))
            .collect();
        assert!(bodies(&wasm) == few);
    }

    #[test]
    fn needs_and_errors_of_any_thread_are_reported() {
        let config = EngineConfig::default();
        assert!(!module(&functions(ALL, ""), &config).unwrap().1.grows);
        let grows = functions(ALL, "(drop (memory.grow (i32.const 1)))");
        assert!(module(&grows, &config).unwrap().1.grows);
        let invalid = module(&functions(ALL, "(drop (local.get 9))"), &config);
        assert!(matches!(invalid, Err(ModuleError::Invalid { .. })), "{invalid:?}");
    }

    #[test]
    fn carried_values_of_all_threads_are_summed() {
        let wasm = functions(ALL, "");
        let carried = CARRIED * ALL.len() as u64;
        let within = |max_carried_values| {
            let limits = ModuleLimits {
                max_carried_values,
                ..ModuleLimits::default()
            };
            module(&wasm, &EngineConfig::default().with_module_limits(limits))
        };
        assert!(within(carried).is_ok());
        let refused = within(carried - 1);
        assert!(
            matches!(refused, Err(ModuleError::TooLarge { most, .. }) if most == carried - 1),
            "{refused:?}"
        );
    }
}
