//! A compact binary encoding of values. Decoding never panics, and never allocates more than the input justifies.

use std::collections::BTreeMap;

/// A value that can be encoded.
pub(crate) trait Code: Sized {
    fn put(&self, out: &mut Vec<u8>);
    /// Decodes a value; `None` when the input does not start with a valid encoding.
    fn take(input: &mut Input<'_>) -> Option<Self>;
}

/// The rest of the input.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    /// Reads bytes that are preceded by their number.
    pub(crate) fn block(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(u64::take(self)?).ok()?;
        self.bytes(count)
    }

    pub(crate) fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.block()?).ok()
    }
}

pub(crate) fn put_block(out: &mut Vec<u8>, bytes: &[u8]) {
    (bytes.len() as u64).put(out);
    out.extend_from_slice(bytes);
}

/// Implements [`Code`] for a struct: its fields, one after the other.
macro_rules! record {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::cache::Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                // Destructured, so that a missing field is a compile error.
                let $name { $($field),+ } = self;
                $( $crate::cache::Code::put($field, out); )+
            }
            fn take(input: &mut $crate::cache::Input<'_>) -> Option<Self> {
                $( let $field = $crate::cache::Code::take(input)?; )+
                Some($name { $($field),+ })
            }
        }
    };
}
pub(crate) use record;

impl Code for u64 {
    /// LEB128: most numbers are small.
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn take(input: &mut Input<'_>) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *input.bytes(1)?.first()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has one bit left.
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl Code for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn take(input: &mut Input<'_>) -> Option<i64> {
        input.bytes(8)?.try_into().ok().map(i64::from_le_bytes)
    }
}

impl Code for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Option<u32> {
        u64::take(input)?.try_into().ok()
    }
}

impl Code for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn take(input: &mut Input<'_>) -> Option<f64> {
        input.bytes(8)?.try_into().ok().map(f64::from_le_bytes)
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Option<bool> {
        match input.bytes(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Code for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Option<[u8; 32]> {
        input.bytes(32)?.try_into().ok()
    }
}

impl Code for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_block(out, self.as_bytes());
    }

    fn take(input: &mut Input<'_>) -> Option<String> {
        input.str().map(str::to_owned)
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Option<Option<T>> {
        if bool::take(input)? {
            T::take(input).map(Some)
        } else {
            Some(None)
        }
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn take(input: &mut Input<'_>) -> Option<Vec<T>> {
        let count = u64::take(input)?;
        // Grows with the elements that are decoded: a count alone allocates nothing.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(T::take(input)?);
        }
        Some(values)
    }
}

impl<K: Code + Ord, V: Code> Code for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Option<BTreeMap<K, V>> {
        let count = u64::take(input)?;
        let mut map = BTreeMap::new();
        for _ in 0..count {
            map.insert(K::take(input)?, V::take(input)?);
        }
        Some(map)
    }
}
