//! Sessions: one for all instances with a single thread, and one for each wider instance. The ids
//! of a session's helper threads are known from the moment they exist.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use ort::environment::ThreadManager;
use ort::session::Session;

use super::growth::BuildGrowth;
use super::library::{Library, NAME};
use super::memory::RawSession;
use super::names::NameArray;
use super::{cuda, explain};
use crate::engine::onnx::{self, ModelFile};
use crate::engine::{EngineError, InstanceSetup, TensorSpec};
use crate::layout::ModelSource;
use crate::machine::{ThreadId, ThreadStarts, current_thread};

/// A session and what a request needs to run on it.
pub(super) struct OrtSession {
    pub(super) raw: Arc<RawSession>,
    /// Keeps the parts of the library that every session uses.
    pub(super) library: Arc<Library>,
    pub(super) file: Arc<ModelFile>,
    pub(super) inputs: NameArray,
    pub(super) outputs: NameArray,
    helpers: Arc<Mutex<Vec<ThreadId>>>,
    /// Held while a request runs on a GPU, where the library does not guarantee that concurrent
    /// requests are safe: a request that shrinks the arena could overlap the instance's own.
    gpu_turn: Mutex<()>,
    /// True if the next request frees the unused parts of the arena when it ends.
    shrink_next: AtomicBool,
    /// Bytes of the arena after it last shrank; 0 before.
    shrunk_to: AtomicU64,
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
        let growth = BuildGrowth::start();
        let session = commit(library, source, setup, &helpers)
            .map_err(|error| explain::load(library, file, setup.device, error.message()))?;
        let names = |specs: &[TensorSpec]| -> Result<NameArray, EngineError> {
            let names = specs.iter().map(|spec| spec.name.as_str());
            NameArray::new(names).map_err(|_| EngineError::Load {
                engine: NAME,
                path: file.title.clone(),
                reason: "the name of an input or output contains a zero byte".to_owned().into(),
            })
        };
        let raw = Arc::new(RawSession::new(session.inner(), setup.device));
        let in_arena = raw.weights().unwrap_or(0);
        // On a GPU the weights are not in main memory.
        let in_file = if setup.device.is_some() { 0 } else { file.weight_bytes };
        let built = Self {
            library: Arc::clone(library),
            inputs: names(&file.signature.inputs)?,
            outputs: names(&file.signature.outputs)?,
            file: Arc::clone(file),
            helpers,
            gpu_turn: Mutex::new(()),
            shrink_next: AtomicBool::new(false),
            shrunk_to: AtomicU64::new(0),
            raw,
        };
        growth.finish(&built.raw, in_arena.max(in_file));
        Ok(Arc::new(built))
    }

    /// Waits until no other request runs, if the session runs one at a time.
    pub(super) fn wait_for_gpu_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.raw.device()?;
        Some(self.gpu_turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the next request free the unused parts of the arena when it ends.
    pub(super) fn request_shrink(&self) {
        self.shrink_next.store(true, Ordering::Release);
    }

    /// Returns true if requests have made the arena larger since it last shrank, or if the library does
    /// not report it.
    pub(super) fn has_grown(&self) -> bool {
        let growth = self.raw.arena_growth();
        growth.is_none_or(|arena| arena.allocated > self.shrunk_to.load(Ordering::Relaxed))
    }

    /// Records the size of the arena after it shrank.
    pub(super) fn mark_shrunk(&self) {
        let now = self.raw.arena_growth().map_or(0, |arena| arena.allocated);
        self.shrunk_to.store(now, Ordering::Relaxed);
    }

    /// Returns true, once, if a shrink was requested.
    pub(super) fn take_shrink_request(&self) -> bool {
        self.shrink_next.load(Ordering::Acquire) && self.shrink_next.swap(false, Ordering::AcqRel)
    }

    /// Returns the threads that the session created.
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
        // The graph itself runs on the calling thread; the default would add threads.
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        // Always set: by default, a session pins its threads to cores by itself.
        .with_intra_threads(setup.threads.max(1))?
        .with_intra_op_spinning(setup.spinning)?
        .with_inter_op_spinning(false)?;
    if let Some(device) = setup.device {
        builder = builder.with_execution_providers([cuda::provider_for(device)])?;
    }
    if setup.threads > 1 {
        builder = builder.with_thread_manager(HelperThreads { helpers: Arc::clone(helpers) })?;
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

/// Creates a session's threads, and records the id of each before it starts to work.
struct HelperThreads {
    helpers: Arc<Mutex<Vec<ThreadId>>>,
}

impl ThreadManager for HelperThreads {
    type Thread = JoinHandle<()>;

    fn create(&self, work: impl FnOnce() + Send + 'static) -> ort::Result<JoinHandle<()>> {
        let (sender, receiver) = sync_channel(1);
        let starts = ThreadStarts::of_this_thread();
        let handle = thread::Builder::new()
            .name("ort-helper".to_owned())
            .spawn(move || {
                let own = current_thread();
                let _started = starts.begin(own);
                let is_sent = sender.send(own).is_ok();
                drop(sender);
                if is_sent {
                    work();
                }
            })
            .map_err(|error| ort::Error::new(format!("cannot create a thread: {error}")))?;
        let id = receiver
            .recv()
            .map_err(|_| ort::Error::new("a helper thread ended before it started to work"))?;
        self.helpers.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Ok(handle)
    }

    fn join(thread: JoinHandle<()>) -> ort::Result<()> {
        thread.join().map_err(|_| ort::Error::new("a helper thread panicked"))
    }
}
