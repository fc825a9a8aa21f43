//! The client's calls for saved layouts and recordings.

use hyper::Method;

use super::api::{LayoutList, RecordAnswer, RenameBody, SaveBody, StoredLayout};
use super::client::{ClientError, ControlClient, path_part};
use crate::scheduler::{CurrentLayout, SaveReceipt};

impl ControlClient {
    /// Returns the list of saved layouts.
    ///
    /// # Errors
    /// [`ClientError`], as for all calls.
    pub fn layouts(&self) -> Result<LayoutList, ClientError> {
        self.get("/v1/layouts")
    }

    /// Returns a saved layout.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn stored_layout(&self, name: &str) -> Result<StoredLayout, ClientError> {
        self.get(&layout_path(name))
    }

    /// Saves a layout.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn save_layout(&self, name: &str, body: &SaveBody) -> Result<SaveReceipt, ClientError> {
        self.send_body(Method::PUT, &layout_path(name), body)
    }

    /// Renames a saved layout.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn rename_layout(&self, from: &str, to: &str) -> Result<(), ClientError> {
        self.post(&format!("{}/rename", layout_path(from)), &RenameBody { to: to.to_owned() })
    }

    /// Deletes a saved layout.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn delete_layout(&self, name: &str) -> Result<(), ClientError> {
        self.send_body(Method::DELETE, &layout_path(name), &())
    }

    /// Returns the saved layout that the live rows belong to.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn current_layout(&self) -> Result<CurrentLayout, ClientError> {
        self.get("/v1/current")
    }

    /// Records the saved layout that the live rows belong to.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_current_layout(&self, current: &CurrentLayout) -> Result<(), ClientError> {
        self.send_body(Method::PUT, "/v1/current", current)
    }

    /// Starts to record the requests of a model, or stops that.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn toggle_recording(&self, model: &str) -> Result<RecordAnswer, ClientError> {
        self.post(&format!("/v1/record/{}", path_part(model)), &())
    }
}

fn layout_path(name: &str) -> String {
    format!("/v1/layouts/{}", path_part(name))
}
