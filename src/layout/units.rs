//! Sizes and times with their units, as layout files have them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A size in bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// An error in a value with a unit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Not a number followed by a unit.
    #[error("`{text}` is not {wanted}")]
    Syntax {
        /// The text as written.
        text: String,
        /// The expected form, with an example.
        wanted: &'static str,
    },
    /// A number without a unit.
    #[error("`{text}` has no unit: use {wanted}")]
    MissingUnit {
        /// The text as written.
        text: String,
        /// The valid units.
        wanted: &'static str,
    },
    /// A number with an unknown unit.
    #[error("unknown unit `{unit}`: use {wanted}")]
    Unit {
        /// The unit as written.
        unit: String,
        /// The valid units.
        wanted: &'static str,
    },
    /// A number out of range.
    #[error("`{text}` is out of range: use {range}")]
    Range {
        /// The text as written.
        text: String,
        /// The range.
        range: &'static str,
    },
}

impl UnitError {
    /// Returns the error of a text whose unit is not one of the valid ones.
    fn unit(text: &str, unit: &str, wanted: &'static str) -> Self {
        if unit.is_empty() {
            Self::MissingUnit { text: text.to_owned(), wanted }
        } else {
            Self::Unit { unit: unit.to_owned(), wanted }
        }
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at =
        text.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

impl FromStr for Bytes {
    type Err = UnitError;

    /// Parses "512MiB", "1.5 GiB" and "4096B". Decimal units are not accepted, since they are easily
    /// confused with binary ones.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text);
        let value: f64 = number.parse().map_err(|_| UnitError::Syntax {
            text: text.to_owned(),
            wanted: "a size like \"512MiB\"",
        })?;
        let scale = match unit {
            "B" => 1.0,
            "KiB" => 1024.0,
            "MiB" => 1024.0 * 1024.0,
            "GiB" => 1024.0 * 1024.0 * 1024.0,
            "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            other => return Err(UnitError::unit(text, other, "B, KiB, MiB, GiB or TiB")),
        };
        let bytes = value * scale;
        if !(bytes >= 1.0 && bytes <= 2f64.powi(50)) {
            return Err(UnitError::Range { text: text.to_owned(), range: "1 B to 1024 TiB" });
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Bytes {
    /// Formats the size in the largest unit that is exact, so that it parses back to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl Bytes {
    /// Formats the size with one decimal, in the largest unit that gives 1 or more: "84.0 MiB".
    pub fn rounded(self) -> String {
        let mut value = self.0 as f64;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            // 1023.95 and more would be rounded to 1024.0
            if value < 1023.95 {
                return format!("{value:.*} {unit}", usize::from(unit != "B"));
            }
            value /= 1024.0;
        }
        format!("{value:.1} TiB")
    }
}

/// Parses "500ms", "2s", "250us", "1m" or "1.5s".
///
/// # Errors
/// [`UnitError`] for anything else, also for zero and for more than a day.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text);
    let value: f64 = number.parse().map_err(|_| UnitError::Syntax {
        text: text.to_owned(),
        wanted: "a time like \"500ms\"",
    })?;
    let scale = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        other => return Err(UnitError::unit(text, other, "us, ms, s, m or h")),
    };
    let seconds = value * scale;
    if !(1e-6..=86_400.0).contains(&seconds) {
        return Err(UnitError::Range { text: text.to_owned(), range: "1us to 24h" });
    }
    Ok(Duration::from_nanos((seconds * 1e9).round() as u64))
}

/// Formats a time in the largest unit that is exact, so that [`parse_duration`] returns the same value.
pub fn print_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    for (unit, scale) in [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)] {
        if micros != 0 && micros.is_multiple_of(scale) {
            return format!("{}{unit}", micros / scale);
        }
    }
    format!("{micros}us")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn missing_unit_is_named() {
        let time = parse_duration("0").unwrap_err().to_string();
        assert_eq!(time, "`0` has no unit: use us, ms, s, m or h");
        let size = "512".parse::<Bytes>().unwrap_err().to_string();
        assert_eq!(size, "`512` has no unit: use B, KiB, MiB, GiB or TiB");
    }

    #[test]
    fn rounded_sizes_have_one_decimal() {
        let rounded = |bytes| Bytes(bytes).rounded();
        assert_eq!(rounded(0), "0 B");
        assert_eq!(rounded(1023), "1023 B");
        assert_eq!(rounded(1536), "1.5 KiB");
        assert_eq!(rounded((1 << 30) - 1), "1.0 GiB");
        assert_eq!(rounded(3 << 40), "3.0 TiB");
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!("512MiB".parse(), Ok(Bytes(512 << 20)));
        assert_eq!("1.5 GiB".parse(), Ok(Bytes(3 << 29)));
        for bad in ["512", "512MB", "-1MiB", "MiB", "", "0B", "1e9GiB", "NaNMiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["500", "0ms", "-3s", "5 parsecs", "25h", ""] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn formatting_then_parsing_is_identity(bytes in 1u64..1 << 50, micros in 1u64..86_400_000_000) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
            let time = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&print_duration(time)), Ok(time));
        }
    }
}
