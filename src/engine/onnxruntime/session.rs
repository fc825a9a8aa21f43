//! Sessions: one that all instances of a single thread share, and one for each wider instance,
//! whose helper threads are known by id from the moment they exist.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use ort::AsPointer;
use ort::environment::ThreadManager;
use ort::session::{Session, SharedSessionInner};

use super::growth::Growth;
use super::library::Library;
use super::memory::{self, Arena};
use super::{NAME, cuda};
use crate::engine::onnx::{self, ModelFile};
use crate::engine::{Device, EngineError, InstanceSetup};
use crate::layout::ModelSource;
use crate::machine::{ThreadId, current_thread};

/// A session, with what a run needs of it.
pub(super) struct OrtSession {
    inner: Arc<SharedSessionInner>,
    /// Keeps the library's parts that every session uses.
    pub(super) library: Arc<Library>,
    pub(super) file: Arc<ModelFile>,
    pub(super) inputs: Vec<CString>,
    pub(super) outputs: Vec<CString>,
    helpers: Arc<Mutex<Vec<ThreadId>>>,
    /// The GPU that it runs on.
    pub(super) device: Option<Device>,
    /// Held while a request runs on a GPU: there the library promises less for several at once, and
    /// one that shrinks the arena may come beside the instance's own.
    turn: Mutex<()>,
    /// What the arena held before the first request: weights.
    at_start: Option<Arena>,
    /// What it took of the heap beside its weights: graph, kernels.
    graph: AtomicU64,
    /// Whether the next request is to give the arena's unused parts back when it ends.
    shrink_next: AtomicBool,
}

impl OrtSession {
    /// Builds a session. Its helper threads, if any, inherit the caller's affinity.
    pub(super) fn build(
        library: &Arc<Library>,
        source: &ModelSource,
        file: &Arc<ModelFile>,
        setup: InstanceSetup,
    ) -> Result<Arc<Self>, EngineError> {
        let helpers = Arc::new(Mutex::new(Vec::new()));
        let growth = Growth::begin();
        let session =
            commit(library, source, setup, &helpers).map_err(|error| match setup.device {
                Some(device) => load_error(file, &cuda::meaning(error.message(), device)),
                None => load_error(file, error.message()),
            })?;
        let names = |specs: &[crate::engine::TensorSpec]| -> Result<Vec<CString>, EngineError> {
            specs
                .iter()
                .map(|spec| CString::new(spec.name.as_str()))
                .collect::<Result<_, _>>()
                .map_err(|_| load_error(file, "a name holds a zero byte"))
        };
        let mut built = Self {
            inner: session.inner(),
            library: Arc::clone(library),
            inputs: names(&file.signature.inputs)?,
            outputs: names(&file.signature.outputs)?,
            file: Arc::clone(file),
            helpers,
            device: setup.device,
            turn: Mutex::new(()),
            at_start: None,
            graph: AtomicU64::new(0),
            shrink_next: AtomicBool::new(false),
        };
        built.at_start = memory::arena(&built);
        let weights = match setup.device {
            // they lie on the GPU
            Some(_) => built.weights().unwrap_or(0),
            None => built.weights().unwrap_or(0).max(file.weight_bytes),
        };
        let built = Arc::new(built);
        growth.end(&built, weights);
        Ok(built)
    }

    /// Bytes of the weights as the arena holds them; `None` where the library cannot tell. Weights
    /// that no kernel wanted rearranged may lie elsewhere.
    pub(super) fn weights(&self) -> Option<u64> {
        self.at_start.map(|arena| arena.taken)
    }

    /// Bytes that it took of the heap beside its weights; an estimate.
    pub(super) fn graph(&self) -> u64 {
        self.graph.load(Ordering::Relaxed)
    }

