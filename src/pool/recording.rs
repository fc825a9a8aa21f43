//! Recordings of a model's live requests, as files for a replay.
//!
//! A recording takes the first requests that arrive, not a sample of all: their arrival times then follow
//! each other as they did. A thread of ordinary class copies the inputs and writes the file at the end.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use thiserror::Error;

use super::inner::Inner;
use super::memory::tensor_bytes;
use crate::engine::npy::{Recording, encode_requests};
use crate::engine::{NamedTensor, Signature};
use crate::layout::{Bytes, counted};
use crate::machine::create_file;

/// The most bytes of tensors in one recording.
pub const MAX_RECORDED_BYTES: u64 = 256 << 20;

/// Requests on their way to the thread of a recording. Further ones are left out.
const MAX_UNCOPIED: usize = 16;

/// The file and the limit of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingOptions {
    /// The `.npz` file, which must not exist yet.
    pub file: PathBuf,
    /// The number of requests after which the recording ends, 1 or more.
    pub requests: usize,
}

/// The content of a finished recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingReport {
    /// The file.
    pub file: PathBuf,
    /// Requests in the file.
    pub requests: usize,
    /// The number of different shapes that the requests have.
    pub shapes: usize,
}

/// The reason why requests are not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordingError {
    /// Requests of the model are being recorded already.
    #[error("the requests of this model are being recorded already: stop that recording first")]
    AlreadyRecording,
    /// The file cannot be written.
    #[error("cannot write {}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The reason, and what to do.
        reason: String,
    },
    /// No request came.
    #[error("no request came, so {} was not written", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

impl RecordingError {
    fn file(file: &Path, reason: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), reason: reason.into() }
    }
}

/// The result of a recording.
type RecordingResult = Result<RecordingReport, RecordingError>;

