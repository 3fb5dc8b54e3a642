//! Rewrites one function's body: copies it, and puts prices, frame counters and the like in between.

mod arity;
mod constants;
mod control;
mod engine_gaps;
mod operator;
mod plain;
mod stacks;
mod validity;
#[cfg(feature = "simd")]
mod vectors;

use self::{plain::Plain, stacks::Stacks};
use super::{
    binary::{indexed, op, unsigned},
    flow::Flow,
    guard::{self, Globals},
    index_spaces::IndexSpaces,
    literals::{Literal, Literals},
    load::{self, Estimate},
    sections::check,
    ways::{Charge, Way},
};
use crate::{error::ModuleError, schedule};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{FuncToValidate, FuncValidatorAllocations, FunctionBody, ValType, ValidatorResources};

/// What the rewriter has to know of the module around a function.
pub(crate) struct Context<'a> {
    pub(crate) globals: Globals,
    pub(crate) spaces: &'a IndexSpaces,
    /// The start function.
    pub(crate) start: Option<u32>,
    /// Type and table of the host function that is called before a growth.
    pub(crate) growth: (u32, u32),
    pub(crate) max_nesting: u64,
    /// How many values blocks, branches and calls may carry.
    pub(crate) max_carried: u64,
    /// What loading takes in memory.
    pub(crate) load: Estimate,
}

impl Context<'_> {
    /// Whether blocks, branches and calls may carry so many values.
    pub(crate) fn check_carried(&self, carried: u64) -> Result<(), ModuleError> {
        check(
            "values carried by blocks, branches and calls",
            carried,
            self.max_carried,
        )
    }
}

/// What a body turned out to need.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(crate) refund: bool,
    pub(crate) frame_counters: bool,
    pub(crate) growth: bool,
}

impl core::ops::BitOrAssign for Needs {
    fn bitor_assign(&mut self, other: Needs) {
        self.refund |= other.refund;
        self.frame_counters |= other.frame_counters;
        self.growth |= other.growth;
    }
}

/// Something that stands between bytes of the original; offsets are from the body's start.
enum Edit {
    /// Bytes `start..end` of the scratch buffer.
    Insert { start: u32, end: u32 },
    /// The price of a way.
    Price(Way),
    /// A `loop` whose type ends there, with the price of a turn behind it.
    Loop {
        turn: Way,
        branched_to: bool,
        /// Whether a constant is among its parameters: in a block it would stay one.
        takes_constant: bool,
        type_end: u32,
    },
    /// A `br_if` that ends there, with the price of the way along it.
    BranchIf { along: Way, label: u32, end: u32 },
    /// Shows the frame counters to a function that is about to be called.
    Call,
    /// Takes the own frame away before a tail call.
    TailCall,
    /// Leaves bytes of the original out.
    Skip { to: u32 },
}

/// What has to be remembered of a control frame until its end.
#[derive(Default)]
struct Nest {
    /// Where the edit of a `loop` stands.
    loop_edit: Option<usize>,
    /// The height of the operand stack below the frame's parameters.
    height: u32,
    /// Constants among the parameters of an `if`.
    params: Vec<(u32, Literal)>,
}

/// Rewrites bodies, one after the other, and keeps its buffers.
#[derive(Default)]
pub(crate) struct BodyRewriter {
    flow: Flow,
    stacks: Stacks,
    literals: Literals,
    /// The guest's own locals, parameters included.
    locals: u32,
    /// Where the body begins.
    base: usize,
    edits: Vec<(u32, Edit)>,
    scratch: Vec<u8>,
    nests: Vec<Nest>,
    /// Types of the hidden locals, in order.
    hidden_locals: Vec<u8>,
    /// Frames opened in code that nobody gets to, since it began at the offset.
    dead: Option<(usize, u32)>,
    /// Whether a comparison with zero, or what may be one, is the last thing that the interpreter wrote.
    compared: bool,
    /// Whether the top of the operand stack may be a local that has not been copied.
    top_is_local: bool,
    calls: bool,
    needs: Needs,
    /// Whether the rewritten body may be valid where the original is not, so that the interpreter would not see it.
    needs_validation: bool,
    allocations: FuncValidatorAllocations,
    #[cfg(feature = "simd")]
    vectors: Option<vectors::Vectors>,
    /// What the vectors on the operand stack count beyond other operands.
    #[cfg(feature = "simd")]
    vector_bytes: u64,
    max_operand_bytes: u64,
    /// What the function's blocks, branches and calls carry, beyond [`CARRIED_FREE`] each.
    carried: u64,
    /// What loading the function takes in memory.
    load: u64,
}

