//! A loaded model: the sessions of its instances, and the memory of all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::instance::OrtInstance;
use super::lease::{NarrowLease, join_narrow};
use super::library::Library;
use super::run::Runner;
use super::session::OrtSession;
use super::session_memory::SessionMemory;
use super::sessions::{FirstSession, NarrowUse, Sessions};
use super::{cuda, sessions};
use crate::engine::accounts::ModelAccounts;
use crate::engine::onnx::ModelFile;
use crate::engine::shared::SharedModels;
use crate::engine::{
    EngineError, EngineMemory, Instance, InstanceSetup, MemorySource, Model, NamedTensor,
    SharedMemory, Signature,
};
use crate::layout::ModelSource;

/// A row's loaded model.
pub(super) struct OrtModel {
    library: Arc<Library>,
    models: Arc<SharedModels<Arc<OrtSession>>>,
    source: ModelSource,
    file: Arc<ModelFile>,
    sessions: Arc<Mutex<Sessions>>,
    /// Held while the shared session is built.
    building: Mutex<()>,
    accounts: ModelAccounts,
}

impl OrtModel {
    /// Loads a model, or joins the rows that have loaded it.
    ///
    /// # Errors
    /// [`EngineError`] if the file cannot be read, is no ONNX model, or the library refuses it.
    pub(super) fn load(
        library: &Arc<Library>,
        models: &Arc<SharedModels<Arc<OrtSession>>>,
        source: &ModelSource,
    ) -> Result<Self, EngineError> {
        let accounts = ModelAccounts::open();
        let _guard = accounts.model.enter();
        let narrow = Arc::new(join_narrow(library, models, source)?);
        let file = Arc::clone(&narrow.file);
        let sessions = Sessions {
            narrow: Arc::downgrade(&narrow),
            kept_narrow: Some(narrow),
            wide: Vec::new(),
            first: None,
        };
        Ok(Self {
            library: Arc::clone(library),
            models: Arc::clone(models),
            source: source.clone(),
            file,
            sessions: Arc::new(Mutex::new(sessions)),
            building: Mutex::new(()),
            accounts: accounts.clone(),
        })
    }

    /// Loads a model by building the session of its first instance, which is wide or on a GPU.
    ///
    /// # Errors
    /// As [`Self::load`], and if the library cannot use the GPU.
    pub(super) fn load_for(
        library: &Arc<Library>,
        models: &Arc<SharedModels<Arc<OrtSession>>>,
        source: &ModelSource,
        setup: InstanceSetup,
    ) -> Result<Self, EngineError> {
        if setup.device.is_some() {
            cuda::check_available(&library.path)
                .map_err(|reason| EngineError::Unavailable { reason })?;
        }
        let accounts = ModelAccounts::open();
        let _guard = accounts.model.enter();
        let file = Arc::new(ModelFile::read(source)?);
        let session = OrtSession::build(library, source, &file, setup)?;
        let sessions = Sessions {
            narrow: Weak::new(),
            kept_narrow: None,
            wide: vec![Arc::downgrade(&session)],
            first: Some(FirstSession { setup, session }),
        };
        Ok(Self {
            library: Arc::clone(library),
            models: Arc::clone(models),
            source: source.clone(),
            file,
            sessions: Arc::new(Mutex::new(sessions)),
            building: Mutex::new(()),
            accounts: accounts.clone(),
        })
    }

    /// Takes the session that was built during the load, if it has this setup. Another setup frees
    /// it.
    fn take_first(&self, setup: InstanceSetup) -> Option<Arc<OrtSession>> {
        let first = self.sessions().first.take()?;
        (first.setup == setup).then_some(first.session)
    }

    fn runner(&self) -> Runner {
        Runner::new(self.accounts.clone())
    }

    fn on_one_thread(&self) -> Result<OrtInstance, EngineError> {
        let lease = self.narrow()?;
        let session = Arc::clone(&**lease);
        let narrow = Some(NarrowUse::new(lease, Arc::clone(&self.sessions)));
        Ok(OrtInstance { session, narrow, runner: self.runner() })
    }

    fn live_narrow(&self) -> Option<Arc<NarrowLease>> {
        self.sessions().narrow.upgrade()
    }

    fn live_wide(&self) -> Vec<Arc<OrtSession>> {
        self.sessions().live_wide()
    }

    fn build(&self, setup: InstanceSetup) -> Result<Arc<OrtSession>, EngineError> {
        OrtSession::build(&self.library, &self.source, &self.file, setup)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        sessions::lock(&self.sessions)
    }

    fn narrow(&self) -> Result<Arc<NarrowLease>, EngineError> {
        // Concurrent builds would create two copies of the weights. This is a separate lock, so
        // that `memory` does not wait for a build.
        let _guard = self.building.lock().unwrap_or_else(PoisonError::into_inner);
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
        if let Some(first) = self.take_first(setup) {
            return Ok(first);
        }
        let session = self.build(setup)?;
        let mut sessions = self.sessions();
        sessions.wide.push(Arc::downgrade(&session));
        // This model releases the shared session when its last one-thread instance is dropped.
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
        if setup.device.is_none() && setup.threads <= 1 {
            drop(self.take_first(setup));
            return Ok(Box::new(self.on_one_thread()?));
        }
        if setup.device.is_some() {
            cuda::check_available(&self.library.path)
                .map_err(|reason| EngineError::Unavailable { reason })?;
        }
        // On a GPU one session must not run two requests at once, so there each instance has its
        // own.
        let session = self.wide(setup)?;
        Ok(Box::new(OrtInstance { session, narrow: None, runner: self.runner() }))
    }

    fn with_trial_instance(
        &self,
        body: &mut dyn FnMut(&mut dyn Instance),
    ) -> Result<(), EngineError> {
        let first = self.sessions().first.as_ref().map(|first| Arc::clone(&first.session));
        let mut instance = match first {
            Some(session) => OrtInstance { session, narrow: None, runner: self.runner() },
            None => self.on_one_thread()?,
        };
        body(&mut instance);
        Ok(())
    }

    fn index_bounds(&self) -> BTreeMap<String, u64> {
        self.file.index_bounds.clone()
    }

    fn memory(&self) -> EngineMemory {
        let narrow = self.live_narrow();
        let (on_gpu, on_cpu): (Vec<_>, Vec<_>) =
            self.live_wide().into_iter().partition(|session| session.raw.device().is_some());
        let gpu: Option<u64> = on_gpu.iter().map(|session| session.raw.gpu_bytes()).sum();
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
        let users = shared.map_or(1, |shared| u64::from(shared.users.max(1)));
        let untouched = common.untouched.div_ceil(users);
        // Requests outside the library.
        let ours = self.accounts.model.held().unwrap_or(0);
        EngineMemory {
            weights: own.weights + part.weights,
            copies: (on_cpu.len() + usize::from(narrow.is_some())) as u32,
            graph: own.graph + part.graph,
            arena: own.arena.zip(common.arena).map(|(own, _)| own + part.arena + ours),
            untouched: own.untouched + untouched,
            in_flight: self.accounts.outputs.held(),
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
            // A session that ran nothing since has nothing to free.
            if session.has_grown() {
                session.request_shrink();
                self.runner().run(&session, trial)?;
                session.mark_shrunk();
            }
        }
        Ok(())
    }
}
