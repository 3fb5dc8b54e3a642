//! The source of random choices.

/// Choices from a seed, or from a fuzzer's bytes.
pub(crate) enum Dice<'a> {
    Seed(u64),
    /// When no bytes are left, every choice is the first one, which soon completes the program.
    Bytes(&'a [u8]),
}

impl Dice<'_> {
    fn next(&mut self) -> u64 {
        match self {
            // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
            Self::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
            Self::Bytes(bytes) => match bytes {
                [first, rest @ ..] => {
                    let first = *first;
                    *bytes = rest;
                    u64::from(first)
                }
                [] => 0,
            },
        }
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Returns a number from `low` to `high`, inclusive.
    pub(crate) fn range(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Returns true with a probability of `percent` in a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        // Subtracted from 99, so that the answer is false once the bytes have run out.
        99 - self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Returns an index with a probability proportional to its weight.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut at = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return index,
            }
        }
        unreachable!("the number drawn is below the sum of the weights")
    }

    /// Returns a constant, mostly a small one.
    pub(crate) fn constant(&mut self) -> i32 {
        match self.below(8) {
            0 => 0,
            1 => 1,
            2 => -1,
            3 => self.pick(&[i32::MIN, i32::MAX, 0x7f, 0xff00, 64, 63, 65]),
            _ => self.below(100) as i32 - 20,
        }
    }
}