/// How many values a block, a branch or a call may carry without being counted.
pub(super) const CARRIED_FREE: u64 = 16;

impl BodyRewriter {
    /// Appends the rewritten form of `body`, without the size in front.
    ///
    /// Whether the body is valid is for the interpreter to say, and said here only where rewriting hides it.
    pub(crate) fn rewrite(
        &mut self,
        context: &Context<'_>,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Needs, ModuleError> {
        self.stacks.start(function.ty);
        self.literals.clear();
        self.edits.clear();
        self.scratch.clear();
        self.nests.clear();
        self.hidden_locals.clear();
        self.dead = None;
        self.compared = false;
        self.top_is_local = false;
        self.calls = false;
        self.needs = Needs::default();
        self.needs_validation = false;
        self.max_operand_bytes = 0;
        self.carried = 0;
        self.load = load::FUNCTION + load::BYTE * body.range().len() as u64;
        if context.globals.peaks.is_some() {
            self.load += load::PEAKS;
        }

        // One in eight bytes is an operator that needs something, more or less.
        self.edits.reserve(body.range().len() / 8);

        let base = body.range().start;
        self.base = base;
        let ty = context.spaces.types.get(function.ty as usize);
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
        }
        frame_bytes += declared_bytes;
        self.load += load::LOCAL * u64::from(self.locals) + load::LOCALS * u64::from(groups);
        let groups_end = locals.original_position();
        #[cfg(feature = "simd")]
        {
            let validator = function.into_validator(core::mem::take(&mut self.allocations));
            self.vectors = Some(vectors::Vectors::new(validator, body)?);
        }

        let entry = self.flow.start();
        self.flow.charge(1 + schedule::locals(declared_bytes));
        self.nests.push(Nest::default());
        let mut operators = body.get_operators_reader()?;
        let code_start = operators.original_position();
        let mut plain = Plain {
            body: self,
            close: None,
        };
        while !operators.eof() {
            let start = operators.original_position();
            operators.visit_operator(&mut plain)?;
            if let Some(operator) = &plain.close {
                let end = operators.original_position();
                plain.body.operator(context, operator, start..end)?;
                plain.close = None;
            }
        }
        let code_end = operators.original_position();
        // To tell vectors from other operands, every operator has been validated.
        #[cfg(feature = "simd")]
        if let Some(vectors) = self.vectors.take() {
            self.allocations = vectors.finish(code_end)?;
        }
        #[cfg(not(feature = "simd"))]
        if self.needs_validation {
            let mut validator = function.into_validator(core::mem::take(&mut self.allocations));
            validator.validate(body)?;
            self.allocations = validator.into_allocations();
        }

        context.load.add(self.load)?;
        self.flow.balance();
        frame_bytes += self.max_operand_bytes;
        let frame = guard::constant(frame_bytes);
        let counters = (self.calls || context.globals.peaks.is_some())
            .then(|| self.locals + self.hidden_locals.len() as u32);
        if counters.is_some() {
            self.hidden_locals.push(op::I64);
        }
        self.needs.frame_counters = self.calls;

