//! Text of others in messages of ours.

use std::fmt::{self, Write};

/// Control characters, and those that reorder or hide text (Unicode's bidirectional controls and zero-width ones): a
/// name that shows as something else than it is has no place in a list of plugins.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Writes on, with escapes such as `\u{1b}` for what is unprintable: a key of a manifest or the name of a file must not
/// speak to the terminal.
pub(crate) struct Printable<'a, W>(pub(crate) &'a mut W);

impl<W: Write> Write for Printable<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_unprintable) {
            let (before, from) = rest.split_at(at);
            let mut chars = from.chars();
            self.0.write_str(before)?;
            if let Some(c) = chars.next() {
                write!(self.0, "{}", c.escape_unicode())?;
            }
            rest = chars.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unprintable_is_escaped() {
        let mut out = String::new();
        Printable(&mut out).write_str("a\x1b[31m\ré\u{202e}b\n").unwrap();
        assert_eq!(out, r"a\u{1b}[31m\u{d}é\u{202e}b\u{a}");
    }
}
