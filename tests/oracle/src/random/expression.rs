//! Expressions: code that pushes one operand of a given type.

use wasm_encoder::{BlockType, Instruction, MemArg, MemArgTarget};

use super::assemble::encode;
use super::body::{Body, Label};
use crate::value::ValType;

impl Body<'_, '_, '_> {
    pub(crate) fn any_type(&mut self) -> ValType {
        let vectors = usize::from(self.context.options.vectors);
        let types = [
            ValType::I32,
            ValType::I64,
            ValType::F64,
            ValType::F32,
            ValType::V128,
            ValType::FuncRef,
        ];
        types[self.dice.weighted(&[6, 3, 2, 1, 2 * vectors, 1])]
    }

    pub(crate) fn constant(&mut self, ty: ValType) -> Instruction<'static> {
        let number = self.dice.constant();
        match ty {
            ValType::I32 => Instruction::I32Const(number),
            ValType::I64 => Instruction::I64Const(i64::from(number)),
            ValType::F32 => Instruction::F32Const((number as f32).into()),
            ValType::F64 => Instruction::F64Const(f64::from(number).into()),
            ValType::V128 => Instruction::V128Const(i128::from(number)),
            ValType::FuncRef => Instruction::RefNull(wasm_encoder::HeapType::FUNC),
            ValType::ExternRef => Instruction::RefNull(wasm_encoder::HeapType::EXTERN),
        }
    }

    /// Pushes one operand of type `ty`.
    pub(crate) fn expression(&mut self, ty: ValType, depth: usize) {
        let inner = if self.left > 0 { depth } else { 0 };
        match self.dice.weighted(&[4, 6, 2, 6 * inner, 2 * inner, inner, inner]) {
            0 => self.leaf_constant(ty),
            1 => {
                let locals: Vec<usize> = (0..self.locals.len()).filter(|i| self.locals[*i] == ty).collect();
                match locals[..] {
                    [] => self.leaf_constant(ty),
                    _ => {
                        let local = self.dice.pick(&locals);
                        self.emit(Instruction::LocalGet(local as u32));
                        self.stack.push(ty);
                    }
                }
            }
            2 => match self.context.globals.iter().position(|global| *global == ty) {
                Some(global) => {
                    self.emit(Instruction::GlobalGet(global as u32));
                    self.stack.push(ty);
                }
                None => self.leaf_constant(ty),
            },
            3 => self.operator(ty, depth - 1),
            4 => {
                self.expression(ty, depth - 1);
                self.expression(ty, depth - 1);
                self.condition();
                self.consume(&[ty, ValType::I32]);
                let plain = !matches!(ty, ValType::FuncRef | ValType::ExternRef) && self.dice.chance(50);
                self.emit(if plain {
                    Instruction::Select
                } else {
                    Instruction::TypedSelect(encode(ty))
                });
            }
            5 => self.choice(ty, depth - 1),
            _ => {
                let gives = |func: &u32| self.context.funcs[*func as usize].results == [ty];
                let fitting: Vec<u32> = self.context.callable.iter().copied().filter(gives).collect();
                if fitting.is_empty() {
                    self.leaf_constant(ty);
                } else {
                    let func = self.dice.pick(&fitting);
                    let params = self.context.funcs[func as usize].params.clone();
                    for param in &params {
                        self.expression(*param, depth - 1);
                    }
                    self.consume(&params);
                    self.emit(Instruction::Call(func));
                    self.stack.push(ty);
                }
            }
        }
    }

    fn leaf_constant(&mut self, ty: ValType) {
        let constant = self.constant(ty);
        self.emit(constant);
        self.stack.push(ty);
    }

    /// Generates an `if ... else ...` that results in a value; the second arm may branch away.
    fn choice(&mut self, ty: ValType, depth: usize) {
        self.condition();
        self.pop();
        self.emit(Instruction::If(BlockType::Result(encode(ty))));
        let base = self.stack.len();
        let label = Label {
            takes: vec![ty],
            leaves: vec![ty],
            base,
            is_loop: false,
            targeted: false,
        };
        self.labels.push(label);
        self.expression(ty, depth);
        self.pop();
        self.emit(Instruction::Else);
        if self.dice.chance(25) {
            let results = self.results.clone();
            self.need(&results);
            self.emit(Instruction::Return);
        } else {
            self.expression(ty, depth);
        }
        self.stack.truncate(base);
        self.labels.pop();
        self.emit(Instruction::End);
        self.stack.push(ty);
    }

    fn operator(&mut self, ty: ValType, depth: usize) {
        match ty {
            ValType::I32 => self.integer(depth),
            ValType::I64 => match self.dice.below(3) {
                0 => {
                    self.expression(ValType::I32, depth);
                    self.pop();
                    self.emit(Instruction::I64ExtendI32S);
                }
                _ => {
                    self.expression(ty, depth);
                    self.expression(ty, depth);
                    self.consume(&[ty, ty]);
                    let choices = [
                        Instruction::I64Add,
                        Instruction::I64Mul,
                        Instruction::I64Xor,
                        Instruction::I64ShrU,
                    ];
                    let chosen = choices[self.dice.below(choices.len())].clone();
                    self.emit(chosen);
                }
            },
            // No operator that can overflow to an infinity: infinities lead to NaNs.
            ValType::F64 => match self.dice.below(3) {
                0 => {
                    self.expression(ValType::I32, depth);
                    self.pop();
                    self.emit(Instruction::F64ConvertI32S);
                }
                1 => {
                    self.expression(ty, depth);
                    self.pop();
                    let choices = [Instruction::F64Neg, Instruction::F64Abs, Instruction::F64Floor];
                    let chosen = choices[self.dice.below(choices.len())].clone();
                    self.emit(chosen);
                }
                _ => {
                    self.expression(ty, depth);
                    self.expression(ty, depth);
                    self.consume(&[ty, ty]);
                    let choices = [Instruction::F64Min, Instruction::F64Max, Instruction::F64Copysign];
                    let chosen = choices[self.dice.below(choices.len())].clone();
                    self.emit(chosen);
                }
            },
            ValType::F32 => {
                self.expression(ValType::I32, depth);
                self.pop();
                self.emit(Instruction::F32ConvertI32S);
            }
            ValType::V128 => {
                self.expression(ty, depth);
                self.expression(ty, depth);
                self.consume(&[ty, ty]);
                self.emit(Instruction::V128Xor);
            }
            ValType::FuncRef | ValType::ExternRef => return self.leaf_constant(ty),
        }
        self.stack.push(ty);
    }

    /// Generates an i32 from an operator; does not push its type.
    fn integer(&mut self, depth: usize) {
        match self.dice.below(9) {
            0 => {
                self.address();
                self.pop();
                let memory = self.dice.below(self.context.memories as usize) as u32;
                self.emit(Instruction::I32Load(memarg(memory, 4)));
            }
            1 => {
                self.expression(ValType::I64, depth);
                self.pop();
                self.emit(Instruction::I32WrapI64);
            }
            2 => {
                self.expression(ValType::F64, depth);
                self.pop();
                self.emit(Instruction::I32TruncSatF64S);
            }
            3 => {
                self.expression(ValType::FuncRef, depth);
                self.pop();
                self.emit(Instruction::RefIsNull);
            }
            4 => self.comparison(depth),
            5 => {
                self.expression(ValType::I32, depth);
                self.expression(ValType::I32, depth);
                self.consume(&[ValType::I32; 2]);
                self.emit(if self.context.options.traps {
                    Instruction::I32DivU
                } else {
                    Instruction::I32Or
                });
            }
            _ => {
                self.expression(ValType::I32, depth);
                self.expression(ValType::I32, depth);
                self.consume(&[ValType::I32; 2]);
                let choices = [
                    Instruction::I32Add,
                    Instruction::I32Sub,
                    Instruction::I32Mul,
                    Instruction::I32Xor,
                    Instruction::I32And,
                    Instruction::I32Shl,
                ];
                let chosen = choices[self.dice.below(choices.len())].clone();
                self.emit(chosen);
            }
        }
    }

    /// Generates a comparison; does not push its type.
    fn comparison(&mut self, depth: usize) {
        let ty = self
            .dice
            .pick(&[ValType::I32, ValType::I32, ValType::I64, ValType::F64]);
        self.expression(ty, depth);
        self.expression(ty, depth);
        self.consume(&[ty, ty]);
        let choices = match ty {
            ValType::I32 => [
                Instruction::I32Eq,
                Instruction::I32LtS,
                Instruction::I32GeU,
                Instruction::I32Ne,
            ],
            ValType::I64 => [
                Instruction::I64Eq,
                Instruction::I64LtS,
                Instruction::I64GeU,
                Instruction::I64Ne,
            ],
            _ => [
                Instruction::F64Eq,
                Instruction::F64Lt,
                Instruction::F64Ge,
                Instruction::F64Ne,
            ],
        };
        let chosen = choices[self.dice.below(choices.len())].clone();
        self.emit(chosen);
    }

    /// Pushes an i32 condition: occasionally a constant, sometimes one that is slightly hidden.
    pub(crate) fn condition(&mut self) {
        match self.dice.below(10) {
            0 => {
                let constant = Instruction::I32Const(self.dice.below(2) as i32);
                self.emit(constant);
            }
            1 => {
                let constants = [self.dice.constant(), self.dice.constant()];
                self.emit(Instruction::I32Const(constants[0]));
                self.emit(Instruction::I32Const(constants[1]));
                self.emit(Instruction::I32LtS);
            }
            2 => match self.locals.iter().position(|ty| *ty == ValType::I32) {
                Some(local) => {
                    let constant = Instruction::I32Const(self.dice.below(2) as i32);
                    self.emit(constant);
                    self.emit(Instruction::LocalTee(local as u32));
                }
                None => self.emit(Instruction::I32Const(1)),
            },
            3..=5 => {
                self.emit(Instruction::GlobalGet(self.context.patience));
                let bit = 1 << self.dice.below(5);
                self.emit(Instruction::I32Const(bit));
                self.emit(Instruction::I32And);
            }
            6 => {
                self.comparison(1);
                if self.dice.chance(40) {
                    self.emit(Instruction::I32Eqz);
                }
            }
            7 => self.comparison(1),
            _ => return self.expression(ValType::I32, 2),
        }
        self.stack.push(ValType::I32);
    }

    /// Pushes an i32 that is well within the smallest memory.
    pub(crate) fn address(&mut self) {
        self.expression(ValType::I32, 1);
        self.emit(Instruction::I32Const(0x7fff));
        self.emit(Instruction::I32And);
    }

    /// Pushes an i32 of at most `most`.
    pub(crate) fn length(&mut self, most: usize) {
        let most = most.max(1);
        if self.dice.chance(50) {
            let length = match self.dice.below(4) {
                0 => 63.min(most),
                1 => 64.min(most),
                2 => 0,
                _ => self.dice.below(most + 1),
            };
            self.emit(Instruction::I32Const(length as i32));
            self.stack.push(ValType::I32);
        } else {
            self.expression(ValType::I32, 1);
            self.emit(Instruction::I32Const(most as i32 + 1));
            self.emit(Instruction::I32RemU);
        }
    }
}

pub(crate) fn memarg(memory: u32, offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        target: MemArgTarget::Memory(memory),
        ordering: None,
    }
}
