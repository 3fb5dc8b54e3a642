//! Checks sections against the limits, before they are validated.

use super::{MAX_TABLES, ModuleReader, check, instance};
use crate::{
    engine::ModuleLimits,
    error::{ModuleError, Refused},
    rewrite::{PREFIX, load_estimate},
};
use wasmparser::{ConstExpr, DataKind, ElementItems, ElementKind, Payload};

impl<'a> ModuleReader<'a> {
    /// Checks the number and the sizes of the items in a section.
    pub(super) fn bound(&mut self, payload: &Payload<'a>, limits: &ModuleLimits) -> Result<(), Refused> {
        let items = |what, count: u32| check(what, count.into(), limits.max_items);
        match payload {
            Payload::TypeSection(section) => {
                items("types", section.count())?;
                for group in section.clone() {
                    for ty in group?.types() {
                        if let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner {
                            check("parameters", ty.params().len() as u64, limits.max_params)?;
                            check("results", ty.results().len() as u64, limits.max_params)?;
                        }
                    }
                }
                Ok(())
            }
            Payload::ImportSection(section) => {
                items("imports", section.count())?;
                for import in section.clone() {
                    let import = import?;
                    check(
                        "bytes in a name",
                        import.module.len() as u64,
                        limits.max_name_bytes,
                    )?;
                    check("bytes in a name", import.name.len() as u64, limits.max_name_bytes)?;
                }
                Ok(())
            }
            Payload::FunctionSection(section) => items("functions", section.count()),
            Payload::TableSection(section) => check(
                "tables",
                section.count().into(),
                limits.max_memories.min(MAX_TABLES),
            ),
            Payload::MemorySection(section) => check(
                "memories",
                section.count().into(),
                limits.max_memories.min(MAX_TABLES),
            ),
            Payload::GlobalSection(section) => {
                items("globals", section.count())?;
                for global in section.clone() {
                    self.constant(&global?.init_expr, limits)?;
                }
                Ok(())
            }
            Payload::ExportSection(section) => {
                items("exports", section.count())?;
                for export in section.clone() {
                    let name = export?.name;
                    check("bytes in a name", name.len() as u64, limits.max_name_bytes)?;
                    if name.starts_with(PREFIX) {
                        let feature =
                            "an export whose name is reserved (it starts with \\0dynload.); rename it";
                        return Err(ModuleError::Unsupported { feature }.into());
                    }
                }
                Ok(())
            }
            Payload::ElementSection(section) => {
                items("element segments", section.count())?;
                let mut elements = 0;
                for segment in section.clone() {
                    let segment = segment?;
                    elements += u64::from(instance::elements(&segment));
                    check("elements in all segments", elements, limits.max_elements)?;
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
                items("data segments", section.count())?;
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
        check(
            "operators in all constant expressions",
            all,
            limits.max_constant_operators,
        )
    }
}
