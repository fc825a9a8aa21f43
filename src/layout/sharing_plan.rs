//! A plan's consequences for rows that share one loaded model.

use serde::{Deserialize, Serialize};

use super::units::Bytes;

/// Rows named in a message before it says "and 3 more".
const NAMED: usize = 3;

/// A loaded model whose rows a change alters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SharingPlan {
    /// The model's file, without its folder.
    pub file: String,
    /// The rows that use it after the change, in layout order.
    pub charges: Vec<ChargePlan>,
}

/// One row's part of a loaded model before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChargePlan {
    /// The row.
    pub model: String,
    /// Bytes before; `None` for a row that did not use the model.
    pub before_bytes: Option<u64>,
    /// Bytes after.
    pub after_bytes: u64,
}

impl SharingPlan {
    /// Returns a sentence such as "a.onnx is shared by 3 rows: detector 84.0 MiB -> 56.0 MiB".
    pub fn description(&self) -> String {
        let size = |bytes| Bytes(bytes).rounded();
        let charge = |charge: &ChargePlan| match charge.before_bytes {
            Some(before) => {
                format!("{} {} -> {}", charge.model, size(before), size(charge.after_bytes))
            }
            None => format!("{} {}", charge.model, size(charge.after_bytes)),
        };
        let mut named: Vec<String> = self.charges.iter().take(NAMED).map(charge).collect();
        let more = self.charges.len().saturating_sub(NAMED);
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        let shared = match self.charges.len() {
            1 => "is no longer shared".to_owned(),
            rows => format!("is shared by {rows} rows"),
        };
        format!("{} {shared}: {}", self.file, named.join(", "))
    }
}
