//! Translates the part of Vais that `dynload.vais` and its examples use to C: functions on `i64` and structs, `:=`
//! and `=`, `I`, `E` and `L`, and blocks whose last expression is their value. The output is GNU C, where blocks have
//! values too.

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
            let condition = self.expression();
            return format!("while ({condition}) {}", self.block());
        }
        if let [Token::Word(name), Token::Sign(sign), ..] = &self.tokens[self.at..]
            && [":=", "="].contains(&sign.as_str())
        {
            let start = if sign == ":=" {
                format!("__auto_type {name} = ")
            } else {
                format!("{name} = ")
            };
            self.at += 2;
            return start + &self.expression();
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
        if let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() {
            self.at += 1;
            return format!("(int64_t)(intptr_t){text}");
        }
        if self.take_word("I") {
            let condition = self.expression();
            let then = self.block();
            assert!(self.take_word("E"), "every `I` has its `E`");
            return format!("({condition} ? {then} : {})", self.block());
        }
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
            return out + "}";
        }
        if self.take("(") {
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

fn c_type(ty: String) -> String {
    if ty == "i64" { "int64_t".to_owned() } else { ty }
}
