//! The fast path for operators that compute, load, store and move values, which most code consists of.
//!
//! A visitor processes them without constructing an [`Operator`]. It defers control operators, and those where constants on the
//! operand stack make a difference, to [`BodyRewriter::operator`].

use super::BodyRewriter;
use crate::rewrite::{load_estimate, operators};
#[cfg(feature = "simd")]
use wasmparser::ValType;
use wasmparser::{Operator, VisitOperator};

/// Processes the operator that it visits, or defers it.
pub(super) struct FastPath<'r, 'a> {
    pub(super) body: &'r mut BodyRewriter,
    /// The operator, if it was deferred: nothing has been done for it.
    pub(super) deferred: Option<Operator<'a>>,
}

impl FastPath<'_, '_> {
    /// Processes an operator by the numbers of operands that it pops and pushes.
    #[inline(always)]
    fn step(&mut self, popped: u32, pushed: u32, fuel: u64) {
        let body = &mut *self.body;
        body.compared = false;
        body.top_is_local = pushed == 0;
        body.flow.add_cost(fuel);
        // An operator that only pushes a local or a constant does not emit code.
        body.load += if popped == 0 { 0 } else { load_estimate::OPERATOR };
        body.stacks.pop(popped);
        body.literals.truncate(body.stacks.height);
        body.stacks.push(pushed);
        if pushed > popped {
            let bytes = u64::from(body.stacks.height) * 8;
            body.max_operand_bytes = body.max_operand_bytes.max(bytes);
        }
    }

    /// Processes an operator on a local. An index out of the guest's range, where the hidden locals are, is left to
    /// validation.
    #[inline(always)]
    fn step_local(&mut self, index: u32, popped: u32, pushed: u32) {
        self.body.needs_validation |= index >= self.body.locals;
        let compared = self.body.compared;
        self.step(popped, pushed, 1);
        self.body.compared = compared;
        self.body.top_is_local = true;
    }

    /// Returns whether the `nth` operand from the top (the top is 1) is a constant.
    #[inline(always)]
    fn is_constant(&self, nth: u32) -> bool {
        let height = self.body.stacks.height;
        height >= nth && self.body.literals.at(height - nth).is_some()
    }

    /// Returns whether every operator is deferred, whatever its operands are.
    #[inline(always)]
    fn defers_all(&self) -> bool {
        // With vectors, every operator has to be validated in this pass; dead code is omitted.
        #[cfg(feature = "simd")]
        if self.body.vectors.is_some() {
            return true;
        }
        self.body.dead.is_some()
    }
}

macro_rules! visit_operator {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident ($($what:tt)*))*) => {
        $( visit_operator!(one $op $({ $($arg: $type),* })? => $visit ($($what)*)); )*
    };
    (one $op:ident => $visit:ident (binary $type:ident)) => { visit_operator!(two $op $visit); };
    (one $op:ident => $visit:ident (cmp $type:ident)) => { visit_operator!(two $op $visit); };
    (two $op:ident $visit:ident) => {
        fn $visit(&mut self) {
            let operator = Operator::$op;
            if self.defers_all() || self.is_constant(1) && (self.is_constant(2) || operators::divides(&operator)) {
                self.deferred = Some(operator);
            } else {
                self.step(2, 1, 1);
                self.body.compared = operators::compares(&operator);
            }
        }
    };
    (one $op:ident => $visit:ident (unary $type:ident)) => { visit_operator!(one_operand $op $visit); };
    (one $op:ident => $visit:ident (test $type:ident)) => { visit_operator!(one_operand $op $visit); };
    (one $op:ident => $visit:ident (conversion $to:ident $from:ident)) => { visit_operator!(one_operand $op $visit); };
    (one_operand $op:ident $visit:ident) => {
        fn $visit(&mut self) {
            let operator = Operator::$op;
            if self.defers_all() || self.is_constant(1) {
                self.deferred = Some(operator);
            } else {
                let (compared, top_is_local) = (self.body.compared, self.body.top_is_local);
                self.step(1, 1, 1);
                let nothing = operators::may_emit_nothing(&operator);
                self.body.compared = operators::compares(&operator) || nothing && compared;
                self.body.top_is_local = nothing && top_is_local;
            }
        }
    };
    (one $op:ident { $memarg:ident: $type:ty } => $visit:ident (load $of:ident)) => {
        visit_operator!(access $op $memarg $type, $visit, 1, 1);
    };
    (one $op:ident { $memarg:ident: $type:ty } => $visit:ident (store $of:ident)) => {
        visit_operator!(access $op $memarg $type, $visit, 2, 0);
    };
    (access $op:ident $memarg:ident $type:ty, $visit:ident, $popped:literal, $pushed:literal) => {
        fn $visit(&mut self, $memarg: $type) {
            // The address is the lowest of its operands.
            let is_far = $pushed == 0 && self.body.top_is_local && ($memarg.memory != 0 || $memarg.offset > 0xffff);
            if self.defers_all() || self.is_constant($popped) || is_far {
                self.deferred = Some(Operator::$op { $memarg });
            } else {
                self.step($popped, $pushed, 1);
                self.body.load += load_estimate::ACCESS - load_estimate::OPERATOR;
            }
        }
    };
    (one $op:ident { $value:ident: $type:ty } => $visit:ident (push $of:ident)) => {
        fn $visit(&mut self, $value: $type) {
            let operator = Operator::$op { $value };
            let literal = operators::literal(&operator);
            match literal {
                Some(literal) if !self.defers_all() => {
                    let compared = self.body.compared;
                    self.step(0, 1, 1);
                    self.body.compared = compared;
                    self.body.literals.push(self.body.stacks.height - 1, literal);
                }
                _ => self.deferred = Some(operator),
            }
        }
    };
    (one LocalGet { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        visit_operator!(local LocalGet $index $type, $visit, 0, 1);
    };
    (one LocalSet { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        visit_operator!(local LocalSet $index $type, $visit, 1, 0);
    };
    (one LocalTee { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        visit_operator!(local LocalTee $index $type, $visit, 0, 0);
    };
    (local $op:ident $index:ident $type:ty, $visit:ident, $popped:literal, $pushed:literal) => {
        fn $visit(&mut self, $index: $type) {
            if self.defers_all() {
                self.deferred = Some(Operator::$op { local_index: $index });
            } else {
                self.step_local($index, $popped, $pushed);
            }
        }
    };
    (one Drop => $visit:ident $what:tt) => {
        fn $visit(&mut self) {
            if self.defers_all() {
                self.deferred = Some(Operator::Drop);
            } else {
                self.step(1, 0, 0);
            }
        }
    };
    (one $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident $what:tt) => {
        fn $visit(&mut self $($(, $arg: $type)*)?) {
            self.deferred = Some(Operator::$op $({ $($arg),* })?);
        }
    };
}

impl<'a> VisitOperator<'a> for FastPath<'_, 'a> {
    type Output = ();

    #[cfg(feature = "simd")]
    fn simd_visitor(&mut self) -> Option<&mut dyn wasmparser::VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit_operator);
}

#[cfg(feature = "simd")]
macro_rules! visit_vector {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident $what:tt)*) => {
        $( fn $visit(&mut self $($(, $arg: $type)*)?) {
            self.body.meet(ValType::V128);
            self.deferred = Some(Operator::$op $({ $($arg),* })?);
        } )*
    };
}

#[cfg(feature = "simd")]
impl<'a> wasmparser::VisitSimdOperator<'a> for FastPath<'_, 'a> {
    wasmparser::for_each_visit_simd_operator!(visit_vector);
}