    /// Sets that.
    pub(super) fn set_graph(&self, bytes: u64) {
        self.graph.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that the arena holds beyond what it held before the first request, and of those, bytes
    /// that no request has used.
    pub(super) fn arena(&self) -> Option<(u64, u64)> {
        let (now, at_start) = (memory::arena(self)?, self.at_start?);
        let taken = now.taken.saturating_sub(at_start.taken);
        Some((taken, now.taken.saturating_sub(now.most_used).min(taken)))
    }

    /// Bytes that the session's arena on its GPU holds; `None` on the CPU, and where the library
    /// cannot tell.
    pub(super) fn on_gpu(&self) -> Option<u64> {
        memory::gpu_arena(self, self.device?).map(|arena| arena.taken)
    }

    /// Waits for the session's turn where it runs one request at a time.
    pub(super) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.device?;
        Some(self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the next request give the arena's unused parts back when it ends.
    pub(super) fn ask_to_shrink(&self) {
        self.shrink_next.store(true, Ordering::Release);
    }

    /// Whether this request is the one.
    pub(super) fn shrinks(&self) -> bool {
        self.shrink_next.load(Ordering::Acquire) && self.shrink_next.swap(false, Ordering::AcqRel)
    }

    /// The session's pointer. Valid as long as this value.
    pub(super) fn pointer(&self) -> *const ort::sys::OrtSession {
        self.inner.ptr()
    }

    /// Threads that the session made.
    pub(super) fn helpers(&self) -> Vec<ThreadId> {
        self.helpers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn commit(
    library: &Library,
    source: &ModelSource,
    setup: InstanceSetup,
    helpers: &Arc<Mutex<Vec<ThreadId>>>,
) -> ort::Result<Session> {
    let mut builder = Session::builder(&library.environment)?
        // the graph itself runs on the caller; without this the default adds threads
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        // always set: a session left at its default pins its threads to cores by itself
        .with_intra_threads(setup.threads.max(1))?
        .with_intra_op_spinning(setup.spinning)?
        .with_inter_op_spinning(false)?;
    if let Some(device) = setup.device {
        builder = builder.with_execution_providers([cuda::provider_for(device)])?;
    }
    if setup.threads > 1 {
        builder = builder.with_thread_manager(Crew { helpers: Arc::clone(helpers) })?;
    }
    match source {
        ModelSource::File(path) => builder.commit_from_file(path),
        ModelSource::Embedded(_) => {
            let bytes =
                onnx::model_bytes(source).map_err(|error| ort::Error::new(error.to_string()))?;
            builder.commit_from_memory(&bytes)
        }
    }
}

fn load_error(file: &ModelFile, message: &str) -> EngineError {
    let path = file.title.clone();
    let reason = message.to_owned();
    // the library has no code of its own for this case, only these words
    let unknown = ["is not a registered function/op", "No Op registered", "Could not find an impl"];
    if unknown.iter().any(|words| message.contains(words)) {
        return EngineError::Unsupported { engine: NAME, path, reason };
    }
    EngineError::Load { engine: NAME, path, reason }
}

/// Makes a session's threads, and notes each one's id before it does any work.
struct Crew {
    helpers: Arc<Mutex<Vec<ThreadId>>>,
}

impl ThreadManager for Crew {
    type Thread = JoinHandle<()>;

    fn create(&self, work: impl FnOnce() + Send + 'static) -> ort::Result<JoinHandle<()>> {
        let (sender, receiver) = sync_channel(1);
        let handle = thread::Builder::new()
            .name("ort-helper".to_owned())
            .spawn(move || {
                let told = sender.send(current_thread());
                drop(sender);
                if told.is_ok() {
                    work();
                }
            })
            .map_err(|error| ort::Error::new(format!("no thread could be made: {error}")))?;
        let id = receiver
            .recv()
            .map_err(|_| ort::Error::new("a helper thread ended before it began"))?;
        self.helpers.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Ok(handle)
    }

    fn join(thread: JoinHandle<()>) -> ort::Result<()> {
        thread.join().map_err(|_| ort::Error::new("a helper thread panicked"))
    }
}
