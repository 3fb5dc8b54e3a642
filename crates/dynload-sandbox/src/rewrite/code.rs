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

/// Rewrites all functions.
pub(super) fn rewrite(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, ModuleError> {
    #[cfg(feature = "std")]
    {
        let bytes: usize = functions.iter().map(|(_, body)| body.range().len()).sum();
        if bytes >= 2 * WORTH_A_THREAD {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            return in_parallel(context, functions, bytes, processors.min(bytes / WORTH_A_THREAD));
        }
    }
    one_by_one(context, functions)
}

fn one_by_one(context: &Context<'_>, functions: Vec<Function<'_>>) -> Result<Code, ModuleError> {
    let mut bodies = BodyRewriter::default();
    let mut code = Code::default();
    let bytes: usize = functions.iter().map(|(_, body)| body.range().len()).sum();
    code.bytes.reserve(bytes * 2);
    for (function, body) in functions {
        let start = code.bytes.len();
        code.needs |= bodies.rewrite(context, function, &body, &mut code.bytes)?;
        prefix_size(&mut code.bytes, start);
    }
    code.carried = bodies.carried();
    Ok(code)
}

/// Divides the functions among so many threads, this one among them.
#[cfg(feature = "std")]
fn in_parallel(
    context: &Context<'_>,
    mut functions: Vec<Function<'_>>,
    bytes: usize,
    threads: usize,
) -> Result<Code, ModuleError> {
    let share = bytes.div_ceil(threads.max(1));
    let mut shares = Vec::new();
    while !functions.is_empty() {
        let mut taken = 0;
        let first = functions.iter().rposition(|(_, body)| {
            taken += body.range().len();
            taken >= share
        });
        shares.push(functions.split_off(first.unwrap_or(0)));
    }
    let mine = shares.pop().unwrap_or_default();
    let parts = std::thread::scope(|scope| {
        let others: Vec<_> = shares
            .into_iter()
            .rev()
            .map(|share| scope.spawn(|| one_by_one(context, share)))
            .collect();
        let mut parts = std::vec![one_by_one(context, mine)];
        for other in others {
            parts.push(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        parts
    });
    let mut code = Code::default();
    for part in parts {
        let part = part?;
        code.bytes.extend_from_slice(&part.bytes);
        code.needs |= part.needs;
        code.carried += part.carried;
    }
    context.check_carried(code.carried)?;
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
