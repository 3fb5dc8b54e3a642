//! A function's body, made from left to right with the operand stack in mind.

use wasm_encoder::{BlockType, Instruction};

use super::Options;
use super::dice::Dice;
use crate::value::{FuncType, ValType};

/// What a body can refer to.
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
    /// The global that makes programs end.
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
    /// What a branch here takes along.
    pub(crate) takes: Vec<ValType>,
    /// What the block leaves at its end.
    pub(crate) leaves: Vec<ValType>,
    /// Operands below the block.
    pub(crate) base: usize,
    pub(crate) is_loop: bool,
    /// Whether some branch goes here.
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
    /// Operators that may still be made.
    pub(crate) left: usize,
}

impl<'c, 'd, 'b> Body<'c, 'd, 'b> {
    /// The operators of a function, its last `end` included. `locals` are parameters and declared locals.
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

    /// Returns constants when the patience is used up, else takes one off.
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

    /// Operands that the innermost block put on the stack.
    pub(crate) fn own(&self) -> &[ValType] {
        &self.stack[self.labels.last().map_or(0, |label| label.base)..]
    }

    /// Fills the innermost block and leaves exactly what it must leave.
    pub(crate) fn statements(&mut self) {
        // The function's own block is long; the ones in it are short, now and then empty.
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

    /// Brings the stack of the innermost block to what it leaves; code is live here.
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
            // A branch throws away what is below the values it takes along.
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

    /// Sets the stack to what it is behind the innermost block's `end`.
    fn leave(&mut self) {
        let label = self.labels.last().expect("statements are in a block");
        self.stack.truncate(label.base);
        self.stack.extend(&label.leaves);
    }

    /// Code behind a branch: typed like any code, on a stack that has whatever is wanted of it.
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

    /// An operator that pops what nobody pushed.
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
        self.stack.pop().expect("only what is there is popped")
    }

    pub(crate) fn label(&self, depth: usize) -> &Label {
        &self.labels[self.labels.len() - 1 - depth]
    }

    /// Remembers that a branch goes to the block at this depth.
    pub(crate) fn mark(&mut self, depth: usize) {
        let index = self.labels.len() - 1 - depth;
        self.labels[index].targeted = true;
    }

    /// Makes the highest operands be of these types: takes those that are there and adds the rest.
    pub(crate) fn need(&mut self, types: &[ValType]) {
        let own = self.own();
        let fits = |count: &usize| own.ends_with(&types[..*count]);
        let there = (0..=types.len().min(own.len())).rev().find(fits).unwrap_or(0);
        for ty in &types[there..] {
            self.expression(*ty, 2);
        }
    }

    /// Takes these types off the stack, after [`need`](Self::need).
    pub(crate) fn consume(&mut self, types: &[ValType]) {
        self.stack.truncate(self.stack.len() - types.len());
    }
}
