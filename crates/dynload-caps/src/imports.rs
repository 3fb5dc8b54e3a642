//! Which capability each import of a Wasm module needs, and its type.
//!
//! The table covers the 46 functions of `wasi_snapshot_preview1` (the [preview 1 specification][wasi]), the ten of
//! `vais`, those of `dynload`, and those of [`TYPST`] and [`EXTISM`] plugins. Many WASI functions serve several purposes:
//! `fd_read` reads a terminal, a file or a socket, so *one* of three capabilities is enough for the call to be useful.
//! [`ImportNeeds::AnyOf`] expresses this; it is not the same as needing all three.
//!
//! [wasi]: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md

mod table;

use crate::Capabilities;
use table::TABLE;

/// The module name of WASI preview 1.
pub const WASI_PREVIEW1: &str = "wasi_snapshot_preview1";
/// The module name of the Vais host functions.
pub const VAIS: &str = "vais";
/// The module name of the functions that WASI preview 1 lacks: connecting, listening, processes, workers.
pub const DYNLOAD: &str = "dynload";
/// The module name of the functions of [typst plugins](https://typst.app/docs/reference/foundations/plugin/).
pub const TYPST: &str = "typst_env";
/// The module name of the functions of [Extism plugins](https://extism.org/docs/concepts/host-functions).
pub const EXTISM: &str = "extism:host/env";

/// The capabilities that an import needs before it does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportNeeds {
    /// The import works without any capability.
    Nothing,
    /// The import needs every one of these.
    AllOf(Capabilities),
    /// The import needs at least one of these; each opens it for a different kind of file descriptor.
    AnyOf(Capabilities),
    /// The import is not in the table: no host function has this name.
    Unknown,
}

impl ImportNeeds {
    /// Returns whether the import is useful to a plugin with the capabilities `granted`. `Unknown` is never satisfied.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::{Capabilities, imports::needs};
    ///
    /// let write = needs("wasi_snapshot_preview1", "fd_write");
    /// assert!(write.satisfied_by(Capabilities::CONSOLE));
    /// assert!(write.satisfied_by(Capabilities::FS_WRITE));
    /// assert!(!write.satisfied_by(Capabilities::FS_READ));
    /// ```
    #[must_use]
    pub const fn satisfied_by(self, granted: Capabilities) -> bool {
        match self {
            ImportNeeds::Nothing => true,
            ImportNeeds::AllOf(all) => granted.has(all),
            ImportNeeds::AnyOf(any) => granted.intersects(any),
            ImportNeeds::Unknown => false,
        }
    }

    /// Returns every capability that affects the import; empty for `Nothing` and `Unknown`.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            ImportNeeds::AllOf(set) | ImportNeeds::AnyOf(set) => set,
            ImportNeeds::Nothing | ImportNeeds::Unknown => Capabilities::NONE,
        }
    }
}

/// What happens when a guest calls an import without the capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenDenied {
    /// The import is never denied.
    Never,
    /// The call returns the errno `NOTCAPABLE` (76), and the guest continues.
    Errno,
    /// The import is a query, and its result is empty (no variable, no directory).
    EmptyResult,
    /// The import does nothing, and the guest continues.
    NoEffect,
    /// The signature has no errno result: the whole call from outside fails.
    FailsCall,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Import {
    /// The module name of the import, `wasi_snapshot_preview1` for instance.
    pub module: &'static str,
    /// The name of the function.
    pub name: &'static str,
    /// The type of the function, as in messages: `(i32, i32) -> (i32)`.
    pub signature: &'static str,
    /// The capabilities that it needs; never [`ImportNeeds::Unknown`].
    pub needs: ImportNeeds,
    /// What happens when a guest calls it without them.
    pub when_denied: WhenDenied,
}

/// Returns the capabilities that the import `module`.`name` needs.
///
/// # Examples
///
/// ```
/// use dynload_caps::{Capabilities, imports::{ImportNeeds, needs}};
///
/// assert_eq!(needs("vais", "sleep_ms"), ImportNeeds::AllOf(Capabilities::TIME));
/// assert_eq!(needs("wasi_snapshot_preview1", "proc_exit"), ImportNeeds::Nothing);
/// assert_eq!(needs("env", "system"), ImportNeeds::Unknown);
/// ```
#[must_use]
pub fn needs(module: &str, name: &str) -> ImportNeeds {
    find(module, name).map_or(ImportNeeds::Unknown, |import| import.needs)
}

/// Returns the row for `module`.`name`, or `None` when the table has none.
#[must_use]
pub fn find(module: &str, name: &str) -> Option<&'static Import> {
    // Sorted by module and name (checked by a test).
    let at = TABLE
        .binary_search_by(|import| (import.module, import.name).cmp(&(module, name)))
        .ok()?;
    Some(&TABLE[at])
}

/// Returns the whole table, ordered by module and name.
pub fn all() -> impl ExactSizeIterator<Item = &'static Import> + Clone {
    TABLE.iter()
}

/// Returns the imports that `capability` affects, in the order of the table.
///
/// # Examples
///
/// ```
/// use dynload_caps::{Capabilities, imports};
///
/// let names: Vec<&str> = imports::opened_by(Capabilities::PROCESS).map(|import| import.name).collect();
/// assert_eq!(names, ["process_run"]);
/// ```
pub fn opened_by(capability: Capabilities) -> impl Iterator<Item = &'static Import> + Clone {
    TABLE
        .iter()
        .filter(move |import| import.needs.capabilities().intersects(capability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_binary_search() {
        assert!(
            TABLE
                .windows(2)
                .all(|pair| (pair[0].module, pair[0].name) < (pair[1].module, pair[1].name))
        );
    }

    #[test]
    fn the_table_is_complete_and_consistent() {
        let count = |module| all().filter(|import| import.module == module).count();
        assert_eq!((count(WASI_PREVIEW1), count(VAIS), count(DYNLOAD)), (46, 10, 15));
        assert_eq!((count(TYPST), count(EXTISM)), (2, 32));
        for import in all() {
            assert_eq!(find(import.module, import.name), Some(import));
            assert_eq!(
                import.needs == ImportNeeds::Nothing,
                import.when_denied == WhenDenied::Never
            );
            assert!(import.needs.satisfied_by(Capabilities::all()));
            assert_eq!(
                import.needs.satisfied_by(Capabilities::NONE),
                import.needs == ImportNeeds::Nothing
            );
        }
    }
}
