//! The code section: its bodies are rewritten one by one, and those of a large module on several processors.

use super::{
    binary::prefix_size,
    body::{BodyRewriter, Context, Needs},
};
use crate::error::ModuleError;
use alloc::vec::Vec;
use wasmparser::{FuncToValidate, FunctionBody, ValidatorResources};

/// A function, with what validating it takes.
pub(super) type Function<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Rewritten bodies, each with its size in front, and what they turned out to need.
#[derive(Default)]
pub(super) struct Code {
    pub(super) bytes: Vec<u8>,
    pub(super) needs: Needs,
    /// Values that blocks, branches and calls carry.
    carried: u64,
}

/// Bytes of code that are worth a thread: these take it about half a millisecond, and starting it a tenth of that.
#[cfg(feature = "std")]
const WORTH_A_THREAD: usize = 32 << 10;

/// Bytes of code that a thread takes at a time: so few that all of them end at about the same time.
#[cfg(feature = "std")]
const PORTION: usize = 8 << 10;

/// Rewrites all functions.
pub(super) fn rewrite(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, ModuleError> {
    let code = on_all_processors(context, functions)?;
    context.check_carried(code.carried)?;
    Ok(code)
}

#[cfg(not(feature = "std"))]
fn on_all_processors(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, ModuleError> {
    one_by_one(context, &mut BodyRewriter::default(), functions)
}

/// Rewrites all functions, on several threads if there is enough to do.
#[cfg(feature = "std")]
fn on_all_processors(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, ModuleError> {
    let threads = match size(&functions) / WORTH_A_THREAD {
        0 | 1 => 1,
        worth => std::thread::available_parallelism().map_or(1, |processors| worth.min(processors.get())),
    };
    if threads == 1 {
        one_by_one(context, &mut BodyRewriter::default(), functions)
    } else {
        in_portions(context, functions, threads)
    }
}

/// Bytes of code.
fn size(functions: &[Function<'_>]) -> usize {
    functions.iter().map(|(_, body)| body.range().len()).sum()
}

fn one_by_one(
    context: &Context<'_>,
    bodies: &mut BodyRewriter,
    functions: Vec<Function<'_>>,
) -> Result<Code, ModuleError> {
    let mut code = Code::default();
    code.bytes.reserve(size(&functions) * 2);
    for (function, body) in functions {
        let start = code.bytes.len();
        code.needs |= bodies.rewrite(context, function, &body, &mut code.bytes)?;
        code.carried += bodies.carried();
        prefix_size(&mut code.bytes, start);
    }
    Ok(code)
}

/// Has so many threads take one portion of the functions after the other.
///
/// This thread only waits: a new one that starts on its processor would wait for it otherwise.
#[cfg(feature = "std")]
fn in_portions(
    context: &Context<'_>,
    mut functions: Vec<Function<'_>>,
    threads: usize,
) -> Result<Code, ModuleError> {
    use std::sync::{Mutex, PoisonError};

    // Those at the end come first, so that the first one can be taken from the end.
    let mut portions = Vec::new();
    while !functions.is_empty() {
        let mut taken = 0;
        let first = functions.iter().rposition(|(_, body)| {
            taken += body.range().len();
            taken >= PORTION
        });
        portions.push(functions.split_off(first.unwrap_or(0)));
    }
    let portions = Mutex::new(portions);
    let work = || {
        let mut bodies = BodyRewriter::default();
        let mut done = Vec::new();
        loop {
            let (portion, behind) = {
                let mut portions = portions.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(portion) = portions.pop() else {
                    return done;
                };
                (portion, portions.len())
            };
            done.push((behind, one_by_one(context, &mut bodies, portion)));
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
        // What is left if no thread could be started.
        done.extend(work());
        done
    });
    done.sort_unstable_by_key(|(behind, _)| core::cmp::Reverse(*behind));
    let mut code = Code::default();
    for (_, part) in done {
        let part = part?;
        code.bytes.extend_from_slice(&part.bytes);
        code.needs |= part.needs;
        code.carried += part.carried;
    }
    Ok(code)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use crate::{EngineConfig, ModuleError, ModuleLimits, rewrite::module};
    use std::{format, ops::Range, vec::Vec};

    const ALL: Range<usize> = 0..3_000;
    /// How many values the call in each function carries, beyond those that are not counted.
    const CARRIED: u64 = 4;

    /// A module with some of the functions, and something `extra` in one of them.
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

    fn bodies(wasm: &[u8]) -> Vec<Vec<u8>> {
        let (bytes, _) = module(wasm, &EngineConfig::default()).unwrap();
        let payloads = wasmparser::Parser::new(0).parse_all(&bytes);
        payloads
            .filter_map(|payload| match payload.unwrap() {
                wasmparser::Payload::CodeSectionEntry(body) => Some(body.as_bytes().to_vec()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn several_threads_make_of_each_function_what_one_makes() {
        let wasm = functions(ALL, "");
        assert!(wasm.len() > 2 * super::WORTH_A_THREAD);
        let few: Vec<_> = ALL
            .step_by(300)
            .flat_map(|first| bodies(&functions(first..first + 300, "")))
            .collect();
        assert!(bodies(&wasm) == few);
    }

    #[test]
    fn what_one_thread_finds_is_found() {
        let config = EngineConfig::default();
        assert!(!module(&functions(ALL, ""), &config).unwrap().1.grows);
        let grows = functions(ALL, "(drop (memory.grow (i32.const 1)))");
        assert!(module(&grows, &config).unwrap().1.grows);
        let invalid = module(&functions(ALL, "(drop (local.get 9))"), &config);
        assert!(matches!(invalid, Err(ModuleError::Invalid { .. })), "{invalid:?}");
    }

    #[test]
    fn what_all_threads_find_is_added_up() {
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
            matches!(refused, Err(ModuleError::TooLarge { limit, .. }) if limit == carried - 1),
            "{refused:?}"
        );
    }
}
