//! A hash of what a part of the frame is drawn from.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Collects values and hashes them. Equal keys mean that the part looks the same.
#[derive(Default)]
pub(super) struct Key(DefaultHasher);

impl Key {
    /// Adds a value.
    pub(super) fn add(&mut self, value: impl Hash) {
        value.hash(&mut self.0);
    }

    /// Adds a floating-point number by its bits.
    pub(super) fn add_float(&mut self, value: f64) {
        value.to_bits().hash(&mut self.0);
    }

    /// Returns the hash.
    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }
}
