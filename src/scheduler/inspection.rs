//! Interfaces beside [`super::Control`]: the files of the models, and the log.

use crate::engine::onnx::ModelFile;
use crate::layout::Refusal;
use crate::telemetry::{LogLine, LogLines};

/// Reads the files of the models.
pub trait ModelInspection: Send + Sync {
    /// Reads the file of a model: its inputs and outputs, its weights, its operators. Reads the disk,
    /// so never call it on a drawing thread.
    ///
    /// # Errors
    /// [`Refusal`] if there is no model of this name, or its file cannot be read.
    fn inspect(&self, model: &str) -> Result<ModelFile, Refusal>;
}

/// Reads the newest lines of the log.
pub trait RunLog: Send + Sync {
    /// Returns the lines with a higher number that are still in memory, oldest first.
    fn lines_after(&self, number: u64) -> Vec<LogLine>;
}

impl RunLog for LogLines {
    fn lines_after(&self, number: u64) -> Vec<LogLine> {
        self.after(number)
    }
}
