//! Operators that compute, load, store and move values: most of all code, so read without going through [`Operator`].
//!
//! They neither branch nor call. What can be said of each at a glance is said here; where constants on the operand stack
//! make a difference, the operator is given back to be looked at closely.

use super::BodyRewriter;
use crate::rewrite::operators;
use wasmparser::{BinaryReaderError, FuncValidator, Operator, ValidatorResources, VisitOperator};

/// Validates and prices the operator that it visits.
pub(super) struct Plain<'r> {
    pub(super) body: &'r mut BodyRewriter,
    pub(super) validator: &'r mut FuncValidator<ValidatorResources>,
    /// Where the operator starts.
    pub(super) offset: usize,
}

/// What became of an operator.
pub(super) enum Visited<'a> {
    /// All is done.
    Done,
    /// Nothing is done: it has to be looked at closely.
    Close(Operator<'a>),
    Invalid(BinaryReaderError),
}

type Validated = Result<(), BinaryReaderError>;

impl Plain<'_> {
    /// Validates an operator that takes operands from `low` up and gives as many as it then finds there.
    #[inline(always)]
    fn step<'a>(
        &mut self,
        taken: u32,
        fuel: u64,
        validate: impl FnOnce(&mut FuncValidator<ValidatorResources>, usize) -> Validated,
    ) -> Visited<'a> {
        let low = self.validator.operand_stack_height().saturating_sub(taken);
        if let Err(error) = validate(self.validator, self.offset) {
            return Visited::Invalid(error);
        }
        self.body.compared = false;
        self.body.flow.charge(fuel);
        self.body.literals.truncate(low);
        Visited::Done
    }

    /// Notes how high the operand stack has become.
    #[inline(always)]
    fn pushed(&mut self) -> u32 {
        let height = self.validator.operand_stack_height();
        if self.body.unreachable_since.is_none() {
            let bytes = u64::from(height) * 8;
            self.body.max_operand_bytes = self.body.max_operand_bytes.max(bytes);
        }
        height
    }

    /// Whether the operand that is `nth` from the top (the top is 1) is a constant.
    #[inline(always)]
    fn is_constant(&self, nth: u32) -> bool {
        let height = self.validator.operand_stack_height();
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
        fn $visit(&mut self) -> Visited<'a> {
            let operator = Operator::$op;
            if self.is_special() || self.is_constant(1) && (self.is_constant(2) || operators::divides(&operator)) {
                return Visited::Close(operator);
            }
            let visited = self.step(2, 1, |validator, offset| validator.visitor(offset).$visit());
            self.body.compared = operators::compares(&operator);
            visited
        }
    };
    (one $op:ident => $visit:ident (unary $type:ident)) => { visit_plain!(one_operand $op $visit); };
    (one $op:ident => $visit:ident (test $type:ident)) => { visit_plain!(one_operand $op $visit); };
    (one $op:ident => $visit:ident (conversion $to:ident $from:ident)) => { visit_plain!(one_operand $op $visit); };
    (one_operand $op:ident $visit:ident) => {
        fn $visit(&mut self) -> Visited<'a> {
            let operator = Operator::$op;
            if self.is_special() || self.is_constant(1) {
                return Visited::Close(operator);
            }
            let visited = self.step(1, 1, |validator, offset| validator.visitor(offset).$visit());
            self.body.compared = operators::compares(&operator);
            visited
        }
    };
    (one $op:ident { $memarg:ident: $type:ty } => $visit:ident (load $of:ident)) => {
        fn $visit(&mut self, $memarg: $type) -> Visited<'a> {
            if self.is_special() || self.is_constant(1) {
                return Visited::Close(Operator::$op { $memarg });
            }
            self.step(1, 1, |validator, offset| validator.visitor(offset).$visit($memarg))
        }
    };
    (one $op:ident { $memarg:ident: $type:ty } => $visit:ident (store $of:ident)) => {
        fn $visit(&mut self, $memarg: $type) -> Visited<'a> {
            if self.is_special() || self.is_constant(2) {
                return Visited::Close(Operator::$op { $memarg });
            }
            self.step(2, 1, |validator, offset| validator.visitor(offset).$visit($memarg))
        }
    };
    (one $op:ident { $value:ident: $type:ty } => $visit:ident (push $of:ident)) => {
        fn $visit(&mut self, $value: $type) -> Visited<'a> {
            let operator = Operator::$op { $value };
            if self.is_special() {
                return Visited::Close(operator);
            }
            let visited = self.step(0, 1, |validator, offset| validator.visitor(offset).$visit($value));
            if let (Visited::Done, Some(literal)) = (&visited, operators::literal(&operator)) {
                let height = self.pushed();
                self.body.literals.push(height - 1, literal);
            }
            visited
        }
    };
    (one LocalGet { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        fn $visit(&mut self, $index: $type) -> Visited<'a> {
            if self.is_special() {
                return Visited::Close(Operator::LocalGet { local_index: $index });
            }
            let visited = self.step(0, 1, |validator, offset| validator.visitor(offset).$visit($index));
            if let Visited::Done = visited {
                self.pushed();
            }
            visited
        }
    };
    (one LocalSet { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        fn $visit(&mut self, $index: $type) -> Visited<'a> {
            if self.is_special() {
                return Visited::Close(Operator::LocalSet { local_index: $index });
            }
            self.step(1, 1, |validator, offset| validator.visitor(offset).$visit($index))
        }
    };
    (one LocalTee { $index:ident: $type:ty } => $visit:ident $what:tt) => {
        fn $visit(&mut self, $index: $type) -> Visited<'a> {
            if self.is_special() {
                return Visited::Close(Operator::LocalTee { local_index: $index });
            }
            self.step(0, 1, |validator, offset| validator.visitor(offset).$visit($index))
        }
    };
    (one Drop => $visit:ident $what:tt) => {
        fn $visit(&mut self) -> Visited<'a> {
            if self.is_special() {
                return Visited::Close(Operator::Drop);
            }
            self.step(1, 0, |validator, offset| validator.visitor(offset).$visit())
        }
    };
    (one $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident $what:tt) => {
        fn $visit(&mut self $($(, $arg: $type)*)?) -> Visited<'a> {
            Visited::Close(Operator::$op $({ $($arg),* })?)
        }
    };
}

impl<'a> VisitOperator<'a> for Plain<'_> {
    type Output = Visited<'a>;

    #[cfg(feature = "simd")]
    fn simd_visitor(&mut self) -> Option<&mut dyn wasmparser::VisitSimdOperator<'a, Output = Visited<'a>>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit_plain);
}

#[cfg(feature = "simd")]
macro_rules! visit_vector {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident $what:tt)*) => {
        $( fn $visit(&mut self $($(, $arg: $type)*)?) -> Visited<'a> {
            Visited::Close(Operator::$op $({ $($arg),* })?)
        } )*
    };
}

#[cfg(feature = "simd")]
impl<'a> wasmparser::VisitSimdOperator<'a> for Plain<'_> {
    wasmparser::for_each_visit_simd_operator!(visit_vector);
}
