//! The files of a model: its own, and those beside it that hold its weights.

use std::path::{Path, PathBuf};

use super::file_identity::FileIdentity;
use crate::engine::onnx::weight_files;

/// The files of a model as they were when it was loaded.
#[derive(Debug)]
pub(super) struct ModelFiles {
    path: PathBuf,
    model: Option<FileIdentity>,
    weights: Vec<(PathBuf, Option<FileIdentity>)>,
}

impl ModelFiles {
    /// Takes note of the files of a model.
    pub(super) fn read(path: &Path) -> Self {
        let model = FileIdentity::read(path);
        // the model of a file that cannot be read has failed, and says why
        let files = weight_files(path).unwrap_or_default();
        let weights = files.into_iter().map(|file| (file.clone(), FileIdentity::read(&file)));
        Self { path: path.to_owned(), model, weights: weights.collect() }
    }

    /// Returns true if a file is another one by now. While one is missing, the model that was loaded from it
    /// serves.
    pub(super) fn are_replaced(&self) -> bool {
        let Some(model) = FileIdentity::read(&self.path) else { return false };
        if self.model != Some(model) {
            return true;
        }
        let now: Option<Vec<FileIdentity>> =
            self.weights.iter().map(|(path, _)| FileIdentity::read(path)).collect();
        let before = self.weights.iter().map(|(_, identity)| *identity);
        now.is_some_and(|now| !now.into_iter().map(Some).eq(before))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prost::Message;

    use super::*;
    use crate::engine::onnx::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};

    #[test]
    fn replaced_weights_count() {
        let folder = tempfile::tempdir().unwrap();
        let entry =
            StringStringEntryProto { key: "location".to_owned(), value: "weights.data".to_owned() };
        let tensor = TensorProto { external_data: vec![entry], ..TensorProto::default() };
        let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
        let model = ModelProto { graph: Some(graph), ..ModelProto::default() };
        let path = folder.path().join("model.onnx");
        let weights = folder.path().join("weights.data");
        fs::write(&path, model.encode_to_vec()).unwrap();
        fs::write(&weights, "1").unwrap();
        let files = ModelFiles::read(&path);
        assert!(!files.are_replaced());
        fs::rename(&weights, folder.path().join("old")).unwrap();
        assert!(!files.are_replaced(), "one is missing");
        fs::write(&weights, "2").unwrap();
        assert!(files.are_replaced());
        fs::remove_file(&path).unwrap();
        assert!(!files.are_replaced(), "the model is missing");
    }
}
