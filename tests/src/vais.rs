//! Translates the part of Vais that `dynload.vais` and its examples use to C: functions on `i64` and structs, `:=`
//! and `=`, `I`, `E` and `L`, and blocks whose last expression is their value. The output is GNU C, where blocks have
//! values too.
//!
//! What the compilers of Vais refuse is refused here too:
//!
//! - A text is a `str`, not an address: `str_to_ptr` converts it, and `ptr_to_str` converts an address for `puts`.
//! - A variable is assigned again only if it was declared with `mut`.
//! - A loop without an end is `L {`: `L 1 {` is not a loop.
//! - The arms of a choice are both struct literals or none is: one of the compilers cannot join a literal with anything else.
//! - Functions of the C library are declared, except `puts`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A token of the source.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A name or a number.
    Word(String),
    /// A string literal, with its quotes.
    Text(String),
    /// An operator or a parenthesis.
    Sign(String),
    /// The end of a line, where a statement may end.
    Line,
}

/// Translates a program; its `main` becomes `vais_main`.
///
/// # Panics
///
/// If the source is outside the supported part of the language, with the next tokens.
#[must_use]
pub fn to_c(source: &str) -> String {
    let mut parser = Parser {
        tokens: tokens(source),
        at: 0,
        structs: Vec::new(),
        mutable: BTreeSet::new(),
        last: Kind::Other,
    };
    let (mut types, mut declarations, mut bodies) = (String::new(), String::new(), String::new());
    while parser.skip_lines() {
        match parser.word().as_str() {
            "U" => {
                // An import: skipped, because the caller puts the module in front of the program.
                while parser.tokens.get(parser.at) != Some(&Token::Line) {
                    parser.at += 1;
                }
            }
            "C" => {
                let name = parser.word();
                parser.expect(":");
                parser.word();
                parser.expect("=");
                let _ = writeln!(types, "enum {{ {name} = {} }};", parser.word());
            }
            "S" => {
                let name = parser.word();
                let fields = parser
                    .list("{", "}")
                    .into_iter()
                    .map(|(field, _)| format!("int64_t {field}; "));
                let _ = writeln!(
                    types,
                    "typedef struct {{ {}}} {name};",
                    fields.collect::<String>()
                );
                parser.structs.push(name);
            }
            "X" => {
                assert_eq!(parser.word(), "F");
                let signature = parser.signature();
                let _ = writeln!(declarations, "extern {signature};");
            }
            "F" => {
                let signature = parser.signature();
                let _ = writeln!(declarations, "{signature};");
                parser.mutable.clear();
                let body = parser.block();
                let _ = writeln!(bodies, "{signature} {{ return {body}; }}");
            }
            other => panic!("no declaration starts with `{other}`"),
        }
    }
    format!("#include <stdint.h>\n{types}{declarations}{bodies}")
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for line in source.lines() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let len = match first {
                '#' => break,
                '"' => 2 + rest[1..].find('"').expect("a string literal ends on its line"),
                c if c.is_alphanumeric() || c == '_' => rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len()),
                _ if [":=", "==", "!=", "->"].iter().any(|sign| rest.starts_with(sign)) => 2,
                _ => 1,
            };
            let (token, after) = rest.split_at(len);
            tokens.push(match first {
                '"' => Token::Text(token.to_owned()),
                c if c.is_alphanumeric() || c == '_' => Token::Word(token.to_owned()),
                _ => Token::Sign(token.to_owned()),
            });
            rest = after.trim_start();
        }
        tokens.push(Token::Line);
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    structs: Vec<String>,
    /// The variables of the function that can be assigned again.
    mutable: BTreeSet<String>,
    /// What the last expression was.
    last: Kind,
}

/// What the arms of a choice can be joined with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A struct literal.
    Literal,
    /// A choice between struct literals.
    Choice,
    Other,
}

impl Parser {
    /// Skips empty lines. Returns whether any token follows.
    fn skip_lines(&mut self) -> bool {
        while self.tokens.get(self.at) == Some(&Token::Line) {
            self.at += 1;
        }
        self.at < self.tokens.len()
    }

