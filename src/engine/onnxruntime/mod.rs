//! ONNX Runtime, loaded from a shared library at run time. Instances of one thread share one
//! session and so one copy of the weights; a wider instance has a session of its own.

pub mod cuda;
mod growth;
mod library;
pub mod locate;
mod memory;
mod run;
mod session;
mod value;

use std::collections::BTreeMap;
use std::iter::Sum;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::onnx::ModelFile;
use super::shared::{LoadedFiles, ModelLease, SharedModels};
use super::{
    ElementType, Engine, EngineCapabilities, EngineError, EngineKind, EngineMemory, Instance,
    InstanceSetup, MemorySource, Model, NamedTensor, SharedMemory, Signature,
};
use crate::layout::ModelSource;
use crate::machine::ThreadId;
use crate::machine::allocation::Account;

use library::Library;
pub use library::{OLDEST_MINOR, version};
use session::OrtSession;

/// The engine's name in messages.
const NAME: &str = "ONNX Runtime";

/// The setup of the session that instances of one thread share.
const NARROW: InstanceSetup = InstanceSetup::cpu(1);

/// How much memory the library took when it started, before it had a model, in bytes; 0 while it is
/// not loaded. The growth of the process's heap meanwhile.
pub fn start_bytes() -> u64 {
    library::start_bytes()
}

/// ONNX Runtime.
#[derive(Clone)]
pub struct OnnxRuntime {
    library: Arc<Library>,
    models: Arc<SharedModels<Arc<OrtSession>>>,
}

impl OnnxRuntime {
    /// Loads the library: the named one, else `ORT_DYLIB_PATH`, else the first of the search of
    /// [`locate::places`] that can be used. A process has one library; asking again gives it again.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] with the reason and what to do.
    pub fn find(explicit: Option<&Path>) -> Result<Self, EngineError> {
        library::find(explicit).map(|library| Self { library, models: Arc::default() })
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.library.path
    }

    /// The library's version, "1.31.1".
    pub fn version(&self) -> &str {
        &self.library.version
    }
}

impl Engine for OnnxRuntime {
    fn kind(&self) -> EngineKind {
        EngineKind::OnnxRuntime
    }

    fn title(&self) -> String {
        format!("{NAME} {}", self.library.version)
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            shared_weights: true,
            shared_weights_wide: false,
            live_threads: false,
            cancel: false,
            gpu: cuda::is_built_in(),
            elements: vec![
                ElementType::Bool,
                ElementType::I8,
                ElementType::I16,
                ElementType::I32,
                ElementType::I64,
                ElementType::U8,
                ElementType::U16,
                ElementType::U32,
                ElementType::U64,
                ElementType::F16,
                ElementType::BF16,
                ElementType::F32,
                ElementType::F64,
                ElementType::String,
            ],
        }
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Model>, EngineError> {
        let account = Account::open();
        let _entered = account.enter();
        let narrow = Arc::new(join_narrow(&self.library, &self.models, source)?);
        let file = Arc::clone(&narrow.file);
        let sessions = Sessions {
            narrow: Arc::downgrade(&narrow),
            kept_narrow: Some(narrow),
            wide: Vec::new(),
        };
        Ok(Arc::new(OrtModel {
            library: Arc::clone(&self.library),
            models: Arc::clone(&self.models),
            source: source.clone(),
            file,
            sessions: Mutex::new(sessions),
            building: Mutex::new(()),
            account,
        }))
    }
}

/// One row's use of the session for one CPU thread, which rows of the same file share.
type NarrowLease = ModelLease<Arc<OrtSession>>;

