//! A hash of what a part of the frame is drawn from.

use std::hash::{Hash, Hasher};

/// Collects values and hashes them. Equal keys mean that the part looks the same.
#[derive(Default)]
pub(super) struct Key(FoldHasher);

impl Key {
    /// Adds a value.
    pub(super) fn add(&mut self, value: impl Hash) {
        value.hash(&mut self.0);
    }

    /// Adds a floating-point number by its bits.
    pub(super) fn add_float(&mut self, value: f64) {
        value.to_bits().hash(&mut self.0);
    }

    /// Adds a share as a whole percentage, as `format::percent` rounds it.
    pub(super) fn add_percent(&mut self, share: f64) {
        ((share * 100.0).round_ties_even() as i64).hash(&mut self.0);
    }

    /// Returns the hash.
    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// A fast hash: each frame hashes some thousand values, and nobody chooses them so that they collide.
/// It multiplies to 128 bits and folds both halves, as wyhash does.
#[derive(Default)]
struct FoldHasher(u64);

/// Digits of the golden ratio: odd, with bits set all over.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for FoldHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let last =
                rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(last);
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0.rotate_left(23) ^ value).wrapping_add(FACTOR);
        let product = u128::from(mixed) * u128::from(FACTOR);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(value: impl Hash) -> u64 {
        let mut key = Key::default();
        key.add(value);
        key.finish()
    }

    #[test]
    fn different_values_have_different_keys() {
        let mut keys: HashSet<u64> = (0..100_000_u64).map(of).collect();
        keys.extend((0..100_000_u32).map(|value| of((value, 1.5_f64.to_bits()))));
        keys.extend((1..=1000).map(|size| of("a".repeat(size))));
        keys.extend((1..=1000).map(|size| of(vec![0_u16; size])));
        assert_eq!(keys.len(), 202_000);
        assert_ne!(of(("ab", "c")), of(("a", "bc")));
    }

    #[test]
    fn percent_changes_with_its_text() {
        let key = |share: f64| {
            let mut key = Key::default();
            key.add_percent(share);
            key.finish()
        };
        let text = crate::console::format::percent;
        for (low, high) in [(0.004, 0.005), (0.005, 0.0051), (0.015, 0.0149), (0.52, 0.53)] {
            assert_eq!(key(low) == key(high), text(low) == text(high), "{low} {high}");
        }
    }
}
