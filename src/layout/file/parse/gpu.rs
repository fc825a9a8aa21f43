//! The GPU of a row: which one, and what goes with it and what does not.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::DeValue;

use super::super::faults::Fault;
use super::{Reader, Value};
use crate::layout::{Budget, EngineChoice, GpuId, GpuIdError, HIGHEST_GPU};

/// What names a GPU.
const HELP: &str = "write an index like 0, or an identifier (\"GPU-...\" or \"MIG-...\") as \
                    `divvy machine` lists them";

impl Reader<'_> {
    /// Reads `gpu`.
    pub(super) fn gpu(&mut self, value: &Value<'_>) -> Option<GpuId> {
        let DeValue::String(text) = value.get_ref() else {
            if !matches!(value.get_ref(), DeValue::Integer(_)) {
                self.fault(value.span(), format!("`gpu` is {}", super::values::kind(value)), HELP);
                return None;
            }
            let index = self.whole(value, "`gpu`", 0..=i64::from(HIGHEST_GPU), HELP)?;
            return GpuId::from_index(index).ok();
        };
        text.parse()
            .map_err(|error| {
                let message = match error {
                    GpuIdError::Syntax(text) => format!("`{text}` names no GPU"),
                    GpuIdError::Range(_) => format!("`{text}` is no index of a GPU"),
                    GpuIdError::Identifier { text, prefix } => format!(
                        "`{text}` is not a whole identifier: `{prefix}` is followed by hexadecimal \
                         digits in groups of 8, 4, 4, 4 and 12"
                    ),
                };
                self.fault(value.span(), message, HELP);
            })
            .ok()
    }

    /// What cannot be without `gpu`, or not beside it.
    pub(super) fn gpu_alone(&mut self, budget: &Budget, written: &HashMap<String, Range<usize>>) {
        if let (Some(_), Some(limit), None) =
            (budget.gpu_memory, written.get("gpu_memory"), written.get("gpu"))
        {
            let help = "name the GPU, like `gpu = 0`, or take `gpu_memory` away; `memory` is the \
                        limit for the machine's own";
            self.fault(limit.clone(), "`gpu_memory` without `gpu`", help);
        }
        if let (EngineChoice::Rten, Some(gpu)) = (budget.engine, written.get("gpu")) {
            let message = "the engine rten runs on the CPU only, and `gpu` is set";
            let help = "write `engine = \"onnxruntime\"`, or take `gpu` away";
            let fault = Fault::at(self.text, gpu.clone(), message).help(help);
            self.faults.push(match written.get("engine") {
                Some(engine) => fault.also(engine.clone(), "the engine"),
                None => fault,
            });
        }
    }
}
