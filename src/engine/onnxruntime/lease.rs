//! Leases of the sessions for one CPU thread, which rows of the same file share.

use std::path::Path;
use std::sync::Arc;

use super::library::Library;
use super::session::OrtSession;
use crate::engine::onnx::ModelFile;
use crate::engine::shared::{LoadedFiles, ModelLease, SharedModels};
use crate::engine::{EngineError, InstanceSetup};
use crate::layout::ModelSource;

/// The setup of the session that instances of one thread share.
pub(super) const SINGLE_THREAD: InstanceSetup = InstanceSetup::cpu(1);

/// One row's use of the session for one CPU thread, which rows of the same file share.
pub(super) type NarrowLease = ModelLease<Arc<OrtSession>>;

/// Returns a lease of the session for one CPU thread; builds it if no row has it.
pub(super) fn join_narrow(
    library: &Arc<Library>,
    models: &SharedModels<Arc<OrtSession>>,
    source: &ModelSource,
) -> Result<NarrowLease, EngineError> {
    models.get_or_load(source, || {
        let file = Arc::new(ModelFile::read(source)?);
        let value = OrtSession::build(library, source, &file, SINGLE_THREAD)?;
        let files = match source {
            ModelSource::Embedded(_) => Vec::new(),
            ModelSource::File(path) => {
                let folder = path.parent().unwrap_or_else(|| Path::new("."));
                file.external_files.iter().map(|name| folder.join(name)).collect()
            }
        };
        Ok(LoadedFiles { value, files })
    })
}
