//! Operators that compute, load, store and move values: most of all code, so read without going through [`Operator`].
//!
//! They neither branch nor call. What can be said of each at a glance is said here; where constants on the operand stack
//! make a difference, the operator is given back to be looked at closely.

use super::BodyRewriter;
use crate::rewrite::{load, operators};
use wasmparser::{Operator, VisitOperator};

/// Prices the operator that it visits.
pub(super) struct Plain<'r, 'a> {
    pub(super) body: &'r mut BodyRewriter,
    /// An operator of which nothing was done: it has to be looked at closely.
    pub(super) close: Option<Operator<'a>>,
}

impl Plain<'_, '_> {
    /// An operator that takes and gives so many operands.
    #[inline(always)]
    fn step(&mut self, taken: u32, given: u32, fuel: u64) {
        let body = &mut *self.body;
        body.compared = false;
        body.top_is_local = given == 0;
        body.flow.charge(fuel);
        // What pushes a local or a constant makes no code by itself.
        body.load += if taken == 0 { 0 } else { load::OPERATOR };
        body.stacks.pop(taken);
        body.literals.truncate(body.stacks.height);
        body.stacks.push(given);
        if given > taken {
            let bytes = u64::from(body.stacks.height) * 8;
            body.max_operand_bytes = body.max_operand_bytes.max(bytes);
        }
    }

    /// An operator that names a local. The hidden ones come behind the guest's own: one that is not there is for
    /// validation to see.
    #[inline(always)]
    fn step_local(&mut self, index: u32, taken: u32, given: u32) {
        self.body.needs_validation |= index >= self.body.locals;
        let compared = self.body.compared;
        self.step(taken, given, 1);
        self.body.compared = compared;
        self.body.top_is_local = true;
    }

    /// Whether the operand that is `nth` from the top (the top is 1) is a constant.
    #[inline(always)]
    fn is_constant(&self, nth: u32) -> bool {
        let height = self.body.stacks.height;
        height >= nth && self.body.literals.at(height - nth).is_some()
    }

    /// Whether an operator has to be looked at closely whatever its operands are.
    #[inline(always)]
    fn is_special(&self) -> bool {
        // Vectors have to be told from other operands, and nobody gets to dead code.
        cfg!(feature = "simd") || self.body.dead.is_some()
    }
}

macro_rules! visit_plain {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident ($($what:tt)*))*) => {
        $( visit_plain!(one $op $({ $($arg: $type),* })? => $visit ($($what)*)); )*
    };
    (one $op:ident => $visit:ident (binary $type:ident)) => { visit_plain!(two $op $visit); };
    (one $op:ident => $visit:ident (cmp $type:ident)) => { visit_plain!(two $op $visit); };
    (two $op:ident $visit:ident) => {
        fn $visit(&mut self) {
            let operator = Operator::$op;
            if self.is_special() || self.is_constant(1) && (self.is_constant(2) || operators::divides(&operator)) {
                self.close = Some(operator);
            } else {
                self.step(2, 1, 1);
                self.body.compared = operators::compares(&operator);
            }
        }
    };
    (one $op:ident => $visit:ident (unary $type:ident)) => { visit_plain!(one_operand $op $visit); };
    (one $op:ident => $visit:ident (test $type:ident)) => { visit_plain!(one_operand $op $visit); };
    (one $op:ident => $visit:ident (conversion $to:ident $from:ident)) => { visit_plain!(one_operand $op $visit); };
    (one_operand $op:ident $visit:ident) => {
        fn $visit(&mut self) {
            let operator = Operator::$op;
            if self.is_special() || self.is_constant(1) {
                self.close = Some(operator);
            } else {
                let (compared, top_is_local) = (self.body.compared, self.body.top_is_local);
                self.step(1, 1, 1);
                let nothing = operators::may_write_nothing(&operator);
                self.body.compared = operators::compares(&operator) || nothing && compared;
                self.body.top_is_local = nothing && top_is_local;
            }
        }
    };
    (one $op:ident { $memarg:ident: $type:ty } => $visit:ident (load $of:ident)) => {
        visit_plain!(access $op $memarg $type, $visit, 1, 1);
    };
    (one $op:ident { $memarg:ident: $type:ty } => $visit:ident (store $of:ident)) => {
        visit_plain!(access $op $memarg $type, $visit, 2, 0);
    };
    (access $op:ident $memarg:ident $type:ty, $visit:ident, $taken:literal, $given:literal) => {
        fn $visit(&mut self, $memarg: $type) {
            // The address is the lowest of its operands.
            let is_far = $given == 0 && self.body.top_is_local && ($memarg.memory != 0 || $memarg.offset > 0xffff);
            if self.is_special() || self.is_constant($taken) || is_far {
                self.close = Some(Operator::$op { $memarg });
            } else {
                self.step($taken, $given, 1);
                self.body.load += load::ACCESS - load::OPERATOR;
            }
        }
    };
    (one $op:ident { $value:ident: $type:ty } => $visit:ident (push $of:ident)) => {
        fn $visit(&mut self, $value: $type) {
            let operator = Operator::$op { $value };
            let literal = operators::literal(&operator);
            match literal {
                Some(literal) if !self.is_special() => {
                    let compared = self.body.compared;
                    self.step(0, 1, 1);
                    self.body.compared = compared;
                    self.body.literals.push(self.body.stacks.height - 1, literal);
                }
                _ => self.close = Some(operator),
            }
        }
    };
    (one LocalGet { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        visit_plain!(local LocalGet $index $type, $visit, 0, 1);
    };
    (one LocalSet { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        visit_plain!(local LocalSet $index $type, $visit, 1, 0);
    };
    (one LocalTee { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        visit_plain!(local LocalTee $index $type, $visit, 0, 0);
    };
    (local $op:ident $index:ident $type:ty, $visit:ident, $taken:literal, $given:literal) => {
        fn $visit(&mut self, $index: $type) {
            if self.is_special() {
                self.close = Some(Operator::$op { local_index: $index });
            } else {
                self.step_local($index, $taken, $given);
            }
        }
    };
    (one Drop => $visit:ident $what:tt) => {
        fn $visit(&mut self) {
            if self.is_special() {
                self.close = Some(Operator::Drop);
            } else {
                self.step(1, 0, 0);
            }
        }
    };
    (one $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident $what:tt) => {
        fn $visit(&mut self $($(, $arg: $type)*)?) {
            self.close = Some(Operator::$op $({ $($arg),* })?);
        }
    };
}

impl<'a> VisitOperator<'a> for Plain<'_, 'a> {
    type Output = ();

    #[cfg(feature = "simd")]
    fn simd_visitor(&mut self) -> Option<&mut dyn wasmparser::VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit_plain);
}

#[cfg(feature = "simd")]
macro_rules! visit_vector {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident $what:tt)*) => {
        $( fn $visit(&mut self $($(, $arg: $type)*)?) {
            self.close = Some(Operator::$op $({ $($arg),* })?);
        } )*
    };
}

#[cfg(feature = "simd")]
impl<'a> wasmparser::VisitSimdOperator<'a> for Plain<'_, 'a> {
    wasmparser::for_each_visit_simd_operator!(visit_vector);
}
