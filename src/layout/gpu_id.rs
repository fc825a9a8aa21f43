//! Names of GPUs in layouts: the driver's index, or an identifier that stays the same when GPUs are
//! added.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The highest GPU index. NVIDIA's driver attaches at most 64 GPUs.
pub const HIGHEST_INDEX: u32 = 63;

/// One GPU, or one MIG device of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum GpuId {
    /// The driver's index of a GPU, 0 to [`HIGHEST_INDEX`].
    Index(u32),
    /// A GPU's identifier, "GPU-" and a UUID in lower case.
    Uuid(String),
    /// A MIG device's identifier, "MIG-" and a UUID in lower case.
    Mig(String),
}

/// An error in the name of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GpuIdError {
    /// Neither an index nor an identifier.
    #[error(
        "`{0}` is not the name of a GPU: use an index (0), an identifier (\"GPU-...\") or a MIG \
         device (\"MIG-...\"); `divvy machine` lists them"
    )]
    Syntax(String),
    /// An index below 0 or above [`HIGHEST_INDEX`].
    #[error("GPU index {0} is out of range: use 0 to {HIGHEST_INDEX}")]
    Range(i64),
    /// A valid prefix without a valid UUID.
    #[error(
        "`{text}` is not a complete identifier: write `{prefix}` and hexadecimal digits in groups \
         of 8, 4, 4, 4 and 12, separated by hyphens; `divvy machine` lists them"
    )]
    Identifier {
        /// The text as written.
        text: String,
        /// "GPU-" or "MIG-".
        prefix: &'static str,
    },
}

impl GpuId {
    /// Converts a number, as in `gpu = 0`.
    ///
    /// # Errors
    /// [`GpuIdError::Range`] outside 0 to [`HIGHEST_INDEX`].
    pub fn from_index(index: i64) -> Result<Self, GpuIdError> {
        u32::try_from(index)
            .ok()
            .filter(|index| *index <= HIGHEST_INDEX)
            .map(Self::Index)
            .ok_or(GpuIdError::Range(index))
    }

    /// Returns the short name for messages and the screen: "GPU 0", or the first digits of an
    /// identifier, which suffice for the few GPUs of a machine.
    pub fn title(&self) -> String {
        match self {
            Self::Index(index) => format!("GPU {index}"),
            Self::Uuid(uuid) | Self::Mig(uuid) => uuid.chars().take("GPU-".len() + 8).collect(),
        }
    }
}

impl FromStr for GpuId {
    type Err = GpuIdError;

    /// Parses "0", "GPU-..." or "MIG-...". The digits of an identifier may be in upper or lower case;
    /// the prefix is in upper case, as the driver writes it.
    fn from_str(text: &str) -> Result<Self, GpuIdError> {
        let identifier = |prefix: &'static str, kind: fn(String) -> Self| {
            let digits = text.strip_prefix(prefix)?;
            Some(if is_uuid(digits) {
                Ok(kind(format!("{prefix}{}", digits.to_ascii_lowercase())))
            } else {
                Err(GpuIdError::Identifier { text: text.to_owned(), prefix })
            })
        };
        if let Some(named) =
            identifier("GPU-", Self::Uuid).or_else(|| identifier("MIG-", Self::Mig))
        {
            return named;
        }
        let number = text.strip_prefix('-').unwrap_or(text);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(GpuIdError::Syntax(text.to_owned()));
        }
        // a number fails to parse only if it is too large
        let out_of_range = if text.starts_with('-') { i64::MIN } else { i64::MAX };
        Self::from_index(text.parse().unwrap_or(out_of_range))
    }
}

impl TryFrom<String> for GpuId {
    type Error = GpuIdError;

    fn try_from(text: String) -> Result<Self, GpuIdError> {
        text.parse()
    }
}

impl From<GpuId> for String {
    fn from(id: GpuId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for GpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Uuid(uuid) | Self::Mig(uuid) => uuid.fmt(f),
        }
    }
}

/// Returns true for a UUID in its usual form (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "3f2a0b1c-0123-4567-89ab-cdef01234567";

    #[test]
    fn parses_index_gpu_or_mig_device() {
        assert_eq!("0".parse(), Ok(GpuId::Index(0)));
        assert_eq!("63".parse(), Ok(GpuId::Index(63)));
        let gpu = format!("GPU-{UUID}");
        assert_eq!(gpu.parse(), Ok(GpuId::Uuid(gpu.clone())));
        let part = format!("MIG-{UUID}");
        assert_eq!(part.parse(), Ok(GpuId::Mig(part.clone())));
        let shouted = format!("GPU-{}", UUID.to_uppercase());
        assert_eq!(shouted.parse(), Ok(GpuId::Uuid(gpu)), "digits may be in upper case");
    }

    #[test]
    fn rejects_text_that_names_no_gpu() {
        for text in ["", "-", "cuda", "0x1", "1.5", "+1", "gpu-1", "0 ", "GPU", "all"] {
            let error = text.parse::<GpuId>().unwrap_err();
            assert_eq!(error, GpuIdError::Syntax(text.to_owned()));
        }
        for text in ["GPU-nonsense", "GPU-", "MIG-1", &format!("GPU-{UUID}0"), "MIG-GPU-1/2/3"] {
            let error = text.parse::<GpuId>().unwrap_err();
            assert!(matches!(error, GpuIdError::Identifier { .. }), "{text}: {error}");
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn index_has_a_range() {
        for (text, number) in [("-1", -1), ("64", 64), ("99999999999999999999", i64::MAX)] {
            assert_eq!(text.parse::<GpuId>(), Err(GpuIdError::Range(number)));
        }
        assert_eq!(GpuId::from_index(-1), Err(GpuIdError::Range(-1)));
        assert_eq!(GpuId::from_index(3), Ok(GpuId::Index(3)));
    }

    proptest! {
        #[test]
        fn formatting_then_parsing_is_identity(index in 0u32..=HIGHEST_INDEX, digits in "[0-9a-f]{32}") {
            let uuid = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]).join("-");
            for id in [
                GpuId::Index(index),
                GpuId::Uuid(format!("GPU-{uuid}")),
                GpuId::Mig(format!("MIG-{uuid}")),
            ] {
                prop_assert_eq!(id.to_string().parse(), Ok(id.clone()));
                let json = serde_json::to_string(&id).unwrap();
                prop_assert_eq!(serde_json::from_str::<GpuId>(&json).unwrap(), id);
            }
        }
    }
}
