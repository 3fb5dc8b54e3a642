//! Rewrites the body of one function in two passes.
//!
//! The first pass parses the operators, builds the control-flow graph and records [`Edit`]s, each with its offset. The second
//! pass, after re-weighting, copies the body and applies the edits: charges, frame counters, workarounds.

mod arity;
mod constants;
mod control;
mod fast_path;
mod operator;
mod stacks;
mod validity;
#[cfg(feature = "simd")]
mod vectors;
mod wasmi_workarounds;

use self::{fast_path::FastPath, stacks::Stacks};
use super::{
    binary::{indexed, op, unsigned},
    cfg::{Charge, Edge},
    first_use::{Costs, Report, Reports},
    flow::Flow,
    frame_counters::{self, Globals},
    index_spaces::IndexSpaces,
    literals::{Literal, Literals},
    load_estimate::{self, Estimate},
};
use crate::{error::Refused, module::limits::Bound, schedule};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{FuncToValidate, FuncValidatorAllocations, FunctionBody, ValType, ValidatorResources};

/// The properties of the module that rewriting a function depends on.
pub(crate) struct Context<'a> {
    pub(crate) globals: Globals,
    pub(crate) spaces: &'a IndexSpaces,
    /// The start function.
    pub(crate) start: Option<u32>,
    /// The type and the table of the host functions that rewritten code calls.
    pub(crate) host: (u32, u32),
    /// Which functions report their first use, if any.
    pub(crate) reports: Option<Reports>,
    /// The functions that are translated at load although the others are not, in order.
    pub(crate) large: Vec<u32>,
    /// The maximum number of values that blocks, branches and calls carry, all together.
    pub(crate) carried: Bound,
    /// The memory that loading takes.
    pub(crate) load: Estimate,
    /// Whether vectors occur in types or globals, so that any function may have some.
    #[cfg(feature = "simd")]
    pub(crate) vectors: bool,
}

impl Context<'_> {
    /// Checks the number of values that blocks, branches and calls carry.
    pub(crate) fn check_carried(&self, carried: u64) -> Result<(), Refused> {
        self.carried
            .check("values carried by blocks, branches and calls", carried)
    }
}

/// What a rewritten body relies on: additions to the module, and vectors in the interpreter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(crate) refund: bool,
    pub(crate) frame_counters: bool,
    pub(crate) growth: bool,
    pub(crate) vectors: bool,
}

impl core::ops::BitOrAssign for Needs {
    fn bitor_assign(&mut self, other: Needs) {
        self.refund |= other.refund;
        self.frame_counters |= other.frame_counters;
        self.growth |= other.growth;
        self.vectors |= other.vectors;
    }
}

/// A change between two bytes of the original. Offsets are relative to the start of the body.
enum Edit {
    /// Inserts the bytes `start..end` of the scratch buffer.
    Insert { start: u32, end: u32 },
    /// Charges the cost of an edge.
    Charge(Edge),
    /// Copies a `loop` up to the end of its type, and charges the cost of an iteration.
    Loop {
        iteration: Edge,
        branched_to: bool,
        /// Whether one of its parameters is a constant: as a `block` it would stay one.
        takes_constant: bool,
        type_end: u32,
    },
    /// A `br_if` that ends at `end`. If its taken edge has a cost, an `if` with that charge and a `br` replaces it.
    BranchIf { taken: Edge, label: u32, end: u32 },
    /// Stores the frame counters for the function that is called next.
    Call,
    /// Subtracts the function's own frame before a tail call.
    TailCall,
    /// Omits bytes of the original.
    Skip { to: u32 },
}

/// What is needed of a control frame at its end.
#[derive(Default)]
struct OpenFrame {
    /// The index of the edit of a `loop`.
    loop_edit: Option<usize>,
    /// The height of the operand stack below the frame's parameters.
    height: u32,
    /// The constants among the parameters of an `if`.
    params: Vec<(u32, Literal)>,
}

