//! Random programs that move operands around: blocks, loops, arms and branches of every shape that carry up to 16 values of
//! all types, above other operands; constants at the edges of memories and types; comparisons, `select`s and operators that
//! may appear between them.
//!
//! An interpreter that keeps operands in its own slots has to move them for each of these. If it misses one, it reads what
//! other code left in the slot: [`FILL`] leaves a pattern there.

use std::fmt::Write as _;

use super::dice::Dice;
use crate::value::Value;

/// The export that runs the program: accepts three i32, returns an i32 and an i64.
pub const RUN: &str = "run";
/// An export that fills the slots of many operands with a pattern.
pub const FILL: &str = "fill";

/// The features that programs may contain beyond that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The memories have 64-bit addresses.
    pub memory64: bool,
    /// Some values are vectors.
    pub vectors: bool,
}

/// Arguments for [`RUN`].
pub const ARGUMENTS: [[i32; 3]; 4] = [[0, 0, 0], [1, 7, -1], [-1, 3, 2], [100, 200, 1]];

/// Converts arguments to the oracle's values.
pub fn arguments(of: [i32; 3]) -> Vec<Value> {
    of.map(Value::I32).to_vec()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ty {
    I32,
    I64,
    F32,
    F64,
    FuncRef,
    V128,
}

impl Ty {
    fn name(self) -> &'static str {
        match self {
            Ty::I32 => "i32",
            Ty::I64 => "i64",
            Ty::F32 => "f32",
            Ty::F64 => "f64",
            Ty::FuncRef => "funcref",
            Ty::V128 => "v128",
        }
    }
}

/// The types of the locals, the parameters first.
const LOCALS: [Ty; 9] = [
    Ty::I32,
    Ty::I32,
    Ty::I32,
    Ty::I32,
    Ty::I64,
    Ty::I64,
    Ty::F32,
    Ty::F64,
    Ty::FuncRef,
];
/// The local for vectors.
const VECTOR_LOCAL: usize = LOCALS.len();

/// The parameters and results of the functions to call.
const FUNCTIONS: [(&[Ty], &[Ty]); 4] = [
    (&[], &[Ty::I32]),
    (&[Ty::I32, Ty::I64], &[Ty::I64, Ty::I32]),
    (&[Ty::I32, Ty::I32, Ty::F64], &[Ty::F64, Ty::I32, Ty::I32]),
    (&[Ty::F32, Ty::I32], &[]),
];

const RESULTS: [Ty; 2] = [Ty::I32, Ty::I64];

/// Generates a program from a seed, in the text format.
pub fn program(seed: u64, options: Options) -> String {
    let mut dice = Dice::Seed(seed);
    // Initial and declared maximum sizes.
    let (initial, maximum) = dice.pick(&[(1, Some(1)), (1, Some(3)), (2, None), (0, Some(2))]);
    let maximum: String = maximum.map(|pages: u32| pages.to_string()).unwrap_or_default();
    let index = if options.memory64 { "i64" } else { "" };
    let mut writer = Writer {
        dice,
        options,
        text: String::new(),
        stack: Vec::new(),
        labels: Vec::from([RESULTS.to_vec()]),
        budget: 70,
    };
    writer.body(0, 0, 12);
    writer.fix(0, &RESULTS);
    let vector = if options.vectors { "v128" } else { "" };
    let fill: String = (0..60)
        .map(|n| format!("(i64.const 0x5ec2e75ec2e7{n:04}) (local.get {})\n", n % 3))
        .collect();
    format!(
        r#"(module
            (memory {index} {initial} {maximum}) (memory {index} 1 2)
            (table 4 funcref) (elem (i32.const 0) func 0 1 2 3)
            (global $patience (mut i32) (i32.const 60)) (global $constant i32 (i32.const 0))
            (type (func (result i32)))
            (type (func (param i32 i64) (result i64 i32)))
            (type (func (param i32 i32 f64) (result f64 i32 i32)))
            (type (func (param f32 i32)))
            (func (type 0) (i32.const 3))
            (func (type 1) (local.get 1) (i32.add (local.get 0) (i32.const 1)))
            (func (type 2) (local.get 2) (local.get 1) (i32.xor (local.get 0) (local.get 1)))
            (func (type 3))
            (func (export "{FILL}") (param i32 i32 i32) (local i64) {fill} {drops})
            (func (export "{RUN}") (param i32 i32 i32) (result i32 i64) (local i32 i64 i64 f32 f64 funcref {vector})
                (global.set $patience (i32.const 60))
                {body}))"#,
        drops = "drop ".repeat(120),
        body = writer.text,
    )
}

