//! The cost of creating an instance, before any of its code runs: counted here, charged by `instance/link.rs`.

use crate::{
    error::Refused, metering::memory_meter::ELEMENT_BYTES, module::limits::Bound,
    rewrite::index_spaces::IndexSpaces, rewritten::InstanceCost, schedule,
};
use wasmparser::{ConstExpr, Data, DataKind, Element, ElementItems, ElementKind, Export, Operator};

/// Computes the cost while the module is parsed.
#[derive(Debug, Default)]
pub(super) struct Counter {
    fuel: u64,
    passive_elements: u64,
    records: u64,
    name_bytes: u64,
    constant_operators: u64,
}

/// Returns the number of references in an element segment.
pub(super) fn elements(segment: &Element<'_>) -> u32 {
    match &segment.items {
        ElementItems::Functions(items) => items.count(),
        ElementItems::Expressions(_, items) => items.count(),
    }
}

/// Returns the number of operators in a constant expression, without its `end`.
///
/// The number is limited, because the interpreter recurses on the native stack for each of them.
pub(super) fn constant_operators(expression: &ConstExpr<'_>) -> Result<u64, Refused> {
    const MAX: u64 = 64;
    let mut operators = expression.get_operators_reader();
    let mut count = 0;
    while !operators.eof() {
        if let Operator::End = operators.read()? {
            continue;
        }
        count += 1;
    }
    Bound::fixed(MAX).check("operators in a constant expression", count)?;
    Ok(count)
}

impl Counter {
    /// Adds a constant expression. Its first operator is free, since every expression has one.
    pub(super) fn constant(&mut self, operators: u64) {
        self.constant_operators += operators;
        self.fuel += operators.saturating_sub(1);
    }

    /// Returns the number of operators in all constant expressions so far.
    pub(super) fn constant_operators(&self) -> u64 {
        self.constant_operators
    }

    /// Adds imports, functions, globals, memories or tables: entries of the instance's index spaces.
    pub(super) fn records(&mut self, count: u32) {
        self.records += u64::from(count);
    }

    pub(super) fn export(&mut self, export: &Export<'_>) {
        self.records += 1;
        self.name_bytes += export.name.len() as u64;
    }

    pub(super) fn element_segment(&mut self, segment: &Element<'_>) {
        self.records += 1;
        self.fuel += 1;
        let count = u64::from(elements(segment));
        match segment.kind {
            ElementKind::Active { .. } => self.fuel += count / schedule::ELEMENTS_PER_FUEL,
            ElementKind::Passive => {
                self.fuel += count / schedule::ELEMENTS_PER_FUEL;
                self.passive_elements += count;
            }
            // The guest cannot access these.
            ElementKind::Declared => {}
        }
    }

    pub(super) fn data_segment(&mut self, segment: &Data<'_>) {
        self.records += 1;
        self.fuel += 1;
        if let DataKind::Active { .. } = segment.kind {
            self.fuel += segment.data.len() as u64 / schedule::BYTES_PER_FUEL;
        }
    }

    /// Returns the sum, after the whole module has been parsed.
    pub(super) fn sum(&self, spaces: &IndexSpaces) -> InstanceCost {
        let records = self.records * schedule::RECORD_BYTES + self.name_bytes;
        let records = records.saturating_sub(schedule::FREE_RECORD_BYTES);
        InstanceCost {
            fuel: self.fuel + records / schedule::BYTES_PER_FUEL,
            kept_bytes: self.passive_elements * ELEMENT_BYTES + records,
            initial_bytes: spaces.all_initial_bytes(),
        }
    }
}
