//! The operand stack.

use crate::value::{Operand, Value};

/// The operands of all frames of one run.
#[derive(Default)]
pub(crate) struct Operands(pub(crate) Vec<Value>);

impl Operands {
    pub(crate) fn push(&mut self, value: Value) {
        self.0.push(value);
    }

    pub(crate) fn pop(&mut self) -> Value {
        self.0
            .pop()
            .expect("validated code never pops from an empty stack")
    }

    pub(crate) fn give<T: Operand>(&mut self, value: T) {
        self.push(value.into_value());
    }

    pub(crate) fn take<T: Operand>(&mut self) -> T {
        T::from_value(self.pop())
    }

    /// Pops an address, index or length: i32 or i64, both unsigned.
    pub(crate) fn take_index(&mut self) -> u64 {
        match self.pop() {
            Value::I32(index) => u64::from(index as u32),
            Value::I64(index) => index as u64,
            other => panic!("validated code found {other:?} where it requires an index"),
        }
    }

    /// Pushes an index: i64 if `wide`, else i32.
    pub(crate) fn push_index(&mut self, wide: bool, index: u64) {
        self.push(if wide {
            Value::I64(index as i64)
        } else {
            Value::I32(index as i32)
        });
    }

    pub(crate) fn take_many(&mut self, count: usize) -> Vec<Value> {
        self.0.split_off(self.0.len() - count)
    }

    /// Keeps the `count` topmost values and the `height` lowest ones.
    pub(crate) fn unwind(&mut self, height: usize, count: usize) {
        let kept = self.take_many(count);
        self.0.truncate(height);
        self.0.extend(kept);
    }
}
