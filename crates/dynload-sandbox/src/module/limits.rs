//! The limits of what loading a module takes.

use crate::error::{ModuleError, Refused};
use alloc::string::String;
use core::{fmt, str::FromStr};
use dynload_diagnostics::{nearest_name, printable};

macro_rules! module_limits {
    ($($(#[doc = $doc:literal])* $variant:ident, $name:literal, $summary:literal, $field:ident, $with:ident, $default:expr;)*) => {
        /// The limits of a module, checked before any of it is compiled.
        ///
        /// The defaults are above what compilers produce, and far below what would do harm. Bodies, parameters, names and most
        /// lists may be as large as in Wasmtime and V8. Blocks may be nested to any depth: loading does not recurse.
        ///
        /// # Examples
        ///
        /// ```
        /// use dynload_sandbox::{Engine, EngineConfig, ModuleLimits};
        ///
        /// let limits = ModuleLimits::default().with_bytes(256 << 20).with_load_bytes(4 << 30);
        /// let engine = Engine::new(EngineConfig::default().with_module_limits(limits));
        /// # drop(engine);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ModuleLimits {
            $($(#[doc = $doc])* pub $field: u64,)*
        }

        impl Default for ModuleLimits {
            fn default() -> ModuleLimits {
                ModuleLimits { $($field: $default,)* }
            }
        }

        impl ModuleLimits {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](ModuleLimits::", stringify!($field), ").")]
                #[must_use]
                pub const fn $with(mut self, most: u64) -> ModuleLimits {
                    self.$field = most;
                    self
                }
            )*

            /// Returns the value of a limit.
            #[must_use]
            pub const fn get(&self, limit: ModuleLimit) -> u64 {
                match limit {
                    $(ModuleLimit::$variant => self.$field,)*
                }
            }

            /// Sets a limit that is known only at run time, such as one from a configuration file.
            ///
            /// # Examples
            ///
            /// ```
            /// use dynload_sandbox::ModuleLimits;
            ///
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// let limits = ModuleLimits::default().with("locals".parse()?, 20_000);
            /// assert_eq!(limits.max_locals, 20_000);
            /// # Ok(())
            /// # }
            /// ```
            #[must_use]
            pub const fn with(self, limit: ModuleLimit, most: u64) -> ModuleLimits {
                match limit {
                    $(ModuleLimit::$variant => self.$with(most),)*
                }
            }
        }

        /// One of the [`ModuleLimits`]. Its text form is the name of its field without `max_`, with hyphens: `load-bytes`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ModuleLimit {
            $(
                #[doc = concat!("[`", stringify!($field), "`](ModuleLimits::", stringify!($field), "), in text `", $name, "`.")]
                $variant,
            )*
        }

        impl ModuleLimit {
            /// Every limit, in the order of the fields of [`ModuleLimits`].
            pub const ALL: &'static [ModuleLimit] = &[$(ModuleLimit::$variant),*];

            /// Returns the text form.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(ModuleLimit::$variant => $name,)*
                }
            }

            /// Returns what is limited, in a few words: for the help of a program that has the limits as options.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $(ModuleLimit::$variant => $summary,)*
                }
            }
        }
    };
}

