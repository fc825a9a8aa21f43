//! Interfaces beside [`super::Control`]: the files of the models, the log, and recordings of requests.

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

/// Records the live requests of models for a replay.
pub trait RequestRecordings: Send + Sync {
    /// Starts to record the requests of a model, or stops the recording that runs and waits for its file.
    /// Returns a message that names the file.
    ///
    /// # Errors
    /// The reason if there is no such model, or the file cannot be written.
    fn toggle(&self, model: &str) -> Result<String, String>;
}

impl RunLog for LogLines {
    fn lines_after(&self, number: u64) -> Vec<LogLine> {
        self.after(number)
    }
}
