//! Statements: control flow, calls, and operators with side effects.

use wasm_encoder::{BlockType, Instruction};

use super::body::{Body, Label};
use crate::value::{FuncType, ValType};

/// Deepest nesting of blocks.
const MAX_DEPTH: usize = 9;

impl Body<'_, '_, '_> {
    /// Generates a statement. Returns `false` if the code after it is dead.
    pub(crate) fn statement(&mut self) -> bool {
        let deeper = usize::from(self.labels.len() < MAX_DEPTH);
        let bulk = usize::from(self.context.options.bulk);
        // Operators that leave the function are rare in its outermost block, so that functions do something first.
        let inner = usize::from(self.labels.len() > 1);
        let tail = usize::from(self.context.options.tail_calls);
        match self.dice.weighted(&[
            10,                  // 0: an operand
            6,                   // 1: set a local or global
            2,                   // 2: store
            2,                   // 3: drop, nop
            12 * deeper,         // 4: block
            12 * deeper,         // 5: loop
            16 * deeper,         // 6: if
            12,                  // 7: br_if
            1 + 4 * inner,       // 8: br_table
            5 * inner,           // 9: br
            2 * inner,           // 10: return
            8,                   // 11: call
            4,                   // 12: call_indirect
            tail + tail * inner, // 13: tail call
            4 * bulk,            // 14: bulk operator
            1,                   // 15: unreachable under a condition
        ]) {
            0 => {
                let ty = self.any_type();
                self.expression(ty, 3);
            }
            1 => self.set(),
            2 => self.store(),
            3 => {
                if !self.own().is_empty() && self.dice.chance(60) {
                    self.pop();
                    self.emit(Instruction::Drop);
                } else {
                    self.emit(Instruction::Nop);
                }
            }
            4 => self.block(false),
            5 => self.block(true),
            6 => self.if_else(),
            7 => self.br_if(),
            8 => return self.br_table(),
            9 => {
                let depth = self.depth();
                let takes = self.label(depth).takes.clone();
                self.need(&takes);
                self.mark(depth);
                self.emit(Instruction::Br(depth as u32));
                return false;
            }
            10 => {
                let results = self.results.clone();
                self.need(&results);
                self.emit(Instruction::Return);
                return false;
            }
            11 => self.call(),
            12 => self.call_indirect(),
            13 => return self.tail_call(),
            14 => self.bulk(),
            _ => {
                if self.context.options.traps && self.dice.chance(10) {
                    self.condition();
                    self.pop();
                    self.emit(Instruction::If(BlockType::Empty));
                    self.emit(Instruction::Unreachable);
                    self.emit(Instruction::End);
                } else {
                    self.emit(Instruction::Nop);
                }
            }
        }
        true
    }

    /// Picks a block to branch to, the nearer ones more often.
    fn depth(&mut self) -> usize {
        let open = self.labels.len();
        if self.dice.chance(50) {
            self.dice.below(open)
        } else {
            self.dice.below(open.min(2))
        }
    }

    fn set(&mut self) {
        if !self.locals.is_empty() && self.dice.chance(75) {
            let local = self.dice.below(self.locals.len());
            let ty = self.locals[local];
            self.need(&[ty]);
            if self.dice.chance(30) {
                self.emit(Instruction::LocalTee(local as u32));
            } else {
                self.pop();
                self.emit(Instruction::LocalSet(local as u32));
            }
        } else if !self.context.globals.is_empty() {
            let global = self.dice.below(self.context.globals.len());
            let ty = self.context.globals[global];
            self.need(&[ty]);
            self.pop();
            self.emit(Instruction::GlobalSet(global as u32));
        }
    }

    fn store(&mut self) {
        self.address();
        let ty = self.dice.pick(&[ValType::I32, ValType::I64, ValType::F64]);
        self.expression(ty, 2);
        self.consume(&[ValType::I32, ty]);
        let memory = self.dice.below(self.context.memories as usize) as u32;
        let memarg = super::expression::memarg(memory, self.dice.below(64) as u64);
        self.emit(match ty {
            ValType::I32 => Instruction::I32Store(memarg),
            ValType::I64 => Instruction::I64Store8(memarg),
            _ => Instruction::F64Store(memarg),
        });
    }

    /// Picks the types of up to three of the topmost operands, and up to three result types.
    fn block_types(&mut self) -> (Vec<ValType>, Vec<ValType>) {
        let most = self.own().len().min(3);
        let count = if self.dice.chance(50) {
            0
        } else {
            self.dice.below(most + 1)
        };
        let params = self.stack[self.stack.len() - count..].to_vec();
        let results = match self.dice.below(4) {
            0 | 1 => Vec::new(),
            2 => vec![self.any_type()],
            _ => (0..self.dice.range(0, 3)).map(|_| self.any_type()).collect(),
        };
        (params, results)
    }

    fn block_type(&mut self, params: &[ValType], results: &[ValType]) -> BlockType {
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(super::assemble::encode(*result)),
            _ => BlockType::FunctionType(self.context.intern(FuncType::new(params, results))),
        }
    }

    fn open(&mut self, params: &[ValType], results: &[ValType], is_loop: bool) {
        let takes = if is_loop { params } else { results };
        self.labels.push(Label {
            takes: takes.to_vec(),
            leaves: results.to_vec(),
            base: self.stack.len() - params.len(),
            is_loop,
            targeted: false,
        });
    }

    fn block(&mut self, is_loop: bool) {
        let (params, results) = self.block_types();
        let ty = self.block_type(&params, &results);
        self.emit(if is_loop {
            Instruction::Loop(ty)
        } else {
            Instruction::Block(ty)
        });
        self.open(&params, &results, is_loop);
        let head = self.code.len();
        self.statements();
        let label = self.labels.pop().expect("the block was opened above");
        if is_loop && (label.targeted || self.dice.chance(30)) {
            let rest = self.code.split_off(head);
            self.out_of_patience();
            self.code.extend(rest);
        }
        self.emit(Instruction::End);
    }

    fn if_else(&mut self) {
        let (params, mut results) = self.block_types();
        let without_else = self.dice.chance(40);
        if without_else {
            results = params.clone();
        }
        let ty = self.block_type(&params, &results);
        self.condition();
        self.pop();
        self.emit(Instruction::If(ty));
        self.open(&params, &results, false);
        // An empty arm, where that is valid.
        if !(params == results && self.dice.chance(15)) {
            self.statements();
        }
        if !without_else {
            self.emit(Instruction::Else);
            let base = self.labels.last().expect("the block was opened above").base;
            self.stack.truncate(base);
            self.stack.extend(&params);
            if !(params == results && self.dice.chance(25)) {
                self.statements();
            }
        }
        self.labels.pop();
        self.emit(Instruction::End);
    }

    fn br_if(&mut self) {
        let depth = self.depth();
        let takes = self.label(depth).takes.clone();
        self.need(&takes);
        self.condition();
        self.pop();
        self.mark(depth);
        self.emit(Instruction::BrIf(depth as u32));
    }

    fn br_table(&mut self) -> bool {
        let default = self.depth();
        let takes = self.label(default).takes.clone();
        let fitting: Vec<usize> = (0..self.labels.len())
            .filter(|depth| self.label(*depth).takes == takes)
            .collect();
        let targets: Vec<usize> = (0..self.dice.below(6))
            .map(|_| self.dice.pick(&fitting))
            .collect();
        self.need(&takes);
        self.expression(ValType::I32, 2);
        if self.dice.chance(70) {
            self.emit(Instruction::I32Const(7));
            self.emit(Instruction::I32And);
        }
        self.pop();
        for depth in targets.iter().chain([&default]) {
            self.mark(*depth);
        }
        let targets: Vec<u32> = targets.into_iter().map(|depth| depth as u32).collect();
        self.emit(Instruction::BrTable(targets.into(), default as u32));
        false
    }

    fn call(&mut self) {
        if self.context.callable.is_empty() {
            return;
        }
        let func = self.dice.pick(&self.context.callable);
        let ty = self.context.funcs[func as usize].clone();
        self.need(&ty.params);
        self.consume(&ty.params);
        self.emit(Instruction::Call(func));
        self.stack.extend(ty.results);
    }

    /// Pushes the index of a slot whose function has the same type as the one in `slot`.
    fn slot(&mut self, slot: usize) {
        let ty = &self.context.funcs[self.context.slots[slot] as usize];
        let same: Vec<usize> = (0..self.context.slots.len())
            .filter(|slot| self.context.funcs[self.context.slots[*slot] as usize] == *ty)
            .collect();
        let other = self.dice.pick(&same);
        self.emit(Instruction::I32Const(slot as i32));
        if self.dice.chance(60) {
            self.emit(Instruction::I32Const(other as i32));
            self.condition();
            self.pop();
            self.emit(Instruction::Select);
        }
    }

    fn call_indirect(&mut self) {
        if self.context.slots.is_empty() {
            return;
        }
        let slot = self.dice.below(self.context.slots.len());
        let ty = self.context.funcs[self.context.slots[slot] as usize].clone();
        self.need(&ty.params);
        // The index is pushed without being tracked on the stack: the code generated in between leaves the stack unchanged.
        self.slot(slot);
        self.consume(&ty.params);
        let type_index = self.context.intern(ty.clone());
        self.emit(Instruction::CallIndirect {
            type_index,
            table_index: 0,
        });
        self.stack.extend(ty.results);
    }

    fn tail_call(&mut self) -> bool {
        let results = self.results.clone();
        let same = |func: &u32| self.context.funcs[*func as usize].results == results;
        let fitting: Vec<u32> = self.context.callable.iter().copied().filter(same).collect();
        if fitting.is_empty() {
            return true;
        }
        let func = self.dice.pick(&fitting);
        let ty = self.context.funcs[func as usize].clone();
        self.need(&ty.params);
        match self.context.slots.iter().position(|slot| *slot == func) {
            Some(slot) if self.dice.chance(40) => {
                self.slot(slot);
                let type_index = self.context.intern(ty);
                self.emit(Instruction::ReturnCallIndirect {
                    type_index,
                    table_index: 0,
                });
            }
            _ => self.emit(Instruction::ReturnCall(func)),
        }
        false
    }

    fn bulk(&mut self) {
        let memory = self.dice.below(self.context.memories as usize) as u32;
        let other = self.dice.below(self.context.memories as usize) as u32;
        match self.dice.below(9) {
            0 => {
                self.address();
                self.expression(ValType::I32, 1);
                self.length(1000);
                self.consume(&[ValType::I32; 3]);
                self.emit(Instruction::MemoryFill(memory));
            }
            1 => {
                self.address();
                self.address();
                self.length(1000);
                self.consume(&[ValType::I32; 3]);
                self.emit(Instruction::MemoryCopy {
                    src_mem: other,
                    dst_mem: memory,
                });
            }
            2 if self.context.data_segments > 0 => {
                let data_index = self.dice.below(self.context.data_segments as usize) as u32;
                self.address();
                self.emit(Instruction::I32Const(0));
                self.stack.push(ValType::I32);
                self.length(super::assemble::PASSIVE_BYTES);
                self.consume(&[ValType::I32; 3]);
                self.emit(Instruction::MemoryInit {
                    mem: memory,
                    data_index,
                });
            }
            3 => {
                self.length(3);
                self.emit(Instruction::MemoryGrow(memory));
                self.maybe_drop();
            }
            4 => {
                self.emit(Instruction::MemorySize(memory));
                self.stack.push(ValType::I32);
            }
            5 => {
                self.emit(Instruction::I32Const(0));
                self.emit(Instruction::RefNull(wasm_encoder::HeapType::FUNC));
                self.stack.push(ValType::I32);
                self.length(super::assemble::TABLE_ELEMENTS);
                self.consume(&[ValType::I32; 2]);
                self.emit(Instruction::TableFill(1));
            }
            6 => {
                self.emit(Instruction::I32Const(1));
                self.emit(Instruction::I32Const(0));
                self.stack.extend([ValType::I32; 2]);
                self.length(super::assemble::TABLE_ELEMENTS - 1);
                self.consume(&[ValType::I32; 3]);
                self.emit(Instruction::TableCopy {
                    src_table: 1,
                    dst_table: 1,
                });
            }
            7 => {
                self.emit(Instruction::RefNull(wasm_encoder::HeapType::FUNC));
                self.length(70);
                self.emit(Instruction::TableGrow(1));
                self.maybe_drop();
            }
            _ => {
                self.emit(Instruction::TableSize(1));
                self.stack.push(ValType::I32);
            }
        }
    }

    fn maybe_drop(&mut self) {
        if self.dice.chance(50) {
            self.pop();
            self.emit(Instruction::Drop);
        }
    }
}
