//! The interpreter: executes one operator after the other, with every frame on the heap.

use std::rc::Rc;

use wasmparser::Operator;

use crate::bulk;
use crate::code::{Code, block_arity};
use crate::error::Trap;
use crate::instantiate::null;
use crate::memory;
use crate::numeric;
use crate::operands::Operands;
use crate::store::{Func, Store};
use crate::value::Value;
use crate::vector;

/// The target of a branch and the values it carries.
struct Label {
    /// The number of values that a branch carries.
    arity: usize,
    /// The number of operands below the block.
    height: usize,
    /// The operator at which execution continues after a branch.
    target: usize,
    /// Whether the block is a loop: a branch to a loop stays in it.
    is_loop: bool,
}

struct Frame<'a> {
    code: Rc<Code<'a>>,
    instance: usize,
    /// The operator to execute next.
    next: usize,
    locals: Vec<Value>,
    /// The open blocks, the function body first.
    labels: Vec<Label>,
    /// The number of operands below the frame.
    height: usize,
}

/// Why the execution of a frame pauses or ends.
enum Leave {
    /// It calls this function.
    Call(usize),
    /// It calls this function, which replaces the frame.
    TailCall(usize),
    /// It returns to the caller.
    Return,
}

struct Machine<'s, 'a> {
    store: &'s mut Store<'a>,
    operands: Operands,
    frames: Vec<Frame<'a>>,
}

/// Calls a function with arguments of the right types and runs until it returns.
pub(crate) fn run<'a>(store: &mut Store<'a>, func: usize, args: &[Value]) -> Result<Vec<Value>, Trap> {
    let mut machine = Machine {
        store,
        operands: Operands(args.to_vec()),
        frames: Vec::new(),
    };
    let result = machine.run(func);
    // After a trap, frames remain; a host function that catches the trap continues without them.
    while let Some(frame) = machine.frames.pop() {
        machine.store.meter.pop_frame(frame.code.frame_bytes);
    }
    result.map(|()| machine.operands.0)
}

