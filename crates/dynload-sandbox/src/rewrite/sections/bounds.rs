//! Checks sections against the limits, before they are validated.

use super::{ModuleReader, instance};
use crate::{
    error::{ModuleError, Refused},
    module::limits::{ModuleLimit, ModuleLimits},
    rewrite::load_estimate,
    rewritten::PREFIX,
};
use wasmparser::{ConstExpr, DataKind, ElementItems, ElementKind, Payload};

impl<'a> ModuleReader<'a> {
    /// Checks the number and the sizes of the items in a section.
    pub(super) fn bound(&mut self, payload: &Payload<'a>, limits: &ModuleLimits) -> Result<(), Refused> {
        /// The interpreter's maximum of element segments, and of data segments.
        const SEGMENTS: u64 = 100_000;
        /// The interpreter's maximum of types, and of globals, without those that the rewriter adds.
        const TYPES: u64 = 999_990;
        let bound = |limit| limits.bound(limit);
        let items = |what, count: u32| bound(ModuleLimit::Items).check(what, count.into());
        let segments = |what, count: u32| {
            bound(ModuleLimit::Items)
                .within(SEGMENTS)
                .check(what, count.into())
        };
        let name = |name: &str| bound(ModuleLimit::NameBytes).check("bytes in a name", name.len() as u64);
        match payload {
            Payload::TypeSection(section) => {
                bound(ModuleLimit::Items)
                    .within(TYPES)
                    .check("types", section.count().into())?;
                for group in section.clone() {
                    for ty in group?.types() {
                        if let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner {
                            bound(ModuleLimit::Params).check("parameters", ty.params().len() as u64)?;
                            bound(ModuleLimit::Params).check("results", ty.results().len() as u64)?;
                        }
                    }
                }
                Ok(())
            }
            Payload::ImportSection(section) => {
                items("imports", section.count())?;
                for import in section.clone() {
                    let import = import?;
                    name(import.module)?;
                    name(import.name)?;
                }
                Ok(())
            }
            Payload::FunctionSection(section) => items("functions", section.count()),
            Payload::TableSection(section) => {
                bound(ModuleLimit::Memories).check("tables", section.count().into())
            }
            Payload::MemorySection(section) => {
                bound(ModuleLimit::Memories).check("memories", section.count().into())
            }
            Payload::GlobalSection(section) => {
                bound(ModuleLimit::Items)
                    .within(TYPES)
                    .check("globals", section.count().into())?;
                for global in section.clone() {
                    self.constant(&global?.init_expr, limits)?;
                }
                Ok(())
            }
            Payload::ExportSection(section) => {
                items("exports", section.count())?;
                for export in section.clone() {
                    let export = export?;
                    name(export.name)?;
                    if export.name.starts_with(PREFIX) {
                        let feature =
                            "an export whose name is reserved (it starts with \\0dynload.); rename it";
                        return Err(ModuleError::Unsupported { feature }.into());
                    }
                }
                Ok(())
            }
            Payload::ElementSection(section) => {
                segments("element segments", section.count())?;
                let mut elements = 0;
                for segment in section.clone() {
                    elements += u64::from(instance::elements(&segment?));
                }
                bound(ModuleLimit::Elements).check("elements in all segments", elements)?;
                for segment in section.clone() {
                    let segment = segment?;
                    if let ElementKind::Active { offset_expr, .. } = &segment.kind {
                        self.constant(offset_expr, limits)?;
                    }
                    if let ElementItems::Expressions(_, items) = segment.items {
                        for item in items {
                            self.constant(&item?, limits)?;
                        }
                    }
                }
                Ok(())
            }
            Payload::DataSection(section) => {
                segments("data segments", section.count())?;
                for segment in section.clone() {
                    if let DataKind::Active { offset_expr, .. } = segment?.kind {
                        self.constant(&offset_expr, limits)?;
                    }
                }
                Ok(())
            }
            Payload::CodeSectionStart { count, .. } => items("functions", *count),
            _ => Ok(()),
        }
    }

    /// Checks and counts the operators of a constant expression.
    fn constant(&mut self, expression: &ConstExpr<'_>, limits: &ModuleLimits) -> Result<(), Refused> {
        let operators = instance::constant_operators(expression)?;
        self.instance.constant(operators);
        self.load += load_estimate::CONSTANT * operators;
        let all = self.instance.constant_operators();
        limits
            .bound(ModuleLimit::ConstantOperators)
            .check("operators in all constant expressions", all)
    }
}