struct Writer<'d> {
    dice: Dice<'d>,
    options: Options,
    text: String,
    stack: Vec<Ty>,
    /// The types that a branch to each label carries, the innermost last.
    labels: Vec<Vec<Ty>>,
    /// The remaining budget of statements and computations.
    budget: i32,
}

impl Writer<'_> {
    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Writes an operator that pops `takes` operands and pushes one of type `gives`.
    fn operator(&mut self, text: &str, takes: usize, gives: Ty) {
        self.write(text);
        self.stack.truncate(self.stack.len() - takes);
        self.stack.push(gives);
    }

    fn ty(&mut self) -> Ty {
        let last = if self.options.vectors { 7 } else { 6 };
        match self.dice.below(last) {
            0 | 1 => Ty::I32,
            2 => Ty::I64,
            3 => Ty::F32,
            4 => Ty::F64,
            5 => Ty::FuncRef,
            _ => Ty::V128,
        }
    }

    fn types(&mut self, most: usize) -> Vec<Ty> {
        let count = self.dice.below(most + 1);
        (0..count).map(|_| self.ty()).collect()
    }

    fn local_of(&mut self, ty: Ty) -> usize {
        if ty == Ty::V128 {
            return VECTOR_LOCAL;
        }
        let all: Vec<usize> = (0..LOCALS.len()).filter(|n| LOCALS[*n] == ty).collect();
        self.dice.pick(&all)
    }

    fn constant(&mut self, ty: Ty) {
        let value = self.dice.pick(&[
            "0",
            "0",
            "1",
            "1",
            "-1",
            "2",
            "31",
            "64",
            "65536",
            "0x7fffffff",
            "-0x80000000",
        ]);
        let text = match ty {
            Ty::F32 | Ty::F64 => format!(
                "{}.const {}",
                ty.name(),
                self.dice.pick(&["0", "-0", "1.5", "-3"])
            ),
            Ty::FuncRef => self.dice.pick(&["ref.null func", "ref.func 1"]).into(),
            Ty::V128 => format!("v128.const i32x4 {value} 1 0 {value}"),
            _ => format!("{}.const {value}", ty.name()),
        };
        self.operator(&text, 0, ty);
    }

    /// Pushes a value on the operand stack.
    fn push(&mut self, ty: Ty) {
        match self.dice.below(10) {
            0..=4 => {
                let local = self.local_of(ty);
                self.operator(&format!("local.get {local}"), 0, ty);
            }
            5 | 6 => self.constant(ty),
            _ if self.budget <= 0 => self.constant(ty),
            _ => {
                self.budget -= 1;
                self.compute(ty);
            }
        }
        if self.dice.chance(8) {
            self.nothing();
        }
    }

    /// Writes code without effect, which may or may not separate operators that an interpreter fuses.
    fn nothing(&mut self) {
        let local = self.dice.below(LOCALS.len());
        let text = match self.dice.below(4) {
            0 => "nop".into(),
            1 => format!("local.get {local} local.set {local}"),
            2 => "i32.const 0 drop".into(),
            _ => "block end".into(),
        };
        self.write(&text);
    }

    fn compute(&mut self, ty: Ty) {
        match (ty, self.dice.below(9)) {
            (_, 0) if ty != Ty::FuncRef => self.select(ty),
            (Ty::I32, 1 | 2) => self.unary(Ty::I32, "i32.eqz", ty),
            (Ty::I32, 3) => self.unary(Ty::I64, "i64.eqz", ty),
            (Ty::I32, 4) => {
                let operator = self.dice.pick(&["i64.eq", "i64.ne", "i64.lt_s", "i64.ge_u"]);
                self.binary(Ty::I64, operator, ty);
            }
            (Ty::I32, 5) => match self.dice.below(3) {
                0 => self.unary(Ty::FuncRef, "ref.is_null", ty),
                1 => self.unary(Ty::I64, "i32.wrap_i64", ty),
                _ => self.operator("global.get $constant", 0, ty),
            },
            (Ty::I32, 6) => self.load("i32.load8_u", ty),
            (Ty::I32, _) => {
                let operator = self.dice.pick(&[
                    "i32.add", "i32.sub", "i32.and", "i32.or", "i32.xor", "i32.shl", "i32.eq", "i32.ne",
                    "i32.lt_s", "i32.ge_u",
                ]);
                self.binary(ty, operator, ty);
            }
            (Ty::I64, 1..=3) => self.unary(Ty::I32, "i64.extend_i32_u", ty),
            (Ty::I64, 4) => self.unary(Ty::F64, "i64.reinterpret_f64", ty),
            (Ty::I64, 5) => self.load("i64.load", ty),
            (Ty::I64, _) => {
                let operator = self
                    .dice
                    .pick(&["i64.add", "i64.sub", "i64.and", "i64.xor", "i64.mul"]);
                self.binary(ty, operator, ty);
            }
            (Ty::F32, 1) => self.unary(Ty::F32, "f32.neg", ty),
            (Ty::F32, _) => self.unary(Ty::I32, "f32.convert_i32_s", ty),
            (Ty::F64, 1) => self.unary(Ty::F32, "f64.promote_f32", ty),
            (Ty::F64, _) => self.unary(Ty::I32, "f64.convert_i32_u", ty),
            (Ty::FuncRef, _) => self.constant(ty),
            (Ty::V128, 1) => self.unary(Ty::V128, "v128.not", ty),
            (Ty::V128, 2) => self.load("v128.load", ty),
            (Ty::V128, _) => {
                let operator = self.dice.pick(&["v128.and", "v128.or", "v128.xor"]);
                self.binary(ty, operator, ty);
            }
        }
    }

    fn unary(&mut self, takes: Ty, operator: &str, gives: Ty) {
        self.push(takes);
        self.operator(operator, 1, gives);
    }

    fn binary(&mut self, takes: Ty, operator: &str, gives: Ty) {
        self.push(takes);
        self.push(takes);
        self.operator(operator, 2, gives);
    }

    fn select(&mut self, ty: Ty) {
        self.push(ty);
        self.push(ty);
        self.push(Ty::I32);
        self.operator("select", 3, ty);
    }

    /// Pushes an address: a constant at some edge, or a value below 256.
    fn address(&mut self) {
        let ty = if self.options.memory64 { Ty::I64 } else { Ty::I32 };
        if self.dice.chance(30) {
            let edge = self.dice.pick(&[
                "0",
                "65520",
                "65532",
                "65533",
                "65536",
                "70000",
                "131072",
                "196608",
                "0x7fffffff",
                "-1",
            ]);
            self.operator(&format!("{}.const {edge}", ty.name()), 0, ty);
            return;
        }
        self.push(ty);
        let name = ty.name();
        self.write(&format!("{name}.const 255 {name}.and"));
        if self.dice.chance(40) {
            let local = self.local_of(ty);
            self.write(&format!("local.tee {local}"));
        }
    }

    fn memarg(&mut self) -> String {
        let memory = self.dice.below(2);
        let offset = self.dice.pick(&[0, 0, 3, 60_000, 65_535, 65_536, 70_000]);
        format!("{memory} offset={offset}")
    }

    fn load(&mut self, operator: &str, gives: Ty) {
        // A constant at an edge traps more often than not; then the rest of this call is not tested.
        self.address();
        let memarg = self.memarg();
        self.operator(&format!("{operator} {memarg}"), 1, gives);
    }

    fn store(&mut self) {
        self.address();
        let (operator, ty) = self.dice.pick(&[
            ("i32.store", Ty::I32),
            ("i32.store8", Ty::I32),
            ("i64.store", Ty::I64),
            ("i64.store32", Ty::I64),
            ("f64.store", Ty::F64),
        ]);
        self.push(ty);
        let memarg = self.memarg();
        self.write(&format!("{operator} {memarg}"));
        self.stack.truncate(self.stack.len() - 2);
    }

    /// Drops and pushes operands until those above `base` have these types.
    fn fix(&mut self, base: usize, wanted: &[Ty]) {
        let fits = |(have, want): &(&Ty, &Ty)| have == want;
        let kept = self.stack[base..].iter().zip(wanted).take_while(fits).count();
        while self.stack.len() > base + kept {
            self.write("drop");
            self.stack.pop();
        }
        for ty in &wanted[kept..] {
            self.push(*ty);
        }
    }

    /// Writes statements, whose operands are above `base`. Afterwards the stack is that at their end, even if the end is
    /// unreachable.
    fn body(&mut self, base: usize, depth: usize, most: usize) {
        for _ in 0..1 + self.dice.below(most) {
            if !self.statement(base, depth) {
                // The code after it is valid whatever is on the stack, and never runs.
                self.stack.truncate(base);
                return;
            }
        }
    }

    /// Writes a statement. Returns whether the code after it is reachable.
    fn statement(&mut self, base: usize, depth: usize) -> bool {
        self.budget -= 1;
        match self.dice.weighted(&[5, 3, 1, 2, 2, 1, 4, 2, 1, 2]) {
            0 => {
                let ty = self.ty();
                self.push(ty);
            }
            1 => {
                let ty = self.ty();
                self.push(ty);
                let local = self.local_of(ty);
                if self.dice.chance(50) {
                    self.write(&format!("local.tee {local}"));
                } else {
                    self.write(&format!("local.set {local}"));
                    self.stack.pop();
                }
            }
            2 if self.stack.len() > base => {
                self.write("drop");
                self.stack.pop();
            }
            3 => self.store(),
            4 => self.nothing(),
            5 => self.call(),
            6 if depth < 4 && self.budget > 0 => self.frame(base, depth),
            7 => self.branch_if(base),
            8 => return self.branch(),
            9 if depth < 3 && self.budget > 0 => self.fan(),
            _ => {}
        }
        true
    }

    fn call(&mut self) {
        let index = self.dice.below(FUNCTIONS.len());
        let (params, results) = FUNCTIONS[index];
        for ty in params {
            self.push(*ty);
        }
        if self.dice.chance(50) {
            self.write(&format!("call {index}"));
        } else {
            self.write(&format!("i32.const {index} call_indirect (type {index})"));
        }
        self.stack.truncate(self.stack.len() - params.len());
        self.stack.extend(results);
    }

    fn head(&mut self, kind: &str, params: &[Ty], results: &[Ty]) {
        let mut head = String::from(kind);
        for (word, types) in [("param", params), ("result", results)] {
            for ty in types {
                let _ = write!(head, " ({word} {})", ty.name());
            }
        }
        self.write(&head);
    }

    /// Writes a block, a loop or an `if`, with parameters from the operand stack.
    fn frame(&mut self, base: usize, depth: usize) {
        let kind = self.dice.pick(&["block", "loop", "if"]);
        let taken = self.dice.below(4).min(self.stack.len() - base);
        let mut results = self.types(4);
        if self.dice.chance(10) {
            results = self.types(16);
        }
        let low = self.stack.len() - taken;
        let params = self.stack[low..].to_vec();
        if kind == "if" {
            self.push(Ty::I32);
            self.stack.pop();
        }
        self.head(kind, &params, &results);
        if kind == "loop" {
            self.write(
                "(global.set $patience (i32.sub (global.get $patience) (i32.const 1)))
                 (if (i32.eqz (global.get $patience)) (then unreachable))",
            );
        }
        let carried = if kind == "loop" {
            params.clone()
        } else {
            results.clone()
        };
        self.labels.push(carried);
        self.body(low, depth + 1, 6);
        self.fix(low, &results);
        if kind == "if" && (params != results || self.dice.chance(50)) {
            self.write("else");
            self.stack.truncate(low);
            self.stack.extend(&params);
            self.body(low, depth + 1, 6);
            self.fix(low, &results);
        }
        self.labels.pop();
        self.write("end");
        self.stack.truncate(low);
        self.stack.extend(&results);
    }

    /// Picks a label, counted from the innermost. Returns it with the types that a branch to it carries.
    fn label(&mut self) -> (usize, Vec<Ty>) {
        let depth = self.dice.below(self.labels.len());
        (depth, self.labels[self.labels.len() - 1 - depth].clone())
    }

    fn branch_if(&mut self, base: usize) {
        let (label, values) = self.label();
        // Uses the values already on the stack if they match, or else pushes new ones above them.
        if !self.stack[base..].ends_with(&values) {
            for ty in &values {
                self.push(*ty);
            }
        }
        self.push(Ty::I32);
        self.stack.pop();
        self.write(&format!("br_if {label}"));
    }

    /// Writes a `br`, or a `br_table` over labels that carry the same types. The code after it is unreachable, so it returns
    /// `false`.
    fn branch(&mut self) -> bool {
        let (label, values) = self.label();
        for ty in &values {
            self.push(*ty);
        }
        if self.dice.chance(40) {
            self.write(&format!("br {label}"));
            return false;
        }
        self.push(Ty::I32);
        let alike: Vec<usize> = (0..self.labels.len())
            .filter(|depth| self.labels[self.labels.len() - 1 - depth] == values)
            .collect();
        let targets: Vec<usize> = (0..self.dice.below(4)).map(|_| self.dice.pick(&alike)).collect();
        let targets: String = targets.iter().map(|label| format!("{label} ")).collect();
        self.write(&format!("br_table {targets}{label}"));
        false
    }

    /// Writes many nested blocks, with a `br_table` over all of them in the innermost.
    fn fan(&mut self) {
        let values = self.types(16);
        let blocks = match self.dice.below(20) {
            0 => 600,
            1..=3 => 70,
            _ => 1 + self.dice.below(6),
        };
        let targets = match self.dice.below(40) {
            // Wasmtime accepts no more.
            0 => 65_500,
            1..=4 => 1_000,
            _ => 1 + self.dice.below(8),
        };
        // The outermost blocks may contain other operators, so that not all are alike.
        let outer = blocks.min(3);
        for block in 0..blocks {
            self.head("block", &[], &values);
            if block < outer && self.dice.chance(30) {
                self.write("i32.const 9 drop");
            }
        }
        let below = self.types(3);
        for ty in below.iter().chain(&values) {
            self.push(*ty);
        }
        self.push(Ty::I32);
        let mut table = String::from("br_table");
        for target in 0..targets {
            let _ = write!(table, " {}", target % blocks);
        }
        let default = self.dice.below(blocks);
        self.write(&format!("{table} {default}"));
        self.stack
            .truncate(self.stack.len() - below.len() - values.len() - 1);
        for _ in 0..blocks {
            self.write("end");
        }
        self.stack.extend(&values);
    }
}