    fn word(&mut self) -> String {
        match self.tokens.get(self.at).cloned() {
            Some(Token::Word(word)) => {
                self.at += 1;
                word
            }
            other => panic!("expected a word, found {other:?}"),
        }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Sign(found)) if found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) {
        let next = &self.tokens[self.at..self.tokens.len().min(self.at + 8)];
        assert!(self.is(sign), "expected `{sign}`, found {next:?}");
        self.at += 1;
    }

    /// Parses names with types, between two signs.
    fn list(&mut self, open: &str, close: &str) -> Vec<(String, String)> {
        self.expect(open);
        let mut list = Vec::new();
        while self.skip_lines() && !self.take(close) {
            let name = self.word();
            self.expect(":");
            list.push((name, c_type(self.word())));
            self.take(",");
        }
        list
    }

    fn signature(&mut self) -> String {
        let name = match self.word().as_str() {
            "main" => "vais_main".to_owned(),
            name => name.to_owned(),
        };
        let params: Vec<String> = self
            .list("(", ")")
            .into_iter()
            .map(|(name, ty)| format!("{ty} {name}"))
            .collect();
        self.expect("->");
        let result = c_type(self.word());
        let params = if params.is_empty() {
            "void".to_owned()
        } else {
            params.join(", ")
        };
        format!("{result} {name}({params})")
    }

    fn block(&mut self) -> String {
        self.expect("{");
        let mut out = "({ ".to_owned();
        while self.skip_lines() && !self.take("}") {
            let _ = write!(out, "{}; ", self.statement());
        }
        out + "})"
    }

    fn statement(&mut self) -> String {
        if self.take_word("L") {
            return format!("while (1) {}", self.block());
        }
        if let [Token::Word(name), Token::Sign(sign), ..] = &self.tokens[self.at..]
            && [":=", "="].contains(&sign.as_str())
        {
            let (name, declares) = (name.clone(), sign == ":=");
            self.at += 2;
            if !declares {
                assert!(
                    self.mutable.contains(&name),
                    "`{name}` was not declared with `mut`"
                );
                return format!("{name} = {}", self.expression());
            }
            if self.take_word("mut") {
                self.mutable.insert(name.clone());
            }
            return format!("__auto_type {name} = {}", self.expression());
        }
        self.expression()
    }

    fn expression(&mut self) -> String {
        let mut left = self.operand();
        while let Some(Token::Sign(sign)) = self.tokens.get(self.at)
            && ["|", "&", "==", "!=", "<", "+"].contains(&sign.as_str())
        {
            let sign = sign.clone();
            self.at += 1;
            // Left-associative, without precedence; the sources use parentheses where another order is needed.
            left = format!("({left} {sign} {})", self.operand());
        }
        left
    }

    fn operand(&mut self) -> String {
        if self.take("(") {
            let inner = self.expression();
            self.expect(")");
            return format!("({inner})");
        }
        if self.take("~") {
            return format!("~{}", self.operand());
        }
        if self.take_word("I") {
            let condition = self.expression();
            let then = self.block();
            let first = self.last;
            assert!(self.take_word("E"), "every `I` has its `E`");
            let otherwise = self.block();
            assert!(
                self.last == first && first != Kind::Choice,
                "a struct literal is in only one arm of a choice"
            );
            if first == Kind::Literal {
                self.last = Kind::Choice;
            }
            return format!("({condition} ? {then} : {otherwise})");
        }
        self.last = Kind::Other;
        let name = self.word();
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return format!("INT64_C({name})");
        }
        if self.structs.contains(&name) && self.take("{") {
            let mut out = format!("({name}){{ ");
            while self.skip_lines() && !self.take("}") {
                let field = self.word();
                self.expect(":");
                let _ = write!(out, ".{field} = {}, ", self.expression());
                self.take(",");
            }
            self.last = Kind::Literal;
            return out + "}";
        }
        if self.take("(") {
            if ["puts", "str_to_ptr"].contains(&name.as_str()) {
                let text = self.text();
                self.expect(")");
                return if name == "puts" {
                    format!("puts({text})")
                } else {
                    text
                };
            }
            let mut args = Vec::new();
            while !self.take(")") {
                args.push(self.expression());
                self.take(",");
            }
            return format!("{name}({})", args.join(", "));
        }
        if self.take(".") {
            return format!("{name}.{}", self.word());
        }
        name
    }
}

impl Parser {
    /// Parses a `str`: a literal, or an address that was converted. Returns its address.
    fn text(&mut self) -> String {
        if let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() {
            self.at += 1;
            return format!("(int64_t)(intptr_t){text}");
        }
        assert!(
            self.take_word("ptr_to_str"),
            "a text is a literal or converted by `ptr_to_str`"
        );
        self.expect("(");
        let address = self.expression();
        self.expect(")");
        address
    }
}

fn c_type(ty: String) -> String {
    if ty == "i64" { "int64_t".to_owned() } else { ty }
}

#[cfg(test)]
mod tests {
    use super::to_c;

    /// Returns why a function with this body is refused.
    fn refused(body: &str) -> String {
        let source =
            format!("S Pair {{ a: i64, b: i64 }}\nX F f(x: i64) -> i64\nF main() -> i64 {{\n{body}\n0\n}}\n");
        let refused = std::panic::catch_unwind(|| to_c(&source)).expect_err("it is refused");
        match refused.downcast::<String>() {
            Ok(message) => *message,
            Err(other) => (*other.downcast::<&str>().expect("a message")).to_owned(),
        }
    }

    #[test]
    fn what_the_compilers_refuse_is_refused() {
        for (body, reason) in [
            ("f(\"x\")", "expected a word"),
            ("puts(f(1))", "ptr_to_str"),
            ("x := 1\nx = 2", "mut"),
            ("L 1 { f(1) }", "expected `{`"),
            (
                "p := I f(1) == 1 { Pair { a: 1, b: 2 } } E { pair() }",
                "only one arm",
            ),
            (
                "p := I f(1) == 1 { Pair { a: 1, b: 2 } } E { I f(2) == 1 { Pair { a: 1, b: 2 } } E { Pair { a: 1, b: 2 } } }",
                "only one arm",
            ),
        ] {
            let message = refused(body);
            assert!(message.contains(reason), "{body}: {message}");
        }
        assert!(to_c(
            "X F f(x: i64) -> i64\nF main() -> i64 {\nx := mut f(str_to_ptr(\"x\"))\nx = 2\nputs(ptr_to_str(x))\n0\n}\n",
        ).contains("puts(x)"));
    }
}
