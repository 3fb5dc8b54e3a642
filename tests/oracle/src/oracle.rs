//! One module with one instance, for comparisons.

use crate::error::{Error, Trap};
use crate::host::Imports;
use crate::meter::{Limits, Usage};
use crate::module::Module;
use crate::schedule::Schedule;
use crate::store::{InstanceId, Store};
use crate::value::{FuncType, Value};

/// How a call from outside ended and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The results, or the trap that stopped it.
    pub result: Result<Vec<Value>, Trap>,
    /// The usage until then.
    pub usage: Usage,
}

/// A module with its own store.
///
/// # Examples
///
/// ```
/// use dynload_oracle::{Imports, Limits, Oracle, Schedule, Trap, Value};
///
/// let wasm = wat::parse_str(
///     r#"(module
///         (memory 1)
///         (func (export "double") (param i32) (result i32)
///             local.get 0
///             i32.const 1
///             i32.shl))"#,
/// )?;
/// let mut oracle = Oracle::new(&wasm, Imports::new(), Schedule::default())?;
/// oracle.instantiate(Limits::default())?;
/// let outcome = oracle.call("double", &[Value::I32(21)], Limits::default());
/// assert_eq!(outcome.result, Ok(vec![Value::I32(42)]));
/// assert_eq!(outcome.usage.fuel, 4); // three operators and entering the function
/// assert_eq!(outcome.usage.peak_call_depth, 1);
/// assert_eq!(outcome.usage.peak_stack_bytes, 8 + 2 * 8); // a parameter, two operands
/// assert_eq!(outcome.usage.peak_memory_bytes, 65_536);
///
/// let tight = Limits { fuel: Some(3), ..Limits::default() };
/// assert_eq!(oracle.call("double", &[Value::I32(21)], tight).result, Err(Trap::OutOfFuel));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Oracle<'a> {
    module: Module<'a>,
    imports: Imports<'a>,
    schedule: Schedule,
    store: Store<'a>,
    instance: Option<InstanceId>,
}

impl<'a> Oracle<'a> {
    /// Decodes and validates a binary module.
    ///
    /// # Errors
    ///
    /// Those of [`Module::new`]
    pub fn new(wasm: &'a [u8], imports: Imports<'a>, schedule: Schedule) -> Result<Self, Error> {
        let store = Store::new(schedule, Limits::default());
        Ok(Self {
            module: Module::new(wasm)?,
            imports,
            schedule,
            store,
            instance: None,
        })
    }

    /// Decodes and validates a binary module, with [`Imports::zeros`] for every import that is not in `imports`.
    ///
    /// # Errors
    ///
    /// Those of [`Module::new`]
    pub fn with_zeros(wasm: &'a [u8], imports: Imports<'a>, schedule: Schedule) -> Result<Self, Error> {
        let mut oracle = Self::new(wasm, imports, schedule)?;
        let mut all = Imports::zeros(&oracle.module);
        all.0.extend(oracle.imports.0.drain());
        oracle.imports = all;
        Ok(oracle)
    }

    /// Returns the module, with its imports and exports.
    pub fn module(&self) -> &Module<'a> {
        &self.module
    }

    /// Creates the instance in a new store; may be called only once.
    /// The returned usage covers segments and the start function.
    ///
    /// # Errors
    ///
    /// Those of [`Store::instantiate`]; [`usage`](Self::usage) then returns what was used until the error
    pub fn instantiate(&mut self, limits: Limits) -> Result<Usage, Error> {
        self.store = Store::new(self.schedule, limits);
        self.store.self_check = true;
        self.instance = Some(self.store.instantiate(&self.module, &mut self.imports)?);
        Ok(self.store.usage())
    }

    /// Calls an exported function.
    ///
    /// After a trap, the instance stays usable in the state in which the guest left it.
    pub fn call(&mut self, name: &str, args: &[Value], limits: Limits) -> Outcome {
        let Some(instance) = self.instance else {
            let result = Err(Trap::BadCall("the module is not instantiated".into()));
            return Outcome {
                result,
                usage: Usage::default(),
            };
        };
        self.store.set_limits(limits);
        let result = self.store.call(instance, name, args);
        Outcome {
            result,
            usage: self.store.usage(),
        }
    }

    /// Returns what the last call or instantiation used.
    pub fn usage(&self) -> Usage {
        self.store.usage()
    }

    /// Returns the type of an exported function.
    pub fn func_type(&self, name: &str) -> Option<&FuncType> {
        self.module
            .exported_funcs()
            .find(|(export, _)| *export == name)
            .map(|(_, ty)| ty)
    }

    /// Returns the bytes of a memory, by its index in the module (imported ones first).
    pub fn memory(&self, index: usize) -> Option<&[u8]> {
        self.store.memory(self.instance?, index)
    }

    /// Returns the elements of a table, by its index in the module.
    pub fn table(&self, index: usize) -> Option<&[Value]> {
        self.store.table(self.instance?, index)
    }

    /// Returns the values of all globals, by their index in the module.
    pub fn globals(&self) -> Vec<Value> {
        self.instance
            .map(|instance| self.store.globals(instance))
            .unwrap_or_default()
    }

    /// Returns the bytes of one frame of each function that is not imported, in order. A recursion multiplies them by its
    /// depth.
    pub fn frame_bytes(&self) -> Vec<u64> {
        self.module.code.iter().map(|code| code.frame_bytes).collect()
    }
}