/// Returns a lease of the session for one CPU thread; builds it if no row has it.
fn join_narrow(
    library: &Arc<Library>,
    models: &SharedModels<Arc<OrtSession>>,
    source: &ModelSource,
) -> Result<NarrowLease, EngineError> {
    models.get_or_load(source, || {
        let file = Arc::new(ModelFile::read(source)?);
        let value = OrtSession::build(library, source, &file, NARROW)?;
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

/// The sessions of a model.
struct Sessions {
    /// The shared session while this model or one of its instances uses it.
    narrow: Weak<NarrowLease>,
    /// Keeps the shared session for the next instance; `None` while only wider instances exist.
    kept_narrow: Option<Arc<NarrowLease>>,
    /// Sessions of wider instances, and of those on a GPU, that may still be alive.
    wide: Vec<Weak<OrtSession>>,
}

struct OrtModel {
    library: Arc<Library>,
    models: Arc<SharedModels<Arc<OrtSession>>>,
    source: ModelSource,
    file: Arc<ModelFile>,
    sessions: Mutex<Sessions>,
    /// Held while the shared session is built.
    building: Mutex<()>,
    account: Arc<Account>,
}

impl OrtModel {
    fn live_narrow(&self) -> Option<Arc<NarrowLease>> {
        self.sessions().narrow.upgrade()
    }

    fn live_wide(&self) -> Vec<Arc<OrtSession>> {
        let mut sessions = self.sessions();
        sessions.wide.retain(|session| session.strong_count() > 0);
        sessions.wide.iter().filter_map(Weak::upgrade).collect()
    }

    fn build(&self, setup: InstanceSetup) -> Result<Arc<OrtSession>, EngineError> {
        OrtSession::build(&self.library, &self.source, &self.file, setup)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // nothing panics while it is held
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn narrow(&self) -> Result<Arc<NarrowLease>, EngineError> {
        // two builds at once would make two copies of the weights; whoever asks for figures meanwhile
        // does not wait for one
        let _one = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live_narrow();
        let narrow = match live {
            Some(narrow) => narrow,
            None => Arc::new(join_narrow(&self.library, &self.models, &self.source)?),
        };
        let mut sessions = self.sessions();
        sessions.narrow = Arc::downgrade(&narrow);
        sessions.kept_narrow = Some(Arc::clone(&narrow));
        Ok(narrow)
    }

    fn wide(&self, setup: InstanceSetup) -> Result<Arc<OrtSession>, EngineError> {
        let session = self.build(setup)?;
        let mut sessions = self.sessions();
        sessions.wide.push(Arc::downgrade(&session));
        // This model leaves the shared session when its last instance for one thread has ended.
        let narrow = sessions.kept_narrow.take();
        drop(sessions);
        drop(narrow);
        Ok(session)
    }
}

impl Model for OrtModel {
    fn signature(&self) -> &Signature {
        &self.file.signature
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        let (session, lease) = match setup.device {
            Some(_) => {
                cuda::require(&self.library.path)
                    .map_err(|reason| EngineError::Unavailable { reason })?;
                // on a GPU one session may not run two requests at once
                (self.wide(setup)?, None)
            }
            None if setup.threads > 1 => (self.wide(setup)?, None),
            None => {
                let lease = self.narrow()?;
                (Arc::clone(&**lease), Some(lease))
            }
        };
        Ok(Box::new(OrtInstance { session, lease, account: Arc::clone(&self.account) }))
    }

    fn index_bounds(&self) -> BTreeMap<String, u64> {
        self.file.index_bounds.clone()
    }

    fn memory(&self) -> EngineMemory {
        let narrow = self.live_narrow();
        let (on_gpu, on_cpu): (Vec<_>, Vec<_>) =
            self.live_wide().into_iter().partition(|session| session.device.is_some());
        let gpu: Option<u64> = on_gpu.iter().map(|session| session.on_gpu()).sum();
        let own: SessionMemory =
            on_cpu.iter().chain(&on_gpu).map(|session| SessionMemory::of(session)).sum();
        let common = narrow.as_ref().map(|lease| SessionMemory::of(lease)).unwrap_or_default();
        let shared = narrow.as_ref().map(|lease| SharedMemory {
            id: lease.id(),
            users: lease.users(),
            weights: common.weights,
            graph: common.graph,
            arena: common.arena.unwrap_or(0),
        });
        let part = shared.map(|shared| shared.part(shared.users)).unwrap_or_default();
        let untouched = part_of(common.untouched, shared.as_ref());
        // requests and results on our side of the library
        let ours = self.account.held().unwrap_or(0);
        EngineMemory {
            weights: own.weights + part.weights,
            copies: (on_cpu.len() + usize::from(narrow.is_some())) as u32,
            graph: own.graph + part.graph,
            arena: own.arena.zip(common.arena).map(|(own, _)| own + part.arena + ours),
            untouched: own.untouched + untouched,
            gpu: gpu.filter(|_| !on_gpu.is_empty()),
            weights_source: if own.is_estimated || common.is_estimated {
                MemorySource::Estimated
            } else {
                MemorySource::Measured
            },
            arena_source: MemorySource::Measured,
            shared,
        }
    }

    fn shrink(&self, trial: &[NamedTensor]) -> Result<(), EngineError> {
        let narrow = self.live_narrow();
        let narrow = narrow.iter().map(|lease| Arc::clone(&***lease));
        for session in self.live_wide().into_iter().chain(narrow) {
            session.ask_to_shrink();
            run::run(&session, trial)?;
        }
        Ok(())
    }
}

/// The memory of sessions, in bytes.
struct SessionMemory {
    weights: u64,
    /// True if the weights of some session are taken from the file's size.
    is_estimated: bool,
    graph: u64,
    /// `None` if the library does not report it.
    arena: Option<u64>,
    untouched: u64,
}

impl Default for SessionMemory {
    fn default() -> Self {
        Self { weights: 0, is_estimated: false, graph: 0, arena: Some(0), untouched: 0 }
    }
}

impl SessionMemory {
    fn of(session: &OrtSession) -> Self {
        let in_arena = session.weights();
        // The library keeps weights in its arena only if a kernel rearranges them. On a GPU they are
        // not in the machine's memory.
        let in_file = if session.device.is_some() { 0 } else { session.file.weight_bytes };
        let in_arena = in_arena.filter(|_| session.device.is_none());
        let arena = session.arena();
        Self {
            weights: in_arena.unwrap_or(0).max(in_file),
            is_estimated: session.device.is_none() && in_arena.is_none_or(|bytes| bytes < in_file),
            graph: session.graph(),
            arena: arena.map(|(taken, untouched)| taken - untouched),
            untouched: arena.map_or(0, |(_, untouched)| untouched),
        }
    }
}

impl Sum for SessionMemory {
    fn sum<I: Iterator<Item = Self>>(sessions: I) -> Self {
        sessions.fold(Self::default(), |sum, session| Self {
            weights: sum.weights + session.weights,
            is_estimated: sum.is_estimated || session.is_estimated,
            graph: sum.graph + session.graph,
            arena: sum.arena.zip(session.arena).map(|(a, b)| a + b),
            untouched: sum.untouched + session.untouched,
        })
    }
}

/// Returns the part of one user.
fn part_of(bytes: u64, shared: Option<&SharedMemory>) -> u64 {
    bytes.div_ceil(u64::from(shared.map_or(1, |shared| shared.users.max(1))))
}

/// A handle on a session.
struct OrtInstance {
    session: Arc<OrtSession>,
    /// Counts this model among the users of a shared session.
    lease: Option<Arc<NarrowLease>>,
    account: Arc<Account>,
}

impl Instance for OrtInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.session.helpers()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        run::run(&self.session, inputs)
    }

    fn another(&self) -> Option<Box<dyn Instance>> {
        let (session, account) = (Arc::clone(&self.session), Arc::clone(&self.account));
        Some(Box::new(Self { session, lease: self.lease.clone(), account }))
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        let account = Arc::clone(&self.account);
        let _entered = account.enter();
        body(self);
    }
}

#[cfg(test)]
mod tests;
