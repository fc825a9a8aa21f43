//! The GPU keys of a row.

use toml::de::DeValue;

use super::reader::{Reader, TomlValue};
use super::spans::RowSpans;
use crate::layout::file::faults::Fault;
use crate::layout::{Budget, EngineChoice, GpuId, GpuIdError, HIGHEST_GPU};

/// The advice for a wrong GPU name.
const HELP: &str = "write an index like 0, or an identifier (\"GPU-...\" or \"MIG-...\") as \
                    `divvy machine` lists them";

/// Reads `gpu`.
pub(super) fn gpu(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<GpuId> {
    let DeValue::String(text) = value.get_ref() else {
        if !matches!(value.get_ref(), DeValue::Integer(_)) {
            reader.fault(value.span(), format!("`gpu` is {}", super::values::kind(value)), HELP);
            return None;
        }
        let index = reader.whole(value, "`gpu`", 0..=i64::from(HIGHEST_GPU), HELP)?;
        return GpuId::from_index(index).ok();
    };
    text.parse()
        .map_err(|error| {
            let message = match error {
                GpuIdError::Syntax(text) => format!("`{text}` is not the name of a GPU"),
                GpuIdError::Range(_) => {
                    format!("the GPU index `{text}` is out of range: use 0 to {HIGHEST_GPU}")
                }
                GpuIdError::Identifier { text, prefix } => format!(
                    "`{text}` is not a complete identifier: write `{prefix}` and hexadecimal \
                     digits in groups of 8, 4, 4, 4 and 12"
                ),
            };
            reader.fault(value.span(), message, HELP);
        })
        .ok()
}

/// Checks the keys that need `gpu`, or that exclude it.
pub(super) fn check_gpu_keys(reader: &mut Reader<'_>, budget: &Budget, spans: &RowSpans) {
    if let (Some(_), Some(limit), None) =
        (budget.gpu_memory, spans.written("gpu_memory"), spans.written("gpu"))
    {
        let help = "add a GPU, like `gpu = 0`, or remove `gpu_memory`; `memory` limits the main \
                    memory";
        reader.fault(limit.clone(), "`gpu_memory` without `gpu`", help);
    }
    if let (EngineChoice::Rten, Some(gpu)) = (budget.engine, spans.written("gpu")) {
        let message = "the engine rten runs on the CPU only, but `gpu` is set";
        let help = "write `engine = \"onnxruntime\"`, or remove `gpu`";
        let fault = Fault::at(reader.text, gpu.clone(), message).help(help);
        reader.faults.push(match spans.written("engine") {
            Some(engine) => fault.also(engine.clone(), "the engine"),
            None => fault,
        });
    }
}