impl<'a> Machine<'_, 'a> {
    fn run(&mut self, func: usize) -> Result<(), Trap> {
        self.enter(func, None)?;
        while !self.frames.is_empty() {
            match self.run_frame()? {
                Leave::Call(func) => {
                    let caller = self.frame().instance;
                    self.enter(func, Some(caller))?;
                }
                Leave::TailCall(func) => {
                    let caller = self.frame().instance;
                    let arguments = self.store.funcs[func].ty().params.len();
                    self.leave(arguments);
                    self.enter(func, Some(caller))?;
                }
                Leave::Return => {
                    let results = self.frame().code.ty.results.len();
                    self.leave(results);
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> &mut Frame<'a> {
        self.frames
            .last_mut()
            .expect("a frame exists while operators run")
    }

    /// Enters a function: pops the arguments and pushes a frame, or runs a host function and pushes its results.
    fn enter(&mut self, func: usize, caller: Option<usize>) -> Result<(), Trap> {
        let func = self.store.funcs[func].clone();
        let args = self.operands.take_many(func.ty().params.len());
        let (instance, code) = match func {
            Func::Wasm { instance, code } => (instance, code),
            Func::Host(host) => {
                let results = self.store.call_host(&host, caller, &args)?;
                self.operands.0.extend(results);
                return Ok(());
            }
        };
        let schedule = self.store.meter.schedule;
        self.store.meter.push_frame(code.frame_bytes)?;
        let mut locals = args;
        locals.extend(code.locals.iter().map(|ty| ty.zero()));
        let height = self.operands.0.len();
        let body = Label {
            arity: code.ty.results.len(),
            height,
            target: code.operators.len(),
            is_loop: false,
        };
        let slots = code.declared_slots();
        self.frames.push(Frame {
            code,
            instance,
            next: 0,
            locals,
            labels: vec![body],
            height,
        });
        self.store.meter.burn(schedule.function_entry)?;
        self.store.meter.surcharge(schedule.locals(slots))
    }

    /// Pops the frame and keeps its `count` topmost operands.
    fn leave(&mut self, count: usize) {
        let frame = self.frames.pop().expect("only a frame can be left");
        self.operands.unwind(frame.height, count);
        self.store.meter.pop_frame(frame.code.frame_bytes);
    }

    fn run_frame(&mut self) -> Result<Leave, Trap> {
        let code = Rc::clone(&self.frame().code);
        loop {
            let frame = self.frame();
            if frame.labels.is_empty() {
                return Ok(Leave::Return);
            }
            let position = frame.next;
            frame.next += 1;
            let operator = &code.operators[position];
            self.store.meter.step()?;
            self.store
                .meter
                .burn(self.store.meter.schedule.operator(operator))?;
            if let Some(leave) = self.execute(&code, position, operator)? {
                return Ok(leave);
            }
            self.check_height(&code);
        }
    }

    /// Asserts that the operand stack never exceeds the height computed at load.
    fn check_height(&self, code: &Code<'_>) {
        if self.store.self_check {
            let base = self.frames.last().map_or(0, |frame| frame.height);
            let bytes: u64 = self.operands.0[base..]
                .iter()
                .map(|value| value.ty().stack_bytes())
                .sum();
            assert!(
                bytes <= code.operand_bytes,
                "{bytes} bytes of operands, {} computed",
                code.operand_bytes
            );
        }
    }

    fn execute(
        &mut self,
        code: &Code<'a>,
        position: usize,
        operator: &Operator<'a>,
    ) -> Result<Option<Leave>, Trap> {
        let extent = code.extents[position];
        match operator {
            Operator::Nop => {}
            Operator::Unreachable => return Err(Trap::Unreachable),
            Operator::Block { blockty } => {
                let (params, results) = self.arity(*blockty);
                self.open(Label {
                    arity: results,
                    height: params,
                    target: extent.end + 1,
                    is_loop: false,
                });
            }
            Operator::Loop { blockty } => {
                let (params, _) = self.arity(*blockty);
                self.open(Label {
                    arity: params,
                    height: params,
                    target: position + 1,
                    is_loop: true,
                });
            }
            Operator::If { blockty } => {
                let (params, results) = self.arity(*blockty);
                let condition: bool = self.operands.take();
                let arm = if condition {
                    Some(position + 1)
                } else {
                    extent.otherwise.map(|at| at + 1)
                };
                match arm {
                    Some(first) => {
                        let target = extent.end + 1;
                        self.open(Label {
                            arity: results,
                            height: params,
                            target,
                            is_loop: false,
                        });
                        self.frame().next = first;
                    }
                    None => self.frame().next = extent.end + 1,
                }
            }
            // Reached at the end of the first arm.
            Operator::Else => self.frame().next = extent.end,
            Operator::End => {
                self.frame().labels.pop();
            }
            Operator::Br { relative_depth } => self.branch(*relative_depth),
            Operator::BrIf { relative_depth } => {
                if self.operands.take() {
                    self.branch(*relative_depth);
                }
            }
            Operator::BrTable { targets } => {
                let index: u32 = self.operands.take();
                let target = targets
                    .targets()
                    .nth(index as usize)
                    .unwrap_or_else(|| Ok(targets.default()));
                self.branch(target.expect("validated"));
            }
            Operator::Return => return Ok(Some(Leave::Return)),
            Operator::Call { function_index } => {
                return Ok(Some(Leave::Call(self.callee(*function_index))));
            }
            Operator::ReturnCall { function_index } => {
                return Ok(Some(Leave::TailCall(self.callee(*function_index))));
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            } => {
                return Ok(Some(Leave::Call(
                    self.indirect_callee(*type_index, *table_index)?,
                )));
            }
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => {
                return Ok(Some(Leave::TailCall(
                    self.indirect_callee(*type_index, *table_index)?,
                )));
            }
            Operator::Drop => {
                self.operands.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                let condition: bool = self.operands.take();
                let (second, first) = (self.operands.pop(), self.operands.pop());
                self.operands.push(if condition { first } else { second });
            }
            Operator::LocalGet { local_index } => {
                let value = self.frame().locals[*local_index as usize];
                self.operands.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.operands.pop();
                self.frame().locals[*local_index as usize] = value;
            }
            Operator::LocalTee { local_index } => {
                let value = self.operands.pop();
                self.operands.push(value);
                self.frame().locals[*local_index as usize] = value;
            }
            Operator::GlobalGet { global_index } => {
                let addr = self.global(*global_index);
                self.operands.push(self.store.globals[addr].value);
            }
            Operator::GlobalSet { global_index } => {
                let addr = self.global(*global_index);
                self.store.globals[addr].value = self.operands.pop();
            }
            Operator::RefNull { hty } => {
                self.operands
                    .push(null(*hty).map_err(|error| Trap::Unsupported(error.to_string()))?);
            }
            Operator::RefIsNull => {
                let value = self.operands.pop();
                self.operands
                    .give(matches!(value, Value::FuncRef(None) | Value::ExternRef(None)));
            }
            Operator::RefFunc { function_index } => {
                let func = self.callee(*function_index);
                self.operands.push(Value::FuncRef(Some(func)));
            }
            other => {
                let instance = self.frame().instance;
                let supported = numeric::execute(other, &mut self.operands)?
                    || memory::execute(other, &mut self.operands, self.store, instance)?
                    || bulk::execute(other, &mut self.operands, self.store, instance)?
                    || vector::execute(other, &mut self.operands, self.store, instance)?;
                if !supported {
                    return Err(Trap::Unsupported(format!("{other:?}")));
                }
            }
        }
        Ok(None)
    }

    fn arity(&mut self, block: wasmparser::BlockType) -> (usize, usize) {
        let instance = self.frame().instance;
        block_arity(block, &self.store.instances[instance].types)
    }

    /// Opens a block; `label.height` is the number of its parameters.
    fn open(&mut self, label: Label) {
        let height = self.operands.0.len() - label.height;
        self.frame().labels.push(Label { height, ..label });
    }

    fn branch(&mut self, depth: u32) {
        let frame = self
            .frames
            .last_mut()
            .expect("a frame exists while operators run");
        let index = frame.labels.len() - 1 - depth as usize;
        let label = &frame.labels[index];
        self.operands.unwind(label.height, label.arity);
        frame.next = label.target;
        let stay = usize::from(label.is_loop);
        frame.labels.truncate(index + stay);
    }

    fn callee(&mut self, index: u32) -> usize {
        let instance = self.frame().instance;
        self.store.instances[instance].funcs[index as usize]
    }

    fn global(&mut self, index: u32) -> usize {
        let instance = self.frame().instance;
        self.store.instances[instance].globals[index as usize]
    }

    fn indirect_callee(&mut self, type_index: u32, table_index: u32) -> Result<usize, Trap> {
        let index = self.operands.take_index();
        let instance = self.frame().instance;
        let instance = &self.store.instances[instance];
        let table = &self.store.tables[instance.tables[table_index as usize]];
        let element = usize::try_from(index)
            .ok()
            .and_then(|index| table.elements.get(index));
        match element.ok_or(Trap::UndefinedElement)? {
            Value::FuncRef(Some(func)) => {
                if *self.store.funcs[*func].ty() != instance.types[type_index as usize] {
                    return Err(Trap::IndirectCallTypeMismatch);
                }
                Ok(*func)
            }
            _ => Err(Trap::UninitializedElement),
        }
    }
}
