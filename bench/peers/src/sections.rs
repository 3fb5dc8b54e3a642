//! What is measured, a section for each kind.

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
mod symbols;

use dynload_bench_report::{Curve, Group, Row};

use crate::{Effort, Outcome};

/// One kind of measurements.
pub(crate) struct Section {
    /// How `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    note: &'static str,
    measure: fn(Effort) -> Outcome<Found>,
}

/// What a section has found.
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
        note: "Guests of `tests/guests` and C libraries with drivers of ours (`bench/programs`), the same binary in each \
               engine. Extism runs its plugins in Wasmtime with Cranelift.",
        measure: programs::measure,
    },
    Section {
        name: "micro",
        title: "Single operations",
        note: "Time of one, in a loop of the guest; of `coroutine` (tail calls) and `exits` (ways out of blocks), of all.",
        measure: micro::measure,
    },
    Section {
        name: "calls",
        title: "Calls of an export from outside",
        note: "`add(i64, i64)`; Extism calls a function without arguments, with empty input and output.",
        measure: calls::measure,
    },
    Section {
        name: "load",
        title: "Loading a module",
        note: "From bytes to what instances are made of. `wasmi` translates everything, as the sandbox does; wasm3 only \
               parses, and translates at each instantiation.",
        measure: load::measure,
    },
    Section {
        name: "instances",
        title: "New instances of a loaded module",
        note: "Made and dropped; the module has one page of memory.",
        measure: instances::measure,
    },
    Section {
        name: "memory",
        title: "Memory of idle instances",
        note: "What the resident set of a process of its own grows by, for each of 1 000 instances of a module without a \
               memory.",
        measure: memory::measure,
    },
    Section {
        name: "deadlines",
        title: "Deadlines and interrupts",
        note: "A guest in an endless loop: how long after the limit, or after the call of `interrupt`, its call returns.",
        measure: deadlines::measure,
    },
    Section {
        name: "grants",
        title: "Granting and revoking",
        note: "A capability granted and taken back.",
        measure: grants::measure,
    },
    Section {
        name: "symbols",
        title: "Looking up a symbol",
        note: "`cos` of the C library's mathematics.",
        measure: symbols::measure,
    },
    Section {
        name: "reload",
        title: "Hot reload of a shared library",
        note: "From the rename into place to the new code called, without build and debounce, or with the debounce that is \
               named; and the processor time while nothing changes.",
        measure: reload::measure,
    },
    Section {
        name: "discovery",
        title: "Discovery",
        note: "Directories with a manifest each; `bare` lists, reads and parses them with `toml`.",
        measure: discovery::measure,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different() {
        for (n, one) in SECTIONS.iter().enumerate() {
            assert!(
                SECTIONS[..n].iter().all(|before| before.name != one.name),
                "{}",
                one.name
            );
        }
    }
}
