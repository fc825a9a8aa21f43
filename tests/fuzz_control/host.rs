//! A control socket over the fake scheduler.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use divvy::control::{
    Access, ControlHost, ControlListener, ControlServer, ControlSocket, NameChoice, RunIdentity,
};
use divvy::engine::onnx::ModelFile;
use divvy::layout::Refusal;
use divvy::scheduler::{ModelInspection, RequestRecordings};
use divvy::telemetry::{LogLevel, LogLines};

use crate::fake_control::FakeControl;
use crate::one_layout::OneLayout;

/// The host of all cases.
pub(crate) struct FuzzHost {
    pub control: Arc<FakeControl>,
    socket: PathBuf,
    _server: ControlServer,
    _folder: tempfile::TempDir,
}

impl FuzzHost {
    pub(crate) fn start() -> Self {
        let control = Arc::new(FakeControl::new());
        let log = LogLines::default();
        log.push(0, LogLevel::Info, "test", "one line");
        let folder = tempfile::tempdir().unwrap();
        let name = "fuzz".parse().unwrap();
        let socket = ControlSocket::bind(Some(folder.path()), &NameChoice::Exactly(name)).unwrap();
        let path = socket.path().to_owned();
        let host = ControlHost {
            control: control.clone(),
            inspection: Arc::new(NoFiles),
            layouts: Some(Arc::new(OneLayout::default())),
            recordings: Some(Arc::new(NoRecordings)),
            log: Arc::new(log),
            machine: control.machine().clone(),
            run: RunIdentity { name: "fuzz".to_owned(), ..RunIdentity::default() },
            reload: Box::new(|| Ok(divvy::control::api::ReloadAnswer::default())),
            stop: Box::new(|| {}),
        };
        let listeners = vec![ControlListener::Socket(socket, Access::SameUser)];
        let server = ControlServer::start(host, listeners).unwrap();
        Self { control, socket: path, _server: server, _folder: folder }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Models without files.
struct NoFiles;

impl ModelInspection for NoFiles {
    fn inspect(&self, model: &str) -> Result<ModelFile, Refusal> {
        Err(Refusal::row(model, "it has no file here"))
    }
}

/// Recordings that only say what they would do.
struct NoRecordings;

impl RequestRecordings for NoRecordings {
    fn toggle(&self, model: &str) -> Result<String, String> {
        Ok(format!("recording requests of {model}"))
    }
}
