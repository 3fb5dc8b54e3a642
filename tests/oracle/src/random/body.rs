//! Function bodies, generated from left to right while tracking the operand stack.

use wasm_encoder::{BlockType, Instruction};

use super::Options;
use super::dice::Dice;
use crate::value::{FuncType, ValType};

/// The items that a body can refer to.
pub(crate) struct Context {
    pub(crate) options: Options,
    /// Function types by index; grows as block types are needed.
    pub(crate) types: Vec<FuncType>,
    /// Types of all functions.
    pub(crate) funcs: Vec<FuncType>,
    /// Functions that bodies may call.
    pub(crate) callable: Vec<u32>,
    /// Functions in the table for indirect calls, by slot.
    pub(crate) slots: Vec<u32>,
    /// Types of the globals that bodies may use.
    pub(crate) globals: Vec<ValType>,
    /// The global that makes programs terminate.
    pub(crate) patience: u32,
    pub(crate) memories: u32,
    pub(crate) data_segments: u32,
}

impl Context {
    pub(crate) fn intern(&mut self, ty: FuncType) -> u32 {
        match self.types.iter().position(|known| *known == ty) {
            Some(index) => index as u32,
            None => {
                self.types.push(ty);
                self.types.len() as u32 - 1
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Label {
    /// The types that a branch to this label carries.
    pub(crate) takes: Vec<ValType>,
    /// The result types of the block.
    pub(crate) leaves: Vec<ValType>,
    /// The number of operands below the block.
    pub(crate) base: usize,
    pub(crate) is_loop: bool,
    /// Whether any branch targets this label.
    pub(crate) targeted: bool,
}

pub(crate) struct Body<'c, 'd, 'b> {
    pub(crate) context: &'c mut Context,
    pub(crate) dice: &'d mut Dice<'b>,
    pub(crate) locals: Vec<ValType>,
    pub(crate) results: Vec<ValType>,
    pub(crate) stack: Vec<ValType>,
    pub(crate) labels: Vec<Label>,
    pub(crate) code: Vec<Instruction<'static>>,
    /// The number of operators that may still be emitted.
    pub(crate) left: usize,
}

impl<'c, 'd, 'b> Body<'c, 'd, 'b> {
    /// Generates the operators of a function, including the final `end`. `locals` are parameters and declared locals.
    pub(crate) fn generate(
        context: &'c mut Context,
        dice: &'d mut Dice<'b>,
        locals: Vec<ValType>,
        results: Vec<ValType>,
    ) -> Vec<Instruction<'static>> {
        let left = dice.range(5, context.options.size.max(6));
        let whole = Label {
            takes: results.clone(),
            leaves: results.clone(),
            base: 0,
            is_loop: false,
            targeted: false,
        };
        let mut body = Self {
            context,
            dice,
            locals,
            results,
            stack: Vec::new(),
            labels: vec![whole],
            code: Vec::new(),
            left,
        };
        body.out_of_patience();
        body.statements();
        body.code.push(Instruction::End);
        body.code
    }

    /// Emits code that returns constants if the patience is used up, and otherwise decrements it.
    pub(crate) fn out_of_patience(&mut self) {
        let patience = self.context.patience;
        self.code.extend([
            Instruction::GlobalGet(patience),
            Instruction::I32Eqz,
            Instruction::If(BlockType::Empty),
        ]);
        for ty in self.results.clone() {
            let constant = self.constant(ty);
            self.code.push(constant);
        }
        self.code.extend([
            Instruction::Return,
            Instruction::End,
            Instruction::GlobalGet(patience),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::GlobalSet(patience),
        ]);
    }

    pub(crate) fn emit(&mut self, instruction: Instruction<'static>) {
        self.left = self.left.saturating_sub(1);
        self.code.push(instruction);
    }

    /// Returns the operands that belong to the innermost block.
    pub(crate) fn own(&self) -> &[ValType] {
        &self.stack[self.labels.last().map_or(0, |label| label.base)..]
    }

    /// Fills the innermost block, so that exactly its results are on the stack.
    pub(crate) fn statements(&mut self) {
        // The function's own block is long; nested blocks are short, occasionally empty.
        let count = match self.labels.len() {
            1 => self.dice.range(2, 14),
            _ => self.dice.weighted(&[2, 3, 4, 4, 3, 2, 1, 1]),
        };
        for _ in 0..count {
            if self.left == 0 {
                break;
            }
            if !self.statement() {
                self.dead_code();
                return;
            }
        }
        self.finish();
    }

    /// Brings the stack of the innermost block to its results; code is live here.
    fn finish(&mut self) {
        let label = self.labels.last().expect("statements are in a block").clone();
        let same = self
            .own()
            .iter()
            .zip(&label.leaves)
            .take_while(|(have, want)| have == want)
            .count();
        let surplus = self.own().len() - same;
        if surplus > 0 && self.dice.chance(40) && !label.is_loop {
            // A branch discards the operands below the values it carries.
            self.need(&label.leaves);
            self.mark(0);
            self.emit(Instruction::Br(0));
        } else {
            for _ in 0..surplus {
                self.pop();
                self.emit(Instruction::Drop);
            }
            for ty in &label.leaves[same..] {
                self.expression(*ty, 2);
            }
        }
        self.leave();
    }

    /// Sets the stack to its state after the innermost block's `end`.
    fn leave(&mut self) {
        let label = self.labels.last().expect("statements are in a block");
        self.stack.truncate(label.base);
        self.stack.extend(&label.leaves);
    }

    /// Generates code after a branch: typed like any code, on a polymorphic stack.
    fn dead_code(&mut self) {
        let label = self.labels.last().expect("statements are in a block").clone();
        self.stack.truncate(label.base);
        for _ in 0..self.dice.below(3) {
            if self.left == 0 {
                break;
            }
            if self.own().is_empty() && self.dice.chance(60) {
                self.pop_from_nowhere();
            } else if !self.statement() {
                self.stack.truncate(label.base);
            }
        }
        if self.own().is_empty() && self.dice.chance(60) {
            self.leave();
        } else {
            self.finish();
        }
    }

    /// Emits an operator that pops operands that were never pushed.
    fn pop_from_nowhere(&mut self) {
        let local = self.dice.below(self.locals.len().max(1)) as u32;
        match self.dice.below(7) {
            0 => self.emit(Instruction::Drop),
            1 => {
                self.emit(Instruction::I32Add);
                self.stack.push(ValType::I32);
            }
            2 => {
                self.emit(Instruction::I64Eqz);
                self.stack.push(ValType::I32);
            }
            3 if !self.locals.is_empty() => self.emit(Instruction::LocalSet(local)),
            4 => {
                let depth = self.dice.below(self.labels.len());
                self.mark(depth);
                self.emit(Instruction::BrIf(depth as u32));
                let takes = self.label(depth).takes.clone();
                self.stack.extend(takes);
            }
            5 if !self.context.callable.is_empty() => {
                let func = self.dice.pick(&self.context.callable);
                self.emit(Instruction::Call(func));
                let results = self.context.funcs[func as usize].results.clone();
                self.stack.extend(results);
            }
            _ => self.emit(Instruction::Unreachable),
        }
    }

    pub(crate) fn pop(&mut self) -> ValType {
        self.stack.pop().expect("the stack has an operand")
    }

    pub(crate) fn label(&self, depth: usize) -> &Label {
        &self.labels[self.labels.len() - 1 - depth]
    }

    /// Records that a branch targets the block at this depth.
    pub(crate) fn mark(&mut self, depth: usize) {
        let index = self.labels.len() - 1 - depth;
        self.labels[index].targeted = true;
    }

    /// Ensures that the topmost operands have these types: uses those already present and pushes the rest.
    pub(crate) fn need(&mut self, types: &[ValType]) {
        let own = self.own();
        let fits = |count: &usize| own.ends_with(&types[..*count]);
        let there = (0..=types.len().min(own.len())).rev().find(fits).unwrap_or(0);
        for ty in &types[there..] {
            self.expression(*ty, 2);
        }
    }

    /// Pops these types off the stack, after [`need`](Self::need).
    pub(crate) fn consume(&mut self, types: &[ValType]) {
        self.stack.truncate(self.stack.len() - types.len());
    }
}
