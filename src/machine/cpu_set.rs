//! Sets of logical CPUs, and the CPU list syntax ("0-3,8,10-15:2").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One logical CPU, by the kernel's number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CoreId(pub u16);

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of logical CPUs that a set can name: 0 to 1023, as the kernel's own `cpu_set_t`.
pub const MAX_CORES: usize = 1024;

const WORDS: usize = MAX_CORES / 64;

/// A set of logical CPUs. Printed and parsed as a CPU list; serialised as that string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct CpuSet {
    words: [u64; WORDS],
}

/// Errors in a CPU list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CpuListError {
    /// A part of the list is not a number, a range or a stepped range.
    #[error("`{part}` is not a CPU, a range like 0-3, or a stepped range like 0-6:2")]
    Syntax {
        /// The offending part.
        part: String,
    },
    /// A range whose first CPU is higher than its last.
    #[error("the range `{part}` runs backwards: write the lower CPU first")]
    Backwards {
        /// The offending part.
        part: String,
    },
    /// A step of zero.
    #[error("the step in `{part}` must be 1 or more")]
    ZeroStep {
        /// The offending part.
        part: String,
    },
    /// A CPU beyond [`MAX_CORES`].
    #[error("CPU {cpu} is too high: the highest CPU that divvy supports is {}", MAX_CORES - 1)]
    TooLarge {
        /// The number as written.
        cpu: u64,
    },
}

impl CpuSet {
    /// The empty set.
    pub const EMPTY: Self = Self { words: [0; WORDS] };

    /// Returns CPUs 0 to `count - 1`, at most [`MAX_CORES`] of them.
    pub fn first(count: usize) -> Self {
        (0..count.min(MAX_CORES)).map(|id| CoreId(id as u16)).collect()
    }

    /// Returns the set of one CPU.
    pub fn single(core: CoreId) -> Self {
        std::iter::once(core).collect()
    }

    /// Adds a CPU. Ignores a CPU of [`MAX_CORES`] or higher.
    pub fn insert(&mut self, core: CoreId) {
        if let Some(word) = self.words.get_mut(core.0 as usize / 64) {
            *word |= 1 << (core.0 % 64);
        }
    }

    /// Removes a CPU.
    pub fn remove(&mut self, core: CoreId) {
        if let Some(word) = self.words.get_mut(core.0 as usize / 64) {
            *word &= !(1 << (core.0 % 64));
        }
    }

    /// Returns true if the CPU is in the set.
    pub fn contains(&self, core: CoreId) -> bool {
        self.words.get(core.0 as usize / 64).is_some_and(|word| word & (1 << (core.0 % 64)) != 0)
    }

    /// Returns the number of CPUs in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns true if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Iterates over the CPUs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = CoreId> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    CoreId((index as u32 * 64 + bit) as u16)
                })
            })
        })
    }

    /// Returns the lowest CPU of the set.
    pub fn lowest(&self) -> Option<CoreId> {
        self.iter().next()
    }

    /// Returns the CPUs in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    /// Returns the CPUs in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    /// Returns the CPUs of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    /// Returns true if each CPU of this set is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    /// Returns true if the two sets share no CPU.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other).is_empty()
    }

    fn combine(&self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        let mut words = [0; WORDS];
        for (out, (a, b)) in words.iter_mut().zip(self.words.iter().zip(&other.words)) {
            *out = op(*a, *b);
        }
        Self { words }
    }
}

impl FromIterator<CoreId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CoreId>>(cores: I) -> Self {
        let mut set = Self::EMPTY;
        for core in cores {
            set.insert(core);
        }
        set
    }
}

impl FromStr for CpuSet {
    type Err = CpuListError;

    /// Parses a CPU list. The empty string is the empty set; white space around parts is allowed.
    fn from_str(text: &str) -> Result<Self, CpuListError> {
        let mut set = Self::EMPTY;
        if text.trim().is_empty() {
            return Ok(set);
        }
        for part in text.split(',').map(str::trim) {
            let syntax = || CpuListError::Syntax { part: part.to_owned() };
            let number = |digits: &str| -> Result<u64, CpuListError> {
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(syntax());
                }
                digits.parse().map_err(|_| syntax())
            };
            let (range, step) = match part.split_once(':') {
                Some((range, step)) => (range, Some(number(step)?)),
                None => (part, None),
            };
            let (low, high) = match range.split_once('-') {
                Some((low, high)) => (number(low)?, number(high)?),
                None if step.is_some() => return Err(syntax()),
                None => (number(range)?, number(range)?),
            };
            if step == Some(0) {
                return Err(CpuListError::ZeroStep { part: part.to_owned() });
            }
            if high < low {
                return Err(CpuListError::Backwards { part: part.to_owned() });
            }
            if high >= MAX_CORES as u64 {
                return Err(CpuListError::TooLarge { cpu: high });
            }
            for cpu in (low..=high).step_by(step.unwrap_or(1) as usize) {
                set.insert(CoreId(cpu as u16));
            }
        }
        Ok(set)
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cores = self.iter().peekable();
        let mut first = true;
        while let Some(low) = cores.next() {
            let mut high = low;
            while let Some(next) = cores.next_if(|next| next.0 == high.0 + 1) {
                high = next;
            }
            if !first {
                f.write_str(",")?;
            }
            first = false;
            if low == high {
                write!(f, "{low}")?;
            } else {
                write!(f, "{low}-{high}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuSet({self})")
    }
}

impl Serialize for CpuSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_ranges_with_steps() {
        let set: CpuSet = "0-3, 8,10-15:2".parse().unwrap();
        let ids: Vec<u16> = set.iter().map(|core| core.0).collect();
        assert_eq!(ids, [0, 1, 2, 3, 8, 10, 12, 14]);
        assert_eq!(set.to_string(), "0-3,8,10,12,14");
    }

    #[test]
    fn error_names_the_invalid_part() {
        for (text, want) in [
            ("0-", CpuListError::Syntax { part: "0-".into() }),
            ("a", CpuListError::Syntax { part: "a".into() }),
            ("1,,2", CpuListError::Syntax { part: String::new() }),
            ("-1", CpuListError::Syntax { part: "-1".into() }),
            ("3:2", CpuListError::Syntax { part: "3:2".into() }),
            ("5-2", CpuListError::Backwards { part: "5-2".into() }),
            ("0-4:0", CpuListError::ZeroStep { part: "0-4:0".into() }),
            ("2000", CpuListError::TooLarge { cpu: 2000 }),
        ] {
            assert_eq!(text.parse::<CpuSet>(), Err(want), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_round_trips(ids in prop::collection::vec(0u16..1024, 0..200)) {
            let set: CpuSet = ids.iter().copied().map(CoreId).collect();
            prop_assert_eq!(set.to_string().parse::<CpuSet>().unwrap(), set);
        }

        #[test]
        fn set_operations_match_membership(
            a in prop::collection::btree_set(0u16..256, 0..60),
            b in prop::collection::btree_set(0u16..256, 0..60),
        ) {
            let x: CpuSet = a.iter().copied().map(CoreId).collect();
            let y: CpuSet = b.iter().copied().map(CoreId).collect();
            prop_assert_eq!(x.len(), a.len());
            for id in (0..256).map(CoreId) {
                prop_assert_eq!(x.union(&y).contains(id), x.contains(id) || y.contains(id));
                prop_assert_eq!(x.intersection(&y).contains(id), x.contains(id) && y.contains(id));
                prop_assert_eq!(x.difference(&y).contains(id), x.contains(id) && !y.contains(id));
            }
        }
    }
}
