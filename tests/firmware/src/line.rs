//! Lines of text and numbers, without the formatting machinery of `core::fmt`.

use alloc::string::String;

use crate::board;

/// A line that is put together and printed.
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn new(text: &str) -> Line {
        Line(text.into())
    }

    pub(crate) fn text(mut self, text: &str) -> Line {
        self.0.push_str(text);
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Line {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.0
            .extend(digits[start..].iter().map(|digit| char::from(*digit)));
        self
    }

    pub(crate) fn print(mut self) {
        self.0.push('\n');
        board::write(self.0.as_bytes());
    }
}
