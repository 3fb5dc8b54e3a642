//! Foreign text in messages.
//!
//! A name, a path or a message that a guest, a plugin, a manifest or a file chose is data. In an error, a log or a list it must
//! not control the terminal, start a new line, hide or reorder the text beside it, or be a million characters long. Most errors
//! keep the original text in their fields and display it through [`printable`].

use core::fmt::{self, Display, Write};

/// Wraps a text so that it is displayed as [`Printable`] describes, in at most [`NAME`](Printable::NAME) bytes.
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::printable;
///
/// let name = "a\x1b[31m\n\u{202e}b";
/// assert_eq!(format!("`{}`", printable(name)), r"`a\u{1b}[31m\u{a}\u{202e}b`");
/// assert_eq!(printable("x".repeat(201)).to_string(), format!("{}… (201 bytes)", "x".repeat(200)));
/// ```
pub fn printable<T: Display>(text: T) -> Printable<T> {
    Printable {
        text,
        most: Printable::<T>::NAME,
        lines: false,
    }
}

/// Displays a text with escapes for its unprintable characters, and cut to a length.
///
/// Control characters, line ends, formatting characters (zero width or direction), private and unassigned characters, and
/// spaces other than U+0020 are displayed as escapes such as `\u{1b}`. A text that is too long is cut between two characters
/// and followed by `… (N bytes)`, its whole length. Nothing is allocated.
///
/// The output is safe to display, but it is not reversible: a backslash is not escaped, so `\u{7}` in the output is
/// either the escape of a control character or those five characters of the text.
#[derive(Clone, Copy)]
#[must_use]
pub struct Printable<T> {
    text: T,
    most: usize,
    lines: bool,
}

impl<T> Printable<T> {
    /// The maximum length of a name: 200 bytes.
    pub const NAME: usize = 200;
    /// The maximum length of a path: 1 000 bytes.
    pub const PATH: usize = 1_000;
    /// The maximum length of a sentence that may contain names: 4 000 bytes.
    pub const MESSAGE: usize = 4_000;

    /// Sets the maximum length, in bytes.
    pub fn up_to(self, most: usize) -> Printable<T> {
        Printable { most, ..self }
    }

    /// Sets the maximum length to [`PATH`](Printable::PATH) bytes.
    pub fn path(self) -> Printable<T> {
        self.up_to(Self::PATH)
    }

    /// Sets the maximum length to [`MESSAGE`](Printable::MESSAGE) bytes.
    pub fn message(self) -> Printable<T> {
        self.up_to(Self::MESSAGE)
    }

    /// Keeps line ends and tabs: for a text that is displayed alone, such as the output of a compiler.
    pub fn with_lines(self) -> Printable<T> {
        Printable { lines: true, ..self }
    }
}

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer {
            out: f,
            left: self.most,
            is_cut: false,
            lines: self.lines,
            bytes: 0,
        };
        write!(writer, "{}", self.text)?;
        if writer.is_cut {
            let bytes = writer.bytes;
            write!(f, "… ({bytes} bytes)")?;
        }
        Ok(())
    }
}

/// Adds double quotes.
impl<T: Display> fmt::Debug for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Forwards printable characters, escapes the others, and counts all bytes.
struct Writer<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// The number of bytes that may still be written.
    left: usize,
    is_cut: bool,
    lines: bool,
    /// The length of the text so far.
    bytes: usize,
}

impl Writer<'_, '_> {
    /// Writes the whole piece, or cuts the text here.
    fn put(&mut self, piece: &str) -> fmt::Result {
        self.is_cut |= piece.len() > self.left;
        if self.is_cut {
            return Ok(());
        }
        self.left -= piece.len();
        self.out.write_str(piece)
    }

    fn escape(&mut self, c: char) -> fmt::Result {
        let mut escaped = [0; 10];
        let mut len = 0;
        for (slot, c) in escaped.iter_mut().zip(c.escape_unicode()) {
            // ASCII, and `\u{10ffff}` at the longest.
            *slot = c as u8;
            len += 1;
        }
        self.put(core::str::from_utf8(&escaped[..len]).unwrap_or_default())
    }
}

impl Write for Writer<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len();
        for c in text.chars() {
            if self.is_cut {
                break;
            }
            if is_printable(c) || self.lines && matches!(c, '\n' | '\t') {
                self.put(c.encode_utf8(&mut [0; 4]))?;
            } else {
                self.escape(c)?;
            }
        }
        Ok(())
    }
}

/// Returns whether a character is displayed as itself and has no other effect.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // `escape_debug` uses the Unicode categories. After a letter, it does not escape a combining mark.
    let mut pair = [b'a'; 5];
    let len = 1 + c.encode_utf8(&mut pair[1..]).len();
    core::str::from_utf8(&pair[..len]).is_ok_and(|pair| pair.escape_debug().count() == 2)
}

/// Displays bytes as text, with an escape such as `\xff` for each byte that is not UTF-8.
///
/// Bytes that are UTF-8 are displayed unchanged, control characters included, and the length is not limited. So wrap it
/// in [`printable`], as the example does.
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::{TextBytes, printable};
///
/// assert_eq!(printable(TextBytes(b"caf\xe9 \xc3\xa9\x07")).to_string(), r"caf\xe9 é\u{7}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TextBytes<'a>(pub &'a [u8]);

impl Display for TextBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            chunk
                .invalid()
                .iter()
                .try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    #[test]
    fn every_character_is_printable_or_escaped() {
        for c in '\0'..=char::MAX {
            let shown = printable(c).to_string();
            let escaped: String = c.escape_unicode().collect();
            assert!(shown == c.to_string() || shown == escaped, "{c:?} as {shown}");
            assert!(!shown.chars().any(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn hiding_and_reordering_characters_are_escaped_and_scripts_are_not() {
        for c in
            "\u{61c}\u{200b}\u{200d}\u{200f}\u{2028}\u{202e}\u{2066}\u{feff}\u{ad}\u{e000}\u{378}\u{e0041}"
                .chars()
        {
            assert!(printable(c).to_string().starts_with(r"\u{"), "{c:?}");
        }
        for text in ["é", "e\u{301}", "नमस्ते", "ภาษาไทย", "日本語", "🦀", "a b\\'\""]
        {
            assert_eq!(printable(text).to_string(), text);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters_and_never_within_an_escape() {
        let show = |text: &str, most| printable(text).up_to(most).to_string();
        assert_eq!(show("éé", 4), "éé");
        assert_eq!(show("éé", 3), "é… (4 bytes)");
        assert_eq!(show("a\x1bb", 6), "a… (3 bytes)");
        assert_eq!(show("", 0), "");
        assert_eq!(printable("a\n\tb\r").with_lines().to_string(), "a\n\tb\\u{d}");
    }

    #[test]
    fn an_escape_is_not_escaped_again() {
        let once = printable("\x1b[0m").to_string();
        assert_eq!(printable(&once).to_string(), once);
    }
}