/// Rewrites bodies, one after the other, and reuses its buffers.
#[derive(Default)]
pub(crate) struct BodyRewriter {
    flow: Flow,
    stacks: Stacks,
    literals: Literals,
    /// The guest's own locals, parameters included.
    locals: u32,
    /// The offsets of the body in the module, and of its end.
    base: usize,
    end: usize,
    edits: Vec<(u32, Edit)>,
    scratch: Vec<u8>,
    open_frames: Vec<OpenFrame>,
    /// The types of the hidden locals, in order.
    hidden_locals: Vec<u8>,
    /// In dead code: the offset at which it starts, and the number of control frames opened since.
    dead: Option<(usize, u32)>,
    /// Whether the last instruction that the interpreter emitted is a comparison with zero, or may be one.
    compared: bool,
    /// Whether the top of the operand stack may be a local that the interpreter has not copied.
    top_is_local: bool,
    calls: bool,
    needs: Needs,
    /// Whether the rewritten body may be valid although the original is not, so that the interpreter would not detect it.
    needs_validation: bool,
    allocations: FuncValidatorAllocations,
    #[cfg(feature = "simd")]
    vectors: Option<vectors::Vectors>,
    /// Whether a vector was met that is not tracked.
    #[cfg(feature = "simd")]
    missed_vector: bool,
    /// The bytes that vectors on the operand stack take beyond those of other operands.
    #[cfg(feature = "simd")]
    vector_bytes: u64,
    max_operand_bytes: u64,
    /// The number of values that blocks, branches and calls of the function carry, beyond [`CARRIED_FREE`] each.
    carried: u64,
    /// The memory that loading the function takes.
    load: u64,
    /// The bytes of its parameters, locals and operands.
    frame_bytes: u64,
    /// Its index.
    index: u32,
    report: Option<Report>,
}

/// What the first pass finds about a body.
struct Parsed {
    /// The number of groups of locals, and their bytes in the module.
    groups: u32,
    declarations: Range<usize>,
    code: Range<usize>,
    /// The bytes of parameters and locals.
    locals_bytes: u64,
    entry: Edge,
}

/// The number of values that each block, branch and call may carry uncounted.
pub(super) const CARRIED_FREE: u64 = 16;

impl BodyRewriter {
    /// Appends the rewritten form of `body`, without its size prefix.
    ///
    /// The interpreter validates the body; this checks it only where rewriting could hide an error.
    pub(crate) fn rewrite(
        &mut self,
        context: &Context<'_>,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Needs, Refused> {
        let ty = function.ty;
        self.index = function.index;
        #[cfg(feature = "simd")]
        let parsed = {
            // Few functions have vectors, and to track them is expensive: all operators are validated.
            let parsed = if context.vectors {
                None
            } else {
                Some(self.parse(context, ty, body)?).filter(|_| !self.missed_vector)
            };
            match parsed {
                Some(parsed) => {
                    self.validate_if_needed(function, body)?;
                    parsed
                }
                None => self.parse_with_vectors(context, function, body)?,
            }
        };
        #[cfg(not(feature = "simd"))]
        let parsed = self.parse(context, ty, body)?;
        #[cfg(not(feature = "simd"))]
        self.validate_if_needed(function, body)?;
        self.report = context
            .reports
            .and_then(|reports| reports.of(self.index, body.range().len()));
        if self.report.is_some() {
            self.load += load_estimate::REPORT;
        }
        context.load.add(self.load)?;
        self.flow.reweight();
        self.write(context, body, &parsed, out);
        Ok(self.needs)
    }

    /// Validates a body that may have become valid by rewriting.
    fn validate_if_needed(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), Refused> {
        if self.needs_validation {
            let mut validator = function.into_validator(core::mem::take(&mut self.allocations));
            validator.validate(body)?;
            self.allocations = validator.into_allocations();
        }
        Ok(())
    }

