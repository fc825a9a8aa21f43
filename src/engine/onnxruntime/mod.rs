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
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::onnx::ModelFile;
use super::{
    ElementType, Engine, EngineCapabilities, EngineError, EngineKind, EngineMemory, Instance,
    InstanceSetup, MemorySource, Model, NamedTensor, Signature,
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
}

impl OnnxRuntime {
    /// Loads the library: the named one, else `ORT_DYLIB_PATH`, else the first of the search of
    /// [`locate::places`] that can be used. A process has one library; asking again gives it again.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] with the reason and what to do.
    pub fn find(explicit: Option<&Path>) -> Result<Self, EngineError> {
        library::find(explicit).map(|library| Self { library })
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
        let file = Arc::new(ModelFile::read(source)?);
        let narrow = OrtSession::build(&self.library, source, &file, NARROW)?;
        let sessions =
            Mutex::new(Sessions { live: vec![Arc::downgrade(&narrow)], narrow: Some(narrow) });
        Ok(Arc::new(OrtModel {
            library: Arc::clone(&self.library),
            source: source.clone(),
            file,
            sessions,
            building: Mutex::new(()),
            account,
        }))
    }
}

/// The sessions of a model.
struct Sessions {
    /// The shared one; given up while only wider instances exist.
    narrow: Option<Arc<OrtSession>>,
    /// Every one that may still be alive.
    live: Vec<Weak<OrtSession>>,
}

struct OrtModel {
    library: Arc<Library>,
    source: ModelSource,
    file: Arc<ModelFile>,
    sessions: Mutex<Sessions>,
    /// Held while the shared session is built.
    building: Mutex<()>,
    account: Arc<Account>,
}

impl OrtModel {
    fn live(&self) -> Vec<Arc<OrtSession>> {
        let mut sessions = self.sessions();
        sessions.live.retain(|session| session.strong_count() > 0);
        sessions.live.iter().filter_map(Weak::upgrade).collect()
    }

    fn build(&self, setup: InstanceSetup) -> Result<Arc<OrtSession>, EngineError> {
        OrtSession::build(&self.library, &self.source, &self.file, setup)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // nothing panics while it is held
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn narrow(&self) -> Result<Arc<OrtSession>, EngineError> {
        // two builds at once would make two copies of the weights; whoever asks for figures meanwhile
        // does not wait for one
        let _one = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &self.sessions().narrow {
            return Ok(Arc::clone(session));
        }
        let session = self.build(NARROW)?;
        let mut sessions = self.sessions();
        sessions.live.push(Arc::downgrade(&session));
        sessions.narrow = Some(Arc::clone(&session));
        Ok(session)
    }

    fn wide(&self, setup: InstanceSetup) -> Result<Arc<OrtSession>, EngineError> {
        let session = self.build(setup)?;
        let mut sessions = self.sessions();
        sessions.live.push(Arc::downgrade(&session));
        // nobody uses the shared session now: its copy of the weights can go
        if sessions.narrow.as_ref().is_some_and(|narrow| Arc::strong_count(narrow) == 1) {
            sessions.narrow = None;
        }
        Ok(session)
    }
}

impl Model for OrtModel {
    fn signature(&self) -> &Signature {
        &self.file.signature
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        let session = match setup.device {
            Some(_) => {
                cuda::require(&self.library.path)
                    .map_err(|reason| EngineError::Unavailable { reason })?;
                // on a GPU one session may not run two requests at once
                self.wide(setup)?
            }
            None if setup.threads > 1 => self.wide(setup)?,
            None => self.narrow()?,
        };
        Ok(Box::new(OrtInstance { session, account: Arc::clone(&self.account) }))
    }

    fn index_bounds(&self) -> BTreeMap<String, u64> {
        self.file.index_bounds.clone()
    }

    fn memory(&self) -> EngineMemory {
        let live = self.live();
        let (on_gpu, on_cpu): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|session| session.device.is_some());
        let gpu: Option<u64> = on_gpu.iter().map(|session| session.on_gpu()).sum();
        let copies = on_cpu.len() as u32;
        let in_arenas: Option<u64> = on_cpu.iter().map(|session| session.weights()).sum();
        // The library keeps weights in its arena only where a kernel rearranges them.
        let in_file = self.file.weight_bytes * u64::from(copies);
        let is_measured = in_arenas.is_some_and(|bytes| bytes >= in_file);
        let arenas: Option<(u64, u64)> = on_cpu
            .iter()
            .chain(&on_gpu)
            .map(|session| session.arena())
            .try_fold((0, 0), |sum, arena| {
                arena.map(|(taken, untouched)| (sum.0 + taken, sum.1 + untouched))
            });
        let untouched = arenas.map_or(0, |(_, untouched)| untouched);
        // requests and results on our side of the library
        let ours = self.account.held().unwrap_or(0);
        EngineMemory {
            weights: in_arenas.unwrap_or(0).max(in_file),
            copies,
            graph: on_cpu.iter().chain(&on_gpu).map(|session| session.graph()).sum(),
            arena: arenas.map(|(taken, _)| taken - untouched + ours),
            untouched,
            gpu: gpu.filter(|_| !on_gpu.is_empty()),
            weights_source: if is_measured {
                MemorySource::Measured
            } else {
                MemorySource::Estimated
            },
            arena_source: MemorySource::Measured,
        }
    }

    fn shrink(&self, trial: &[NamedTensor]) -> Result<(), EngineError> {
        for session in self.live() {
            session.ask_to_shrink();
            run::run(&session, trial)?;
        }
        Ok(())
    }
}

/// A handle on a session.
struct OrtInstance {
    session: Arc<OrtSession>,
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
        Some(Box::new(Self { session, account }))
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        let account = Arc::clone(&self.account);
        let _entered = account.enter();
        body(self);
    }
}

#[cfg(test)]
mod tests;
