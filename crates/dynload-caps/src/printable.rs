//! Text of others in messages of ours.
//!
//! A name, a path or a message that a guest, a plugin, a manifest or a file chose is data: in an error, a log or a list it must
//! not speak to the terminal, begin a line of its own, hide or reorder what stands beside it, or be a million characters long.
//! An error keeps what it was given in its fields, and shows it through [`printable`].

use core::fmt::{self, Display, Write};

/// Shows a text as [`Printable`] says, in at most [`NAME`](Printable::NAME) bytes.
///
/// ```
/// use dynload_caps::printable;
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

/// A text that shows without what is not printable, and no longer than it may be.
///
/// Everything that is not printable is written as `\u{1b}`: control characters, line ends, formatting characters (those without
/// width, and those that change the direction), private and unassigned ones, spaces that are not U+0020. What is longer than
/// allowed is cut between two characters and followed by `… (N bytes)`, its whole length. Nothing is allocated.
#[derive(Clone, Copy)]
#[must_use]
pub struct Printable<T> {
    text: T,
    most: usize,
    lines: bool,
}

impl<T> Printable<T> {
    /// The most bytes of a name: 200.
    pub const NAME: usize = 200;
    /// The most bytes of a path: 1 000.
    pub const PATH: usize = 1_000;
    /// The most bytes of a sentence that may have names in it: 4 000.
    pub const MESSAGE: usize = 4_000;

    /// In at most so many bytes.
    pub fn up_to(self, most: usize) -> Printable<T> {
        Printable { most, ..self }
    }

    /// In at most [`PATH`](Printable::PATH) bytes.
    pub fn path(self) -> Printable<T> {
        self.up_to(Self::PATH)
    }

    /// In at most [`MESSAGE`](Printable::MESSAGE) bytes.
    pub fn message(self) -> Printable<T> {
        self.up_to(Self::MESSAGE)
    }

    /// Keeps line ends and tabs: for a text that is shown by itself, what a compiler wrote for instance.
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

/// In double quotes.
impl<T: Display> fmt::Debug for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes on what is printable, and counts the rest.
struct Writer<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// The bytes that may still be written.
    left: usize,
    is_cut: bool,
    lines: bool,
    /// The bytes of the whole text until now.
    bytes: usize,
}

impl Writer<'_, '_> {
    /// Writes all of a piece, or nothing from here on.
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
        for (place, c) in escaped.iter_mut().zip(c.escape_unicode()) {
            // ASCII, and `\u{10ffff}` at the longest.
            *place = c as u8;
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

/// Whether a character shows as itself and does nothing else.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The standard library knows Unicode's categories. Behind a letter it takes a combining mark for what it is.
    let mut pair = [b'a'; 5];
    let len = 1 + c.encode_utf8(&mut pair[1..]).len();
    core::str::from_utf8(&pair[..len]).is_ok_and(|pair| pair.escape_debug().count() == 2)
}

/// Bytes that should be a text: what is not UTF-8 shows as `\xff`.
///
/// ```
/// use dynload_caps::{TextBytes, printable};
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

/// Shows a list as [`Listed`] says.
///
/// ```
/// use dynload_caps::listed;
///
/// assert_eq!(listed(&["a", "b"]).to_string(), "a, b");
/// let many: Vec<u32> = (1..=6_000).collect();
/// assert!(listed(&many).to_string().ends_with(", 19, 20 and 5980 more"));
/// ```
pub fn listed<T: Display>(items: &[T]) -> Listed<'_, T> {
    Listed(items)
}

/// The first 20 of a list, and how many more there are.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Listed<'a, T>(&'a [T]);

impl<T> Listed<'_, T> {
    /// The most that are shown: 20.
    pub const MOST: usize = 20;
}

impl<T: Display> Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().take(Self::MOST).enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(Self::MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
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
    fn what_hides_or_reorders_is_escaped_and_writing_is_not() {
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
    fn an_escape_stays_what_it_is() {
        let once = printable("\x1b[0m").to_string();
        assert_eq!(printable(&once).to_string(), once);
    }
}