        unsigned(out, u64::from(groups) + self.hidden_locals.len() as u64);
        let bytes = body.as_bytes();
        out.extend_from_slice(&bytes[groups_start - base..groups_end - base]);
        for ty in &self.hidden_locals {
            out.extend([1, *ty]);
        }
        guard::enter(out, &context.globals, frame, counters);
        self.price(context, entry, out);
        let mut copied = code_start - base;
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
                Edit::Price(way) => self.price(context, way, out),
                Edit::Loop {
                    turn,
                    branched_to,
                    takes_constant,
                    type_end,
                } => {
                    // Nobody branches to it and nothing is to be paid: it is a block.
                    let is_block = !branched_to && !takes_constant && self.flow.price(turn) == 0;
                    out.push(if is_block { op::BLOCK } else { op::LOOP });
                    out.extend_from_slice(&bytes[copied + 1..type_end as usize]);
                    copied = type_end as usize;
                    if !is_block {
                        self.price(context, turn, out);
                    }
                }
                Edit::BranchIf { along, label, end } => {
                    if self.flow.price(along) > 0 {
                        out.extend([op::IF, op::EMPTY]);
                        self.price(context, along, out);
                        indexed(out, op::BR, label + 1);
                        out.push(op::END);
                        copied = end as usize;
                    }
                }
                Edit::Call => guard::before_call(out, &context.globals, counters.unwrap_or_default()),
                Edit::TailCall => {
                    // Without a call of its own the function has never shown its frame to anybody.
                    if let Some(local) = counters.filter(|_| self.calls) {
                        guard::before_tail_call(out, &context.globals, frame, local);
                    }
                }
                Edit::Skip { to } => copied = copied.max(to as usize),
            }
        }
        self.edits = edits;
        out.extend_from_slice(&bytes[copied..code_end - base]);
        Ok(self.needs)
    }

    /// Writes what makes the interpreter charge the price of a way.
    fn price(&mut self, context: &Context<'_>, way: Way, out: &mut Vec<u8>) {
        let price = self.flow.price(way);
        let nops = |out: &mut Vec<u8>| {
            // The interpreter charges 1 by itself.
            let count = usize::try_from(price - 1).unwrap_or(usize::MAX);
            out.resize(out.len() + count, op::NOP);
        };
        match (self.flow.charge_of(way), price) {
            (Charge::OnDemand, 1..) => {
                out.extend([op::LOOP, op::EMPTY]);
                nops(out);
                out.push(op::END);
            }
            (Charge::Always, 0) => {
                self.needs.refund = true;
                guard::refund(out, &context.globals);
            }
            (Charge::Always | Charge::Branch, 1..) => nops(out),
            (Charge::OnDemand | Charge::Branch | Charge::Never, _) => {}
        }
    }

    /// What blocks, branches and calls of the last function carry.
    pub(crate) fn carried(&self) -> u64 {
        self.carried
    }

    /// Notes an edit at an offset of the module.
    fn edit(&mut self, at: usize, edit: Edit) {
        let at = self.offset(at);
        self.edits.push((at, edit));
    }

    /// Leaves an operator out.
    fn skip(&mut self, at: Range<usize>) {
        let (start, end) = (self.offset(at.start), self.offset(at.end));
        match self.edits.last_mut() {
            Some((_, Edit::Skip { to })) if *to == start => *to = end,
            _ => self.edits.push((start, Edit::Skip { to: end })),
        }
    }

    /// The offset from the body's start of an offset of the module.
    fn offset(&self, at: usize) -> u32 {
        // The format itself bounds a body's size so.
        (at - self.base) as u32
    }

    fn insert(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.scratch.len() as u32;
        write(&mut self.scratch);
        let end = self.scratch.len() as u32;
        self.load += load::WRITTEN * u64::from(end - start);
        self.edit(at, Edit::Insert { start, end });
    }
}

/// What a value of the type counts as in a frame.
fn bytes_of(ty: ValType) -> u64 {
    if ty == ValType::V128 { 16 } else { 8 }
}
