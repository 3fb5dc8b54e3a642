//! The measurements, with a section for each kind.

mod bytes;
mod calls;
mod deadlines;
mod discovery;
mod grants;
mod instances;
mod load;
pub(crate) mod memory;
mod micro;
mod programs;
mod reload;
mod starts;
mod symbols;

use dynload_bench_report::{Curve, Group, Row};

use crate::{Effort, Outcome};

/// One kind of measurements.
pub(crate) struct Section {
    /// The name for `--only`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    note: &'static str,
    measure: fn(Effort) -> Outcome<Found>,
}

/// The results of a section.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    curves: Vec<Curve>,
}

impl Section {
    pub(crate) fn run(&self, effort: Effort) -> Outcome<Group> {
        let found = (self.measure)(effort)?;
        Ok(Group {
            name: self.name.to_owned(),
            title: self.title.to_owned(),
            note: self.note.to_owned(),
            rows: found.rows,
            curves: found.curves,
        })
    }
}

/// All sections.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "programs",
        title: "Run time of programs",
        note: "Guests of `tests/guests` and C libraries with drivers from `bench/programs`, the same binary in each engine. \
               Extism runs its plugins in Wasmtime with Cranelift.",
        measure: programs::measure,
    },
    Section {
        name: "micro",
        title: "Single operations",
        note: "The time of one operation in a loop of the guest; for `coroutine` (tail calls) and `exits` (branches out of \
               blocks), the time of the whole run.",
        measure: micro::measure,
    },
    Section {
        name: "calls",
        title: "Calls of an export from the host",
        note: "`add(i64, i64)`. For Extism, a function without arguments, with empty input and output.",
        measure: calls::measure,
    },
    Section {
        name: "bytes",
        title: "Calls with bytes, beside Extism",
        note: "A plugin that returns its input. That for Extism copies it into its memory and back, 8 bytes at a time, as the kits \
               for Extism do; Extism translates plugins to machine code.",
        measure: bytes::measure,
    },
    Section {
        name: "load",
        title: "Loading a module",
        note: "From bytes to a module that can be instantiated. `wasmi` validates and translates everything, the sandbox validates \
               and meters everything; wasm3 only parses, and translates at each instantiation.",
        measure: load::measure,
    },
    Section {
        name: "starts",
        title: "Starting a program",
        note: "From the bytes of a module, or of a prepared module, to the first result of its shortest run. `wasmi, lazy` \
               validates and translates each function when it is first called.",
        measure: starts::measure,
    },
    Section {
        name: "instances",
        title: "New instances of a loaded module",
        note: "Each instance is created and dropped; the module has one page of memory.",
        measure: instances::measure,
    },
    Section {
        name: "memory",
        title: "Memory of idle instances",
        note: "The growth of the resident set of a separate process, for each of 1 000 instances of a module without a memory.",
        measure: memory::measure,
    },
    Section {
        name: "deadlines",
        title: "Deadlines and interrupts",
        note: "A guest in an endless loop: the time from the limit, or from the call of `interrupt`, until its call returns.",
        measure: deadlines::measure,
    },
    Section {
        name: "grants",
        title: "Granting and revoking",
        note: "A capability is granted and revoked.",
        measure: grants::measure,
    },
    Section {
        name: "symbols",
        title: "Looking up a symbol",
        note: "`cos` of the C math library.",
        measure: symbols::measure,
    },
    Section {
        name: "reload",
        title: "Hot reload of a shared library",
        note: "From the rename into place until the new code has been called, without build and debounce, or with the named \
               debounce; and the processor time while nothing changes.",
        measure: reload::measure,
    },
    Section {
        name: "discovery",
        title: "Discovery",
        note: "Directories with one manifest each; `bare` lists the directories, and reads and parses the manifests with `toml`.",
        measure: discovery::measure,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_names_are_unique() {
        for (n, one) in SECTIONS.iter().enumerate() {
            assert!(
                SECTIONS[..n].iter().all(|before| before.name != one.name),
                "{}",
                one.name
            );
        }
    }
}