module_limits! {
    /// Bytes of the module without its custom sections, which are not loaded. By default 64 MiB.
    Bytes, "bytes", "bytes of the module, without its custom sections",
        max_bytes, with_bytes, 64 << 20;
    /// Entries of each section: types, imports, functions, globals, exports, segments. By default 1 000 000. The maximum is
    /// 100 000 of element and of data segments, and 999 990 of types and of globals; of imports and of exports it depends on
    /// their types, and is above 100 000.
    Items, "items", "entries of each section",
        max_items, with_items, 1_000_000;
    /// Elements of all segments together. By default 10 000 000.
    Elements, "elements", "elements of all segments together",
        max_elements, with_elements, 10_000_000;
    /// Operators of all constant expressions together (initial values, offsets, elements); each expression may have 64. By
    /// default 1 000 000.
    ConstantOperators, "constant-operators", "operators of all constant expressions together",
        max_constant_operators, with_constant_operators, 1_000_000;
    /// Memories, and tables. By default 100, which is also the maximum, since it is that of the interpreter. In a module that
    /// grows a memory or a table, the rewriter adds one table.
    Memories, "memories", "memories, and tables",
        max_memories, with_memories, 100;
    /// Parameters of one function, and its results. By default 1 000, which is also the maximum, and that of Wasmtime and V8.
    Params, "params", "parameters of a function, and its results",
        max_params, with_params, 1_000;
    /// Locals of one function, parameters included; a vector counts as two. By default 29 900, which is also the
    /// maximum: the interpreter supports 30 000, and the rewriter adds some.
    Locals, "locals", "locals of a function",
        max_locals, with_locals, 29_900;
    /// Locals of all functions together, parameters included: a few bytes can declare thousands, and each of them costs the
    /// interpreter time. By default 20 000 000.
    TotalLocals, "total-locals", "locals of all functions together",
        max_total_locals, with_total_locals, 20_000_000;
    /// Bytes of one function's body. By default 7 654 321, which is also the maximum, and that of Wasmtime and V8.
    BodyBytes, "body-bytes", "bytes of the body of a function",
        max_body_bytes, with_body_bytes, 7_654_321;
    /// Values that blocks, branches and calls carry, in all functions together; the first 16 of each are not counted. Two
    /// bytes of code can carry a thousand values, and each of them costs the interpreter time and memory. By default 500 000.
    CarriedValues, "carried-values", "values that blocks, branches and calls carry",
        max_carried_values, with_carried_values, 500_000;
    /// Bytes of memory that loading may take at its peak, beyond the module itself. By default 1 GiB.
    ///
    /// The engine compares the limit with an upper bound that it estimates from the numbers of the module's items: 10
    /// to 30 times the size of the code for the output of compilers, which takes a half to a fifth of that, and 100
    /// times for code in tiny functions. So a module may exceed this limit although it is smaller than `max_bytes`.
    LoadBytes, "load-bytes", "bytes of memory that loading may take, as estimated",
        max_load_bytes, with_load_bytes, 1 << 30;
    /// Bytes of one name. By default 100 000, which is also the maximum, and that of Wasmtime and V8.
    NameBytes, "name-bytes", "bytes of a name",
        max_name_bytes, with_name_bytes, 100_000;
}

impl fmt::Display for ModuleLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is not the name of a module limit.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseModuleLimitError {
    /// The word, cut to 64 characters.
    pub word: String,
    /// The known name that it probably meant.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for ParseModuleLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown module limit {:?}: ", printable(&self.word))?;
        if let Some(nearest) = self.nearest {
            return write!(f, "did you mean `{nearest}`?");
        }
        f.write_str("the known names are")?;
        for (i, limit) in ModuleLimit::ALL.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            write!(f, "{separator} {limit}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ParseModuleLimitError {}

dynload_diagnostics::debug_with_causes!(ParseModuleLimitError);

impl FromStr for ModuleLimit {
    type Err = ParseModuleLimitError;

    fn from_str(word: &str) -> Result<ModuleLimit, ParseModuleLimitError> {
        let mut all = ModuleLimit::ALL.iter().copied();
        all.find(|limit| limit.name() == word)
            .ok_or_else(|| ParseModuleLimitError {
                word: word.chars().take(64).collect(),
                nearest: nearest_name(word, ModuleLimit::ALL.iter().map(|limit| limit.name())),
            })
    }
}

/// The maximum of a number: a module limit, or one of the interpreter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    most: u64,
    /// The limit that can be raised, or `None` if the interpreter supports no more.
    limit: Option<ModuleLimit>,
}

impl ModuleLimits {
    /// Returns the bound that a limit sets, or the interpreter's if that is lower.
    pub(crate) fn bound(&self, limit: ModuleLimit) -> Bound {
        let interpreter = match limit {
            ModuleLimit::Locals => 29_900,
            ModuleLimit::Params => 1_000,
            ModuleLimit::Memories => Bound::TABLES.most,
            ModuleLimit::BodyBytes => 7_654_321,
            ModuleLimit::NameBytes => 100_000,
            _ => u64::MAX,
        };
        let limit = Bound {
            most: self.get(limit),
            limit: Some(limit),
        };
        limit.within(interpreter)
    }
}

impl Bound {
    /// The interpreter's maximum of tables.
    pub(crate) const TABLES: Bound = Bound::fixed(100);

    /// Returns a bound of the interpreter.
    pub(crate) const fn fixed(most: u64) -> Bound {
        Bound { most, limit: None }
    }

    /// Returns the lower of this bound and one of the interpreter.
    pub(crate) fn within(self, most: u64) -> Bound {
        if most <= self.most {
            Bound::fixed(most)
        } else {
            self
        }
    }

    /// Checks a number of items in the module.
    pub(crate) fn check(self, what: &'static str, found: u64) -> Result<(), Refused> {
        self.check_in(None, what, found)
    }

    /// Checks a number of items in a function.
    pub(crate) fn check_in(
        self,
        function: Option<u32>,
        what: &'static str,
        found: u64,
    ) -> Result<(), Refused> {
        if found <= self.most {
            return Ok(());
        }
        Err(ModuleError::TooLarge {
            what,
            found,
            most: self.most,
            limit: self.limit,
            function,
            function_name: None,
        }
        .into())
    }
}
