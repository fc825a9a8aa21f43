//! The NVIDIA GPUs of the machine, by way of the driver's library: the one place that opens it.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::{Deserialize, Serialize};

/// The cards by name, or why there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpus {
    /// Product names in the driver's order.
    pub names: Vec<String>,
    /// Why there is no card, in a sentence.
    pub note: Option<String>,
}

/// Asks the driver for its cards. Takes milliseconds where a driver is loaded.
pub fn gpus() -> Gpus {
    match names() {
        Ok(names) if names.is_empty() => {
            Gpus { names, note: Some("no NVIDIA GPU (the driver lists none)".to_owned()) }
        }
        Ok(names) => Gpus { names, note: None },
        Err(error) => {
            let reason = match error {
                NvmlError::LibloadingError(_) => "no driver library, libnvidia-ml".to_owned(),
                other => other.to_string(),
            };
            Gpus { names: Vec::new(), note: Some(format!("no NVIDIA GPU ({reason})")) }
        }
    }
}

fn names() -> Result<Vec<String>, NvmlError> {
    let nvml = Nvml::init()?;
    (0..nvml.device_count()?).map(|index| nvml.device_by_index(index)?.name()).collect()
}
