//! Recordings of a model's live requests, as files for a replay.
//!
//! A recording takes the first requests that arrive, not a sample of all: their arrival times then follow
//! each other as they did. A thread of ordinary class copies the inputs and writes the file at the end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use thiserror::Error;

use super::inner::Inner;
use super::memory::tensor_bytes;
use crate::engine::NamedTensor;
use crate::engine::npy::{Recording, encode_requests};
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
    /// Requests that were left out because an input has another shape than that of the first request.
    pub other_shapes: usize,
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

/// The place where a pool's requests are taken for a recording.
#[derive(Default)]
pub(super) struct RequestTap {
    /// Read for each request of a caller.
    is_open: AtomicBool,
    /// The number of the present recording, and the way to its thread.
    sender: RwLock<Option<(u64, SyncSender<LiveRequest>)>>,
    next: AtomicU64,
}

impl RequestTap {
    /// Passes an admitted request on to the recording, if there is one. Never waits.
    pub(super) fn pass(&self, inputs: &Arc<Vec<NamedTensor>>, arrival: Instant) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let Ok(sender) = self.sender.try_read() else { return };
        let Some((_, sender)) = &*sender else { return };
        let request = LiveRequest { inputs: inputs.clone(), arrival };
        // One that cannot be passed on is left out: the recording is slower, or has just ended.
        drop(sender.try_send(request));
    }

    /// Returns the number of the recording that the sender leads to.
    fn open(&self, sender: SyncSender<LiveRequest>) -> Result<u64, RecordingError> {
        let mut present = self.sender.write().unwrap_or_else(PoisonError::into_inner);
        if present.is_some() {
            return Err(RecordingError::AlreadyRecording);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        *present = Some((number, sender));
        self.is_open.store(true, Ordering::Relaxed);
        Ok(number)
    }

    /// Ends the recording, which then writes its file.
    pub(super) fn close(&self) {
        self.close_if(|_| true);
    }

    fn close_if(&self, is_it: impl Fn(u64) -> bool) {
        let mut present = self.sender.write().unwrap_or_else(PoisonError::into_inner);
        if present.take_if(|(number, _)| is_it(*number)).is_some() {
            self.is_open.store(false, Ordering::Relaxed);
        }
    }
}

/// A running recording. It ends with its last request, when the model is removed or loaded again, or when it
/// is stopped or dropped; then the file is written.
pub struct RunningRecording {
    inner: Arc<Inner>,
    number: u64,
    thread: Option<JoinHandle<RecordingResult>>,
}

impl RunningRecording {
    /// Starts to record the requests of a pool's callers.
    pub(super) fn start(
        inner: Arc<Inner>,
        options: RecordingOptions,
    ) -> Result<Self, RecordingError> {
        check_recording_file(&options.file)?;
        let (sender, requests) = sync_channel(MAX_UNCOPIED);
        let number = inner.tap.open(sender)?;
        let pool = Arc::downgrade(&inner);
        let file = options.file.clone();
        let body = move || {
            let taken = take_requests(&requests, &options);
            drop(requests);
            if let Some(inner) = pool.upgrade() {
                inner.tap.close_if(|open| open == number);
            }
            let result = taken.write(options.file);
            match &result {
                Ok(report) => tracing::info!("{report}"),
                Err(error) => tracing::error!("{error}"),
            }
            result
        };
        match std::thread::Builder::new().name("divvy-record".to_owned()).spawn(body) {
            Ok(thread) => Ok(Self { inner, number, thread: Some(thread) }),
            Err(error) => {
                inner.tap.close();
                Err(RecordingError::file(&file, format!("cannot start a thread: {error}")))
            }
        }
    }

    /// Returns true if the file is written or has failed.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn close(&self) {
        self.inner.tap.close_if(|open| open == self.number);
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
        write!(
            formatter,
            "{} recorded in {}",
            counted(self.requests, "request"),
            self.file.display()
        )?;
        match self.other_shapes {
            0 => Ok(()),
            other => write!(formatter, "; {other} of other shapes left out"),
        }
    }
}

/// The requests of a recording.
#[derive(Default)]
struct TakenRequests {
    copies: Vec<(Instant, Vec<NamedTensor>)>,
    other_shapes: usize,
}

/// Copies requests until the recording ends.
fn take_requests(requests: &Receiver<LiveRequest>, options: &RecordingOptions) -> TakenRequests {
    let mut taken = TakenRequests::default();
    let mut bytes = 0;
    while taken.copies.len() < options.requests
        && let Ok(LiveRequest { inputs, arrival }) = requests.recv()
    {
        if taken.copies.first().is_some_and(|(_, first)| !is_alike(first, &inputs)) {
            taken.other_shapes += 1;
            continue;
        }
        bytes += tensor_bytes(&inputs);
        if bytes > MAX_RECORDED_BYTES {
            let (file, limit) = (options.file.display(), Bytes(MAX_RECORDED_BYTES));
            tracing::warn!("{file}: the recording ends early, at {limit}");
            break;
        }
        taken.copies.push((arrival, inputs.as_ref().clone()));
    }
    taken
}

impl TakenRequests {
    fn write(self, file: PathBuf) -> RecordingResult {
        let Self { mut copies, other_shapes } = self;
        // Callers that submit at the same time come in any order.
        copies.sort_by_key(|(arrival, _)| *arrival);
        let Some(first) = copies.first().map(|(arrival, _)| *arrival) else {
            return Err(RecordingError::Empty { file });
        };
        let arrivals =
            copies.iter().map(|(arrival, _)| arrival.saturating_duration_since(first)).collect();
        let requests = copies.into_iter().map(|(_, inputs)| inputs).collect();
        let recording = Recording { requests, arrivals: Some(arrivals) };
        let encoded = encode_requests(&recording);
        let encoded = encoded.map_err(|reason| RecordingError::file(&file, reason))?;
        create_file(&file, &encoded)
            .map_err(|error| RecordingError::file(&file, error.to_string()))?;
        Ok(RecordingReport { requests: recording.requests.len(), file, other_shapes })
    }
}

/// Returns true if two requests have the same inputs, in the same order and with the same shapes.
fn is_alike(a: &[NamedTensor], b: &[NamedTensor]) -> bool {
    let is_same = |(a, b): (&NamedTensor, &NamedTensor)| {
        a.name == b.name
            && a.tensor.shape() == b.tensor.shape()
            && a.tensor.element() == b.tensor.element()
    };
    a.len() == b.len() && a.iter().zip(b).all(is_same)
}
