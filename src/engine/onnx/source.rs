//! Opens and reads model files: regular files, and the models that are part of the executable.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::engine::{EngineError, embedded};
use crate::layout::ModelSource;

/// The path or name of a model, as messages print it.
pub(crate) fn title(source: &ModelSource) -> String {
    match source {
        ModelSource::File(path) => path.display().to_string(),
        ModelSource::Embedded(name) => format!("{name} (embedded)"),
    }
}

/// The bytes of a model's file.
///
/// # Errors
/// [`EngineError::Read`] when it is missing, a folder, or cannot be read.
pub fn model_bytes(source: &ModelSource) -> Result<Cow<'static, [u8]>, EngineError> {
    let read = |reason: String| EngineError::Read { path: title(source), reason };
    match source {
        ModelSource::Embedded(name) => embedded::bytes(name).map(Cow::Borrowed).ok_or_else(|| {
            read(format!("there is no embedded model of that name, only {}", embedded::names()))
        }),
        ModelSource::File(path) => {
            let (mut file, size) = open_model(path)?;
            let mut bytes = Vec::with_capacity(size as usize);
            file.read_to_end(&mut bytes).map_err(|error| read(system_words(&error)))?;
            Ok(Cow::Owned(bytes))
        }
    }
}

/// Opens a model's file. Returns it with its size in bytes. Never waits: a pipe or a device is
/// refused without opening it.
pub(super) fn open_model(path: &Path) -> Result<(File, u64), EngineError> {
    let read = |reason: String| EngineError::Read { path: path.display().to_string(), reason };
    let about = std::fs::metadata(path).map_err(|error| read(system_words(&error)))?;
    if about.is_dir() {
        return Err(read("it is a folder; name the .onnx file in it".to_owned()));
    }
    if !about.is_file() {
        return Err(read("it is not a regular file".to_owned()));
    }
    let file = File::open(path).map_err(|error| read(system_words(&error)))?;
    Ok((file, about.len()))
}

fn system_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "this user may not read it (permission denied)".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Checks the first bytes of a file for what users take for a model by mistake.
pub(super) fn check_beginning(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err("it is a Git LFS pointer; fetch the file itself (git lfs pull)".to_owned());
    }
    Ok(())
}