    /// The first pass, for a function of the type with index `ty`. Stops early if there is a vector that is not tracked.
    fn parse(&mut self, context: &Context<'_>, ty: u32, body: &FunctionBody<'_>) -> Result<Parsed, Refused> {
        self.stacks.start(ty);
        self.literals.clear();
        self.edits.clear();
        self.scratch.clear();
        self.open_frames.clear();
        self.hidden_locals.clear();
        self.dead = None;
        self.compared = false;
        self.top_is_local = false;
        self.calls = false;
        self.needs = Needs::default();
        self.needs_validation = false;
        self.max_operand_bytes = 0;
        #[cfg(feature = "simd")]
        {
            self.missed_vector = false;
            self.vector_bytes = 0;
        }
        self.carried = 0;
        self.load = load_estimate::FUNCTION + load_estimate::BYTE * body.range().len() as u64;
        if context.globals.peaks.is_some() {
            self.load += load_estimate::PEAKS;
        }

        // About one byte in eight is an operator that needs an edit.
        self.edits.reserve(body.range().len() / 8);

        let base = body.range().start;
        self.base = base;
        self.end = body.range().end;
        let ty = context.spaces.types.get(ty as usize);
        let params = ty.map_or(&[][..], |ty| ty.params());
        let mut frame_bytes: u64 = params.iter().copied().map(bytes_of).sum();
        self.locals = params.len() as u32;
        let mut locals = body.get_locals_reader()?;
        let groups = locals.get_count();
        let groups_start = locals.original_position();
        let mut declared_bytes = 0;
        for _ in 0..groups {
            let (count, ty) = locals.read()?;
            self.locals = self.locals.saturating_add(count);
            declared_bytes += u64::from(count) * bytes_of(ty);
            #[cfg(feature = "simd")]
            self.meet(ty);
        }
        frame_bytes += declared_bytes;
        self.load +=
            load_estimate::LOCAL * u64::from(self.locals) + load_estimate::LOCALS * u64::from(groups);
        let groups_end = locals.original_position();
        let entry = self.flow.start();
        self.flow.add_cost(1 + schedule::locals(declared_bytes));
        self.open_frames.push(OpenFrame::default());
        let mut operators = body.get_operators_reader()?;
        let code_start = operators.original_position();
        let mut fast_path = FastPath {
            body: self,
            deferred: None,
        };
        while !operators.eof() {
            let start = operators.original_position();
            operators.visit_operator(&mut fast_path)?;
            if let Some(operator) = &fast_path.deferred {
                #[cfg(feature = "simd")]
                {
                    fast_path.body.meet_in(operator);
                    if fast_path.body.missed_vector {
                        break;
                    }
                }
                let end = operators.original_position();
                fast_path.body.operator(context, operator, start..end)?;
                fast_path.deferred = None;
            }
        }
        let code_end = operators.original_position();
        Ok(Parsed {
            groups,
            declarations: groups_start..groups_end,
            code: code_start..code_end,
            locals_bytes: frame_bytes,
            entry,
        })
    }

    /// The second pass.
    fn write(&mut self, context: &Context<'_>, body: &FunctionBody<'_>, parsed: &Parsed, out: &mut Vec<u8>) {
        let base = self.base;
        self.frame_bytes = parsed.locals_bytes + self.max_operand_bytes;
        let frame = crate::metering::frames::frame(self.frame_bytes);
        let counters = (self.calls || context.globals.peaks.is_some())
            .then(|| self.locals + self.hidden_locals.len() as u32);
        if counters.is_some() {
            self.hidden_locals.push(op::I64);
        }
        self.needs.frame_counters = self.calls;

        unsigned(out, u64::from(parsed.groups) + self.hidden_locals.len() as u64);
        let bytes = body.as_bytes();
        out.extend_from_slice(&bytes[parsed.declarations.start - base..parsed.declarations.end - base]);
        for ty in &self.hidden_locals {
            out.extend([1, *ty]);
        }
        frame_counters::enter(out, &context.globals, frame, counters, self.report, context.host);
        self.emit_charge(context, parsed.entry, out);
        let mut copied = parsed.code.start - base;
        let edits = core::mem::take(&mut self.edits);
        for (at, edit) in &edits {
            let at = *at as usize;
            if at > copied {
                out.extend_from_slice(&bytes[copied..at]);
                copied = at;
            }
            match *edit {
                Edit::Insert { start, end } => {
                    out.extend_from_slice(&self.scratch[start as usize..end as usize]);
                }
                Edit::Charge(edge) => self.emit_charge(context, edge, out),
                Edit::Loop {
                    iteration,
                    branched_to,
                    takes_constant,
                    type_end,
                } => {
                    // Without a branch to it and without a cost it is a block.
                    let is_block = !branched_to && !takes_constant && self.flow.cost(iteration) == 0;
                    out.push(if is_block { op::BLOCK } else { op::LOOP });
                    out.extend_from_slice(&bytes[copied + 1..type_end as usize]);
                    copied = type_end as usize;
                    if !is_block {
                        self.emit_charge(context, iteration, out);
                    }
                }
                Edit::BranchIf { taken, label, end } => {
                    if self.flow.cost(taken) > 0 {
                        out.extend([op::IF, op::EMPTY]);
                        self.emit_charge(context, taken, out);
                        indexed(out, op::BR, label + 1);
                        out.push(op::END);
                        copied = end as usize;
                    }
                }
                Edit::Call => {
                    frame_counters::before_call(out, &context.globals, counters.unwrap_or_default())
                }
                Edit::TailCall => {
                    // Without a call of its own the function has never stored its frame in the counters.
                    if let Some(local) = counters.filter(|_| self.calls) {
                        frame_counters::before_tail_call(out, &context.globals, frame, local);
                    }
                }
                Edit::Skip { to } => copied = copied.max(to as usize),
            }
        }
        self.edits = edits;
        out.extend_from_slice(&bytes[copied..parsed.code.end - base]);
    }

