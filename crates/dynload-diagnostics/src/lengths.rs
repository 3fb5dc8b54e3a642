//! The lengths in a WebAssembly module.

/// Returns the offset of the first length in a core module that is larger than what contains it, or of what is malformed
/// before.
///
/// It reads the lengths of sections, functions, data segments and subsections of the names; what it returns `None` for can
/// still be invalid. Bytes that are not a core module are left to the parser, which refuses them at their header.
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::overlong_length;
///
/// // A custom section of 1 byte, which is the empty name.
/// assert_eq!(overlong_length(b"\0asm\x01\0\0\0\0\x01\0"), None);
/// // One of 4 GiB.
/// assert_eq!(overlong_length(b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\x0f\0"), Some(9));
/// ```
#[must_use]
pub fn overlong_length(module: &[u8]) -> Option<usize> {
    let mut reader = Reader { bytes: module, at: 8 };
    if !module.starts_with(b"\0asm\x01\0\0\0") {
        return None;
    }
    reader.sections().err()
}

/// Returns what [`overlong_length`] returns on machines where such a length keeps the module from being parsed, and `None`
/// elsewhere.
///
/// wasmparser 0.228 adds each length to its position without a check. Where addresses have 32 bits, the sum can overflow, and
/// it panics: so the crates that parse a module call this first.
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::{overflowing_length, overlong_length};
///
/// let module = b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\x0f\0";
/// # #[cfg(target_pointer_width = "64")]
/// assert_eq!(overflowing_length(module), None);
/// # #[cfg(not(target_pointer_width = "64"))]
/// # assert_eq!(overflowing_length(module), overlong_length(module));
/// ```
#[must_use]
pub fn overflowing_length(module: &[u8]) -> Option<usize> {
    if cfg!(target_pointer_width = "64") {
        return None;
    }
    overlong_length(module)
}

/// The offset of what is malformed.
type Malformed = usize;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn sections(&mut self) -> Result<(), Malformed> {
        while self.at < self.bytes.len() {
            let id = self.byte()?;
            let mut section = self.contents()?;
            match id {
                0 => section.custom()?,
                10 => section.functions()?,
                11 => section.segments()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn custom(&mut self) -> Result<(), Malformed> {
        // Anything may be in a custom section, even nothing.
        let Ok(mut name) = self.contents() else {
            return Ok(());
        };
        if name.rest() != b"name" {
            return Ok(());
        }
        while self.at < self.bytes.len() {
            self.byte()?;
            self.contents()?;
        }
        Ok(())
    }

    fn functions(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.number(32)? {
            self.contents()?;
        }
        Ok(())
    }

    fn segments(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.number(32)? {
            let kind = self.number(32)?;
            if kind == 2 {
                self.number(32)?;
            }
            if kind != 1 {
                self.expression()?;
            }
            self.contents()?;
        }
        Ok(())
    }

    /// Reads a constant expression. Of other operators, the parser would read the operands.
    fn expression(&mut self) -> Result<(), Malformed> {
        loop {
            let start = self.at;
            match self.byte()? {
                // end
                0x0b => return Ok(()),
                // global.get, ref.func
                0x23 | 0xd2 => drop(self.number(32)?),
                // i32.const, ref.null
                0x41 | 0xd0 => drop(self.number(33)?),
                // i64.const
                0x42 => drop(self.number(64)?),
                // f32.const, f64.const
                0x43 => self.skip(4)?,
                0x44 => self.skip(8)?,
                // The sums, differences and products of integers.
                0x6a..=0x6c | 0x7c..=0x7e => {}
                // v128.const
                0xfd if self.number(32)? == 12 => self.skip(16)?,
                _ => return Err(start),
            }
        }
    }

    /// Reads a length, and returns as many bytes.
    fn contents(&mut self) -> Result<Reader<'a>, Malformed> {
        let start = self.at;
        let len = self.number(32)?;
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let contents = end.and_then(|end| self.bytes.get(..end)).ok_or(start)?;
        let reader = Reader {
            bytes: contents,
            at: self.at,
        };
        self.at = contents.len();
        Ok(reader)
    }

    fn rest(&mut self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(self.at)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), Malformed> {
        for _ in 0..count {
            self.byte()?;
        }
        Ok(())
    }

    /// Reads a number in LEB128 with at most as many bytes as `bits` need.
    fn number(&mut self, bits: u32) -> Result<u64, Malformed> {
        let start = self.at;
        let mut number = 0;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const HUGE: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

    fn module(id: u8, contents: &[u8]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([id, contents.len() as u8]);
        module.extend(contents);
        module
    }

    #[test]
    fn every_kind_of_length_is_checked() {
        let constant = [0x41, 0, 0x0b];
        for (id, before) in [
            (10, &[1][..]),
            (10, &[2, 2, 0, 0x0b]),
            (11, &[1, 1]),
            (11, &[&[1, 0][..], &constant].concat()),
            (11, &[&[1, 2, 0][..], &constant].concat()),
            (11, &[&[2, 0][..], &constant, &[2, 7, 7], &[1]].concat()),
            (11, &[1, 0, 0x23, 0, 0x42, 0x80, 1, 0x6a, 0x0b]),
            (
                11,
                &[
                    1, 0, 0x43, 0, 0, 0, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0x70, 0xd2, 0, 0x0b,
                ],
            ),
            (0, &[4, b'n', b'a', b'm', b'e', 1]),
            (0, &[4, b'n', b'a', b'm', b'e', 0, 1, 0, 1]),
        ] {
            let fine = module(id, &[before, &[0]].concat());
            assert_eq!(overlong_length(&fine), None, "{id} {before:?}");
            // The numbers from which one of the additions overflows, and others.
            for number in [HUGE, [0x80, 0xff, 0xff, 0xff, 0x0f], [0x81, 0x80, 0x80, 0x80, 0]] {
                let overlong = module(id, &[before, &number].concat());
                assert_eq!(
                    overlong_length(&overlong),
                    Some(10 + before.len()),
                    "{id} {before:?}"
                );
            }
        }
        for id in 0..=13 {
            let mut section = b"\0asm\x01\0\0\0".to_vec();
            section.push(id);
            section.extend(HUGE);
            assert_eq!(overlong_length(&section), Some(9));
        }
    }

    /// The parser reads the operands of any operator before the length that follows.
    #[test]
    fn other_operators_hide_no_length() {
        for operators in [&[0x01][..], &[0x02, 0x40], &[0x10, 0], &[0x28, 0, 0], &[0xfd, 0]] {
            let hidden = [&[1, 0][..], operators, &[0x0b], &HUGE].concat();
            assert_eq!(overlong_length(&module(11, &hidden)), Some(12), "{operators:?}");
        }
    }

    #[test]
    fn what_is_not_a_core_module_is_left_to_the_parser() {
        for bytes in [
            &b""[..],
            b"(module)",
            b"\0asm",
            b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\x0f",
            b"\x7fELF",
        ] {
            assert_eq!(overlong_length(bytes), None);
        }
    }
}
