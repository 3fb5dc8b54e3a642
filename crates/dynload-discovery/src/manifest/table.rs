//! Reads the fields of a TOML table, and collects every error with its position instead of stopping at the first.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;

use dynload_diagnostics::nearest_name;
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::{ManifestError, ManifestErrorKind};

/// Returns whether `c` is a control character, or one that reorders or hides text (Unicode's bidirectional controls
/// and zero-width characters): a name must not be displayed as something else in a list of plugins.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

pub(in crate::manifest) type Node<'t, 'i> = &'t Spanned<DeValue<'i>>;

/// The text that is read, and its errors so far.
pub(in crate::manifest) struct Reading<'i> {
    text: &'i str,
    errors: RefCell<Vec<ManifestError>>,
    /// Where keys and values of the older format start: what else is wrong with them is not reported.
    older: RefCell<Vec<usize>>,
    /// The offsets of the line ends.
    line_ends: OnceCell<Vec<usize>>,
}

impl<'i> Reading<'i> {
    pub(in crate::manifest) fn new(text: &'i str) -> Reading<'i> {
        Reading {
            text,
            errors: RefCell::new(Vec::new()),
            older: RefCell::new(Vec::new()),
            line_ends: OnceCell::new(),
        }
    }

    /// Returns whether no more errors are collected. A file with a hundred thousand errors is as invalid as one with a hundred,
    /// and each error takes time: the nearest name is searched for.
    pub(in crate::manifest) fn is_full(&self) -> bool {
        self.errors.borrow().len() >= 100
    }

    /// Reports a field of the older format, in place of other errors at these positions.
    pub(in crate::manifest) fn older(&self, spans: &[Range<usize>], field: &str, remedy: &'static str) {
        if self.is_full() {
            return;
        }
        let field = field.to_owned();
        if let Some(first) = spans.first() {
            self.error(first.clone(), ManifestErrorKind::OlderFormat { field, remedy });
        }
        self.older
            .borrow_mut()
            .extend(spans.iter().map(|span| span.start));
    }

    pub(in crate::manifest) fn error(&self, span: Range<usize>, kind: ManifestErrorKind) {
        if self.is_full() || self.older.borrow().contains(&span.start) {
            return;
        }
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.line(span.start);
        let column = (before.len() - start) as u32 + 1;
        self.errors
            .borrow_mut()
            .push(ManifestError { line, column, kind });
    }

    /// Returns the line of an offset, from 1.
    pub(in crate::manifest) fn line(&self, offset: usize) -> u32 {
        let ends = self.line_ends.get_or_init(|| {
            let bytes = self.text.bytes().enumerate();
            bytes
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at)
                .collect()
        });
        // A manifest has at most 256 KiB, so a line and a column fit in 32 bits.
        ends.partition_point(|end| *end < offset) as u32 + 1
    }

    pub(in crate::manifest) fn into_errors(self) -> Vec<ManifestError> {
        self.errors.into_inner()
    }

    pub(in crate::manifest) fn wrong_type(&self, node: Node<'_, '_>, field: &str, expected: &'static str) {
        let found = type_name(node.get_ref());
        self.error(
            node.span(),
            ManifestErrorKind::WrongType {
                field: field.to_owned(),
                expected,
                found,
            },
        );
    }

    pub(in crate::manifest) fn str<'t>(&self, node: Node<'t, '_>, field: &str) -> Option<&'t str> {
        let text = node.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(node, field, "a string");
        }
        text
    }

    /// Returns the value that the text of `node` parses to.
    pub(in crate::manifest) fn parse<T, E>(
        &self,
        node: Node<'_, '_>,
        field: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
        error: impl FnOnce(E) -> ManifestErrorKind,
    ) -> Option<T> {
        if self.is_full() {
            return None;
        }
        let text = self.str(node, field)?;
        read(text)
            .map_err(|cause| self.error(node.span(), error(cause)))
            .ok()
    }

    /// Returns the value that the word in `node` stands for, according to `known`.
    pub(in crate::manifest) fn word<T: Copy>(
        &self,
        node: Node<'_, '_>,
        field: &str,
        known: &[(&'static str, T)],
        names: &'static [&'static str],
    ) -> Option<T> {
        let text = self.str(node, field)?;
        let found = known
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        if found.is_none() && !self.is_full() {
            let nearest = nearest_name(text, names.iter().copied());
            let kind = ManifestErrorKind::UnknownWord {
                field: field.to_owned(),
                found: short(text),
                nearest,
                known: names,
            };
            self.error(node.span(), kind);
        }
        found
    }

    /// Returns the elements of an array.
    pub(in crate::manifest) fn array<'t, 'd>(
        &self,
        node: Node<'t, 'd>,
        field: &str,
        expected: &'static str,
    ) -> &'t [Spanned<DeValue<'d>>] {
        match node.get_ref() {
            DeValue::Array(array) => elements(array),
            _ => {
                self.wrong_type(node, field, expected);
                &[]
            }
        }
    }

    /// Returns a text that is displayed to users.
    pub(in crate::manifest) fn prose(&self, node: Node<'_, '_>, field: &str, lines: bool) -> Option<String> {
        let text = self.str(node, field)?;
        let spaces: &[char] = if lines { &['\n', '\r', '\t'] } else { &[] };
        match text.chars().find(|c| is_unprintable(*c) && !spaces.contains(c)) {
            Some(found) => {
                self.error(
                    node.span(),
                    ManifestErrorKind::ControlCharacter {
                        field: field.to_owned(),
                        found,
                    },
                );
                None
            }
            None => Some(text.to_owned()),
        }
    }

    pub(in crate::manifest) fn boolean(&self, node: Node<'_, '_>, field: &str) -> Option<bool> {
        let value = node.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type(node, field, "true or false");
        }
        value
    }

    pub(in crate::manifest) fn integer<T>(
        &self,
        node: Node<'_, '_>,
        field: &str,
        read: impl FnOnce(&str, u32) -> Option<T>,
        expected: &'static str,
    ) -> Option<T> {
        let DeValue::Integer(number) = node.get_ref() else {
            self.wrong_type(node, field, expected);
            return None;
        };
        let value = read(number.as_str(), number.radix());
        if value.is_none() {
            let found = short(&written(number));
            self.error(
                node.span(),
                ManifestErrorKind::OutOfRange {
                    field: field.to_owned(),
                    found,
                    expected,
                },
            );
        }
        value
    }
}

