//! Random programs that are hard to meter.
//!
//! Every program is valid, terminates soon, needs no import (unless requested), computes no NaN (so results can be compared
//! bit by bit), and is rich in constructs that make counting difficult: branches out of many depths that discard values,
//! branches that carry values, loops with parameters, empty arms, dead code after branches, constant conditions, calls of
//! every kind, bulk operators, functions with many locals.
//!
//! It terminates because a hidden global, the *patience*, is set by each exported function and counted down at the head of
//! every loop that is branched to and on entry to every function; at 0 the function returns immediately.

mod assemble;
mod body;
mod control;
mod dice;
mod expression;
pub mod moves;

use crate::host::Imports;
use crate::value::{FuncType, ValType, Value};
use dice::Dice;

/// The features that programs may contain beyond control flow, numbers, calls, tables and memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Imports `env.mix` and `env.back`, see [`imports`]. At most 40 calls back are active at the same time.
    pub imports: bool,
    /// Tail calls.
    pub tail_calls: bool,
    /// Bulk operators, `memory.grow`, operators on tables.
    pub bulk: bool,
    /// Parameters, locals and block types with v128, with vector constants and bitwise operators.
    pub vectors: bool,
    /// A second memory.
    pub two_memories: bool,
    /// Occasional operators that trap. (Where a trap is in the middle of a basic block, the rest of the block may have been
    /// charged already.)
    pub traps: bool,
    /// The approximate maximum number of operators of a function.
    pub size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            imports: false,
            tail_calls: true,
            bulk: true,
            vectors: false,
            two_memories: false,
            traps: false,
            size: 250,
        }
    }
}

/// A call of an exported function, with arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The export's name.
    pub name: String,
    /// Arguments of the right types.
    pub args: Vec<Value>,
}

/// A program and the calls to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The binary module. It exports its memories as `memory0`, `memory1` and its globals as `global0` and so on.
    pub wasm: Vec<u8>,
    /// Calls to make, in this order.
    pub calls: Vec<Call>,
}

/// Generates a program from a seed, with the default [`Options`].
///
/// # Examples
///
/// ```
/// use dynload_oracle::{Imports, Limits, Oracle, Schedule, random};
///
/// let program = random::program(1);
/// let mut oracle = Oracle::new(&program.wasm, Imports::new(), Schedule::default())?;
/// oracle.instantiate(Limits::default())?;
/// for call in &program.calls {
///     let outcome = oracle.call(&call.name, &call.args, Limits::default());
///     assert!(outcome.result.is_ok());
/// }
/// # Ok::<(), dynload_oracle::Error>(())
/// ```
pub fn program(seed: u64) -> Program {
    program_with(seed, &Options::default())
}

/// Returns the module of [`program`].
pub fn module(seed: u64) -> Vec<u8> {
    program(seed).wasm
}

/// Generates a program from a seed.
pub fn program_with(seed: u64, options: &Options) -> Program {
    assemble::program(Dice::Seed(seed), options)
}

/// Generates a program from a fuzzer's bytes. Similar bytes result in similar programs.
pub fn program_from(bytes: &[u8], options: &Options) -> Program {
    assemble::program(Dice::Bytes(bytes), options)
}

/// Returns the host functions of programs with [`Options::imports`].
///
/// - `env.mix (i32, i32) -> i32`: returns 31 times the first plus the second, wrapping.
/// - `env.back (i32) -> i32`: calls the guest's export `back`, of type `(i32) -> i32`, and returns its result.
pub fn imports<'a>() -> Imports<'a> {
    let [mix, back] = import_types();
    Imports::new()
        .func("env", "mix", mix, |_, args| match args {
            [Value::I32(a), Value::I32(b)] => Ok(vec![Value::I32(a.wrapping_mul(31).wrapping_add(*b))]),
            _ => unreachable!("arguments are checked against the type"),
        })
        .func("env", "back", back, |caller, args| caller.call("back", args))
}

fn import_types() -> [FuncType; 2] {
    let i32 = ValType::I32;
    [FuncType::new([i32, i32], [i32]), FuncType::new([i32], [i32])]
}