    /// Emits the code for which the interpreter charges the cost of an edge.
    fn emit_charge(&mut self, context: &Context<'_>, edge: Edge, out: &mut Vec<u8>) {
        let cost = self.flow.cost(edge);
        let nops = |out: &mut Vec<u8>| {
            // The interpreter charges 1 by itself.
            let count = usize::try_from(cost - 1).unwrap_or(usize::MAX);
            out.resize(out.len() + count, op::NOP);
        };
        match (self.flow.charge(edge), cost) {
            (Charge::OnDemand, 1..) => {
                out.extend([op::LOOP, op::EMPTY]);
                nops(out);
                out.push(op::END);
            }
            (Charge::Always, 0) => {
                self.needs.refund = true;
                frame_counters::refund(out, &context.globals);
            }
            (Charge::Always | Charge::Branch, 1..) => nops(out),
            (Charge::OnDemand | Charge::Branch | Charge::Never, _) => {}
        }
    }

    /// Returns the number of values that blocks, branches and calls of the last function carry.
    pub(crate) fn carried(&self) -> u64 {
        self.carried
    }

    /// Adds the cost of translating the last function.
    pub(crate) fn add_cost(&self, context: &Context<'_>, costs: &mut Costs) {
        /// Bytes of a frame that the interpreter supports, whatever its contents.
        const SUPPORTED: u64 = 100_000;
        // Each of them takes more time than memory.
        let time = load_estimate::FUNCTION + load_estimate::LOCAL * u64::from(self.locals);
        let (cost, may_be_refused) = (self.load + time, self.frame_bytes > SUPPORTED);
        if context.large.binary_search(&self.index).is_ok() {
            costs.add_large(self.index, may_be_refused);
        } else {
            let reports = context.reports.map(|_| self.report.is_some());
            costs.add(cost, reports, may_be_refused);
        }
    }

    /// Records an edit at an offset of the module.
    fn edit(&mut self, at: usize, edit: Edit) {
        let at = self.offset(at);
        self.edits.push((at, edit));
    }

    /// Omits an operator.
    fn skip(&mut self, at: Range<usize>) {
        let (start, end) = (self.offset(at.start), self.offset(at.end));
        match self.edits.last_mut() {
            Some((_, Edit::Skip { to })) if *to == start => *to = end,
            _ => self.edits.push((start, Edit::Skip { to: end })),
        }
    }

    /// Converts an offset of the module to one of the body.
    fn offset(&self, at: usize) -> u32 {
        // The binary format limits the size of a body to 32 bits.
        (at - self.base) as u32
    }

    /// Inserts code at an offset of the module.
    fn insert(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.scratch.len() as u32;
        write(&mut self.scratch);
        let end = self.scratch.len() as u32;
        self.load += load_estimate::INSERTED * u64::from(end - start);
        self.edit(at, Edit::Insert { start, end });
    }
}

/// Returns the bytes that a value of the type takes in a frame.
fn bytes_of(ty: ValType) -> u64 {
    if ty == ValType::V128 { 16 } else { 8 }
}