/// Checks that the file of a recording can be created.
///
/// # Errors
/// [`RecordingError::File`] if it exists, or its folder does not or cannot be written to.
pub fn check_recording_file(file: &Path) -> Result<(), RecordingError> {
    if file.exists() {
        let reason = "it exists already; remove it, or name another file";
        return Err(RecordingError::file(file, reason));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if file.file_name().is_none() || !folder.is_dir() {
        let reason = format!("there is no folder {}", folder.display());
        return Err(RecordingError::file(file, reason));
    }
    let tried = tempfile::tempfile_in(folder);
    tried.map(drop).map_err(|error| RecordingError::file(file, error.to_string()))
}

/// A request on its way to a recording.
struct LiveRequest {
    inputs: Arc<Vec<NamedTensor>>,
    arrival: Instant,
}

/// The way of requests to the thread of a recording. The taps of the model's pools hold it: the recording ends
/// when the last of them has dropped it.
struct RecordingInlet {
    /// `None` once the recording takes no more requests.
    sender: RwLock<Option<SyncSender<LiveRequest>>>,
}

impl RecordingInlet {
    /// Ends the recording, which then writes its file.
    fn end(&self) {
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn has_ended(&self) -> bool {
        self.sender.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Passes a request on. Never waits. Returns false if the recording has ended.
    fn pass(&self, inputs: &Arc<Vec<NamedTensor>>, arrival: Instant) -> bool {
        let Ok(sender) = self.sender.try_read() else { return true };
        let Some(sender) = &*sender else { return false };
        let request = LiveRequest { inputs: inputs.clone(), arrival };
        // One that cannot be passed on is left out: the recording is slower, or has just ended.
        drop(sender.try_send(request));
        true
    }
}

/// The place where a pool's requests are taken for a recording.
#[derive(Default)]
pub(super) struct RequestTap {
    /// Read for each request of a caller.
    is_open: AtomicBool,
    inlet: RwLock<Option<Arc<RecordingInlet>>>,
}

impl RequestTap {
    /// Passes an admitted request on to the recording, if there is one. Never waits.
    pub(super) fn pass(&self, inputs: &Arc<Vec<NamedTensor>>, arrival: Instant) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let Ok(inlet) = self.inlet.try_read() else { return };
        let is_running = inlet.as_ref().is_some_and(|inlet| inlet.pass(inputs, arrival));
        if !is_running {
            // The lock keeps a new recording from opening it meanwhile.
            self.is_open.store(false, Ordering::Relaxed);
        }
    }

    /// Leads requests to a recording.
    fn open(&self, inlet: Arc<RecordingInlet>) -> Result<(), RecordingError> {
        let mut present = self.inlet.write().unwrap_or_else(PoisonError::into_inner);
        if present.as_ref().is_some_and(|present| !present.has_ended()) {
            return Err(RecordingError::AlreadyRecording);
        }
        *present = Some(inlet);
        self.is_open.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Leads requests to the recording of another tap too, if there is one.
    pub(super) fn join(&self, other: &Self) {
        let inlet = other.inlet.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(inlet) = inlet.filter(|inlet| !inlet.has_ended()) {
            // A recording of a pool that no client has reached yet stays.
            let _ = self.open(inlet);
        }
    }

    /// Leaves the recording, which ends with its last tap.
    pub(super) fn close(&self) {
        let mut present = self.inlet.write().unwrap_or_else(PoisonError::into_inner);
        *present = None;
        self.is_open.store(false, Ordering::Relaxed);
    }
}

/// A running recording. It ends with its last request, when the model is removed or replaced by one with other
/// inputs, or when it is stopped or dropped; then the file is written.
pub struct RunningRecording {
    inlet: Weak<RecordingInlet>,
    thread: Option<JoinHandle<RecordingResult>>,
}

impl RunningRecording {
    /// Starts to record the requests of a pool's callers.
    pub(super) fn start(inner: &Inner, options: RecordingOptions) -> Result<Self, RecordingError> {
        check_recording_file(&options.file)?;
        let (sender, requests) = sync_channel(MAX_UNCOPIED);
        let inlet = Arc::new(RecordingInlet { sender: RwLock::new(Some(sender)) });
        let weak = Arc::downgrade(&inlet);
        inner.tap.open(inlet)?;
        let file = options.file.clone();
        let mut running = Self { inlet: weak.clone(), thread: None };
        let body = move || {
            let taken = take_requests(&requests, &options);
            if let Some(inlet) = weak.upgrade() {
                inlet.end();
            }
            drop(requests);
            let result = taken.write(options.file);
            match &result {
                Ok(report) => tracing::info!("{report}"),
                Err(error) => tracing::error!("{error}"),
            }
            result
        };
        // without a thread, the drop of `running` ends the recording
        let thread = std::thread::Builder::new().name("divvy-record".to_owned()).spawn(body);
        running.thread = Some(thread.map_err(|error| {
            RecordingError::file(&file, format!("cannot start a thread: {error}"))
        })?);
        Ok(running)
    }

    /// Returns true if the file is written or has failed.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn close(&self) {
        if let Some(inlet) = self.inlet.upgrade() {
            inlet.end();
        }
    }

    /// Ends the recording and waits until its file is written.
    ///
    /// # Errors
    /// [`RecordingError`] if the file could not be written, for example because the disk is full.
    pub fn stop(mut self) -> Result<RecordingReport, RecordingError> {
        self.close();
        let thread = self.thread.take().map(JoinHandle::join);
        // A thread that has panicked has printed why.
        let failed = || Err(RecordingError::file(Path::new("the recording"), "its thread failed"));
        thread.and_then(Result::ok).unwrap_or_else(failed)
    }
}

impl Drop for RunningRecording {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Display for RecordingReport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let requests = counted(self.requests, "request");
        let file = self.file.display();
        match self.shapes {
            1 => write!(formatter, "{requests} recorded in {file}"),
            shapes => write!(formatter, "{requests} of {shapes} shapes recorded in {file}"),
        }
    }
}

/// The requests of a recording, with their arrivals.
#[derive(Default)]
struct TakenRequests(Vec<(Instant, Vec<NamedTensor>)>);

/// Copies requests until the recording ends.
fn take_requests(requests: &Receiver<LiveRequest>, options: &RecordingOptions) -> TakenRequests {
    let mut copies = Vec::new();
    let mut bytes = 0;
    while copies.len() < options.requests
        && let Ok(LiveRequest { inputs, arrival }) = requests.recv()
    {
        bytes += tensor_bytes(&inputs);
        if bytes > MAX_RECORDED_BYTES {
            let (file, limit) = (options.file.display(), Bytes(MAX_RECORDED_BYTES));
            tracing::warn!("{file}: the recording ends early, at {limit}");
            break;
        }
        copies.push((arrival, inputs.as_ref().clone()));
    }
    TakenRequests(copies)
}

impl TakenRequests {
    fn write(self, file: PathBuf) -> RecordingResult {
        let Self(mut copies) = self;
        // Callers that submit at the same time come in any order.
        copies.sort_by_key(|(arrival, _)| *arrival);
        let Some(first) = copies.first().map(|(arrival, _)| *arrival) else {
            return Err(RecordingError::Empty { file });
        };
        let arrivals =
            copies.iter().map(|(arrival, _)| arrival.saturating_duration_since(first)).collect();
        let requests: Vec<Vec<NamedTensor>> =
            copies.into_iter().map(|(_, inputs)| inputs).collect();
        let shapes = count_shapes(&requests);
        let recording = Recording { requests, arrivals: Some(arrivals) };
        let encoded = encode_requests(&recording);
        let encoded = encoded.map_err(|reason| RecordingError::file(&file, reason))?;
        create_file(&file, &encoded)
            .map_err(|error| RecordingError::file(&file, error.to_string()))?;
        Ok(RecordingReport { requests: recording.requests.len(), file, shapes })
    }
}

/// Returns the number of different shapes of requests.
fn count_shapes(requests: &[Vec<NamedTensor>]) -> usize {
    let shapes = |request: &'_ Vec<NamedTensor>| {
        request.iter().map(|input| input.tensor.shape().to_vec()).collect::<Vec<_>>()
    };
    requests.iter().map(shapes).collect::<HashSet<_>>().len()
}

/// Returns true if requests of one model fit the other.
pub(super) fn have_same_inputs(a: &Signature, b: &Signature) -> bool {
    let inputs = |signature: &Signature| {
        let inputs = signature.inputs.iter();
        inputs.map(|input| (input.name.clone(), input.element)).collect::<Vec<_>>()
    };
    inputs(a) == inputs(b)
}
