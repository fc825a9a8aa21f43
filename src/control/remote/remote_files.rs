//! The files of a run in another process: its saved layouts, models, log and recordings.

use super::remote_control::{RemoteControl, refusal};
use crate::control::api::{ErrorDetail, SaveBody};
use crate::control::client::ClientError;
use crate::engine::onnx::ModelFile;
use crate::layout::{Layout, Refusal};
use crate::scheduler::{
    CurrentLayout, LayoutRevision, LayoutStore, LayoutStoreError, ModelInspection, Profile,
    RequestRecordings, RunLog, SaveCondition, SaveReceipt, SavedLayout,
};
use crate::telemetry::LogLine;

impl LayoutStore for RemoteControl {
    fn list(&self) -> Result<Vec<Profile>, LayoutStoreError> {
        self.client().layouts().map(|list| list.layouts).map_err(store_error)
    }

    fn read(&self, name: &str) -> Result<SavedLayout, LayoutStoreError> {
        self.client().stored_layout(name).map(SavedLayout::from).map_err(store_error)
    }

    fn save(
        &self,
        name: &str,
        layout: &Layout,
        condition: &SaveCondition,
    ) -> Result<SaveReceipt, LayoutStoreError> {
        let body = SaveBody { layout: layout.clone(), condition: condition.clone() };
        self.client().save_layout(name, &body).map_err(store_error)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LayoutStoreError> {
        self.client().rename_layout(from, to).map_err(store_error)
    }

    fn delete(&self, name: &str) -> Result<(), LayoutStoreError> {
        self.client().delete_layout(name).map_err(store_error)
    }

    fn set_current(&self, name: Option<&str>, revision: Option<LayoutRevision>) {
        let current = CurrentLayout { name: name.map(str::to_owned), revision };
        if let Err(error) = self.client().set_current_layout(&current) {
            tracing::warn!("the run does not know which layout is live: {error}");
        }
    }

    fn current(&self) -> Option<CurrentLayout> {
        self.client().current_layout().ok()
    }
}

fn store_error(error: ClientError) -> LayoutStoreError {
    match error {
        ClientError::Refused(ErrorDetail { layout: Some(error), .. }) => error,
        other => LayoutStoreError::Io(other.to_string()),
    }
}

impl ModelInspection for RemoteControl {
    fn inspect(&self, model: &str) -> Result<ModelFile, Refusal> {
        self.client().inspect(model).map_err(|error| refusal(&self.info().name, error))
    }
}

impl RunLog for RemoteControl {
    fn lines_after(&self, number: u64) -> Vec<LogLine> {
        self.client().log(number).map(|log| log.lines).unwrap_or_default()
    }
}

impl RequestRecordings for RemoteControl {
    fn toggle(&self, model: &str) -> Result<String, String> {
        let answer = self.client().toggle_recording(model).map_err(|error| error.to_string())?;
        Ok(answer.message)
    }
}