fn written(number: &DeInteger<'_>) -> String {
    match number.radix() {
        16 => format!("0x{}", number.as_str()),
        8 => format!("0o{}", number.as_str()),
        2 => format!("0b{}", number.as_str()),
        _ => number.as_str().to_owned(),
    }
}

fn elements<'t, 'i>(array: &'t DeArray<'i>) -> &'t [Spanned<DeValue<'i>>] {
    array
}

/// Returns as much of a text as an error message needs.
pub(in crate::manifest) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A table with a fixed set of fields.
pub(in crate::manifest) struct Fields<'r, 't, 'i> {
    pub(in crate::manifest) reading: &'r Reading<'i>,
    /// The prefix of the field names, `capabilities.` for that table; empty for the top level.
    prefix: String,
    table: &'t DeTable<'i>,
    span: Range<usize>,
}

impl<'r, 't, 'i> Fields<'r, 't, 'i> {
    /// Returns the fields of `table`, and reports every one that is not in `known`.
    pub(in crate::manifest) fn new(
        reading: &'r Reading<'i>,
        prefix: String,
        table: &'t DeTable<'i>,
        span: Range<usize>,
        known: &[&'static str],
        elsewhere: &[(&str, &str)],
    ) -> Self {
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !known.contains(&name) && !reading.is_full() {
                let home = elsewhere
                    .iter()
                    .find(|(field, _)| *field == name)
                    .map(|(_, home)| (*home).to_owned());
                let near = || nearest_name(name, known.iter().copied()).map(|near| format!("{prefix}{near}"));
                let field = format!("{prefix}{}", short(name));
                reading.error(
                    key.span(),
                    ManifestErrorKind::UnknownField {
                        field,
                        nearest: home.or_else(near),
                    },
                );
            }
        }
        Fields {
            reading,
            prefix,
            table,
            span,
        }
    }

    /// Returns the full name of a field.
    pub(in crate::manifest) fn name(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    pub(in crate::manifest) fn get(&self, field: &str) -> Option<Node<'t, 'i>> {
        self.table.get(field)
    }

    /// Returns a required field.
    pub(in crate::manifest) fn required(&self, field: &str) -> Option<Node<'t, 'i>> {
        let node = self.get(field);
        if node.is_none() {
            let field = self.name(field);
            self.reading
                .error(self.span.clone(), ManifestErrorKind::MissingField { field });
        }
        node
    }

    /// Returns the fields of the table in `field`.
    pub(in crate::manifest) fn table(
        &self,
        field: &str,
        known: &[&'static str],
        elsewhere: &[(&str, &str)],
    ) -> Option<Fields<'r, 't, 'i>> {
        let node = self.get(field)?;
        inner(self.reading, node, &self.name(field), known, elsewhere)
    }

    /// Returns the entries of the table in `field`, whose keys the author chooses.
    pub(in crate::manifest) fn entries(
        &self,
        field: &str,
    ) -> impl Iterator<Item = (&'t Spanned<std::borrow::Cow<'i, str>>, Node<'t, 'i>)> {
        let table = self.get(field).and_then(|node| match node.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.reading.wrong_type(node, &self.name(field), "a table");
                None
            }
        });
        table.into_iter().flatten()
    }
}

/// Returns the fields of `node`, which has to be a table.
pub(in crate::manifest) fn inner<'r, 't, 'i>(
    reading: &'r Reading<'i>,
    node: Node<'t, 'i>,
    name: &str,
    known: &[&'static str],
    elsewhere: &[(&str, &str)],
) -> Option<Fields<'r, 't, 'i>> {
    match node.get_ref() {
        DeValue::Table(table) => Some(Fields::new(
            reading,
            format!("{name}."),
            table,
            node.span(),
            known,
            elsewhere,
        )),
        _ => {
            reading.wrong_type(node, name, "a table");
            None
        }
    }
}
