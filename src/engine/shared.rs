//! Loaded models that several rows of a layout share: one per file, kept until the last row
//! releases it.

use std::collections::HashMap;
use std::fs::Metadata;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use super::EngineError;
use crate::layout::ModelSource;

/// The number of the next loaded model.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A loaded model's place in the registry: a file that was replaced is another model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SharedModelKey {
    Embedded(String),
    File { path: PathBuf, stamp: FileStamp },
}

/// The identity of one version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileStamp {
    /// Device and inode; zeros where the system has none.
    inode: (u64, u64),
    /// The size in bytes.
    size: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let inode = (0, 0);
        Self { inode, size: metadata.len(), modified: metadata.modified().ok() }
    }

    fn read(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

impl SharedModelKey {
    /// Returns the key of a model; `None` if its file cannot be found.
    fn of(source: &ModelSource) -> Option<Self> {
        Some(match source {
            ModelSource::Embedded(name) => Self::Embedded(name.clone()),
            ModelSource::File(path) => {
                let path = path.canonicalize().ok()?;
                let stamp = FileStamp::read(&path)?;
                Self::File { path, stamp }
            }
        })
    }
}

/// A value with the files beside the model's own that it was loaded from.
pub(super) struct LoadedFiles<V> {
    /// The loaded model.
    pub(super) value: V,
    /// Further files, such as external weights.
    pub(super) files: Vec<PathBuf>,
}

/// The loaded models of one engine that can be shared.
#[derive(Debug)]
pub(super) struct SharedModels<V> {
    entries: Mutex<HashMap<SharedModelKey, Arc<SharedEntry<V>>>>,
}

impl<V> Default for SharedModels<V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

/// One model in the registry.
#[derive(Debug)]
struct SharedEntry<V> {
    state: Mutex<EntryState<V>>,
    /// Notified when loading has ended.
    loaded: Condvar,
}

#[derive(Debug)]
enum EntryState<V> {
    Loading,
    Loaded(Weak<SharedModel<V>>),
    Failed(EngineError),
}

/// One loaded model and its number of users.
#[derive(Debug)]
struct SharedModel<V> {
    id: u64,
    value: V,
    users: AtomicU32,
    /// Further files that it was loaded from, as they were then.
    files: Vec<(PathBuf, Option<FileStamp>)>,
}

impl<V> SharedModel<V> {
    fn is_current(&self) -> bool {
        self.files.iter().all(|(path, stamp)| FileStamp::read(path) == *stamp)
    }
}

/// One row's use of a loaded model. The model is freed when its last lease is dropped.
#[derive(Debug)]
pub(super) struct ModelLease<V> {
    model: Arc<SharedModel<V>>,
}

impl<V> ModelLease<V> {
    fn new(model: Arc<SharedModel<V>>) -> Self {
        model.users.fetch_add(1, Ordering::Relaxed);
        Self { model }
    }

    /// Returns the number of the loaded model, unique in this process.
    pub(super) fn id(&self) -> u64 {
        self.model.id
    }

    /// Returns the number of leases, including this one.
    pub(super) fn users(&self) -> u32 {
        self.model.users.load(Ordering::Relaxed)
    }
}

impl<V> Deref for ModelLease<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.model.value
    }
}

impl<V> Drop for ModelLease<V> {
    fn drop(&mut self) {
        self.model.users.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<V> SharedModels<V> {
    fn entries(&self) -> MutexGuard<'_, HashMap<SharedModelKey, Arc<SharedEntry<V>>>> {
        // Nothing panics while the lock is held.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a lease of the model of `source`: of the one that is loaded, or of a new one that
    /// `load` makes. Concurrent calls for one model load it once, the others wait.
    ///
    /// # Errors
    /// The error of `load`, for all calls that waited for it. Later calls try again.
    pub(super) fn get_or_load(
        &self,
        source: &ModelSource,
        load: impl FnOnce() -> Result<LoadedFiles<V>, EngineError>,
    ) -> Result<ModelLease<V>, EngineError> {
        let Some(key) = SharedModelKey::of(source) else {
            // The file does not exist: `load` reports it.
            return Ok(ModelLease::new(Arc::new(loaded(load()?))));
        };
        let entry = {
            let mut entries = self.entries();
            entries.retain(|_, entry| entry.is_live());
            if let Some(entry) = entries.get(&key).map(Arc::clone) {
                drop(entries);
                if let Some(result) = entry.wait() {
                    return result;
                }
                // The model was freed or its file changed while waiting: load it again.
                self.replace(&key, &entry)
            } else {
                let entry = Arc::new(SharedEntry::new());
                entries.insert(key.clone(), Arc::clone(&entry));
                Ok(entry)
            }
        };
        match entry {
            Ok(entry) => self.load(&key, &entry, load),
            // Another call has replaced it before this one.
            Err(entry) => match entry.wait() {
                Some(result) => result,
                None => Ok(ModelLease::new(Arc::new(loaded(load()?)))),
            },
        }
    }

    /// Replaces an outdated entry. Returns the new entry; if another call has replaced it already,
    /// returns that call's entry as the error.
    fn replace(
        &self,
        key: &SharedModelKey,
        old: &Arc<SharedEntry<V>>,
    ) -> Result<Arc<SharedEntry<V>>, Arc<SharedEntry<V>>> {
        let mut entries = self.entries();
        if let Some(other) = entries.get(key).filter(|other| !Arc::ptr_eq(other, old)) {
            return Err(Arc::clone(other));
        }
        let entry = Arc::new(SharedEntry::new());
        entries.insert(key.clone(), Arc::clone(&entry));
        Ok(entry)
    }

    fn load(
        &self,
        key: &SharedModelKey,
        entry: &Arc<SharedEntry<V>>,
        load: impl FnOnce() -> Result<LoadedFiles<V>, EngineError>,
    ) -> Result<ModelLease<V>, EngineError> {
        let mut outcome = LoadOutcome { registry: self, key, entry, state: None };
        let lease = match load() {
            Ok(value) => {
                let model = Arc::new(loaded(value));
                outcome.state = Some(EntryState::Loaded(Arc::downgrade(&model)));
                Ok(ModelLease::new(model))
            }
            Err(error) => {
                outcome.state = Some(EntryState::Failed(error.clone()));
                Err(error)
            }
        };
        drop(outcome);
        lease
    }
}

fn loaded<V>(files: LoadedFiles<V>) -> SharedModel<V> {
    let LoadedFiles { value, files } = files;
    let stamped = files.into_iter().map(|path| {
        let stamp = FileStamp::read(&path);
        (path, stamp)
    });
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    SharedModel { id, value, users: AtomicU32::new(0), files: stamped.collect() }
}

impl<V> SharedEntry<V> {
    fn new() -> Self {
        Self { state: Mutex::new(EntryState::Loading), loaded: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, EntryState<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_live(&self) -> bool {
        match &*self.state() {
            EntryState::Loading => true,
            EntryState::Loaded(model) => model.strong_count() > 0,
            EntryState::Failed(_) => false,
        }
    }

    /// Waits while the model is being loaded. Returns a lease or the error; `None` if the model was
    /// freed, or was loaded from files that have changed since.
    fn wait(&self) -> Option<Result<ModelLease<V>, EngineError>> {
        let mut state = self.state();
        while matches!(*state, EntryState::Loading) {
            state = self.loaded.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match &*state {
            EntryState::Loading => None,
            EntryState::Failed(error) => Some(Err(error.clone())),
            EntryState::Loaded(model) => {
                let model = model.upgrade()?;
                drop(state);
                model.is_current().then(|| Ok(ModelLease::new(model)))
            }
        }
    }
}

/// Publishes the outcome of a load on drop, also when the load panics.
struct LoadOutcome<'a, V> {
    registry: &'a SharedModels<V>,
    key: &'a SharedModelKey,
    entry: &'a Arc<SharedEntry<V>>,
    state: Option<EntryState<V>>,
}

impl<V> Drop for LoadOutcome<'_, V> {
    fn drop(&mut self) {
        let state = self.state.take().unwrap_or_else(|| {
            let reason = "the engine panicked while it loaded the model".to_owned();
            EntryState::Failed(EngineError::Unavailable { reason })
        });
        if matches!(state, EntryState::Failed(_)) {
            // A failure is not kept: the next call tries again.
            let mut entries = self.registry.entries();
            if entries.get(self.key).is_some_and(|entry| Arc::ptr_eq(entry, self.entry)) {
                entries.remove(self.key);
            }
        }
        *self.entry.state() = state;
        self.entry.loaded.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn embedded() -> ModelSource {
        ModelSource::Embedded("m".to_owned())
    }

    #[allow(clippy::unnecessary_wraps)]
    fn value(number: usize) -> Result<LoadedFiles<usize>, EngineError> {
        Ok(LoadedFiles { value: number, files: Vec::new() })
    }

    #[test]
    fn loads_one_model_once() {
        let models = SharedModels::default();
        let loads = AtomicUsize::new(0);
        let barrier = Barrier::new(16);
        let get = || {
            barrier.wait();
            let lease = models.get_or_load(&embedded(), || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                value(loads.fetch_add(1, Ordering::SeqCst))
            });
            lease.unwrap()
        };
        let leases: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(get)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert!(leases.iter().all(|lease| lease.id() == leases[0].id() && lease.users() == 16));
    }

    #[test]
    fn last_lease_frees_the_model() {
        let models = SharedModels::default();
        let first = models.get_or_load(&embedded(), || value(1)).unwrap();
        let second = models.get_or_load(&embedded(), || value(2)).unwrap();
        drop(first);
        assert_eq!((*second, second.users()), (1, 1));
        drop(second);
        assert_eq!(*models.get_or_load(&embedded(), || value(3)).unwrap(), 3);
    }

    #[test]
    fn failed_load_fails_all_waiters_once() {
        let models = SharedModels::<usize>::default();
        let (begun, wait) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                models.get_or_load(&embedded(), || {
                    begun.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    Err(EngineError::Unavailable { reason: "scripted".to_owned() })
                })
            });
            wait.recv().unwrap();
            let second = models.get_or_load(&embedded(), || value(2));
            // The second call either waited for the failure, or came after it.
            assert!(second.is_ok_and(|lease| *lease == 2) || first.join().unwrap().is_err());
        });
        assert_eq!(*models.get_or_load(&embedded(), || value(3)).unwrap(), 3);
    }

    #[test]
    fn panicking_load_does_not_block_the_next() {
        let models = SharedModels::<usize>::default();
        let panics = || {
            let load = || std::panic::resume_unwind(Box::new("scripted"));
            models.get_or_load(&embedded(), load).map(drop)
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(*models.get_or_load(&embedded(), || value(1)).unwrap(), 1);
    }

    #[test]
    fn replaced_file_is_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, "one").unwrap();
        let source = ModelSource::File(path.clone());
        let models = SharedModels::default();
        let old = models.get_or_load(&source, || value(1)).unwrap();
        std::fs::write(folder.path().join("new"), "other").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        let new = models.get_or_load(&source, || value(2)).unwrap();
        assert_eq!((*old, *new, new.users()), (1, 2, 1));
    }

    #[test]
    fn changed_weight_file_is_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let (path, weights) = (folder.path().join("m.onnx"), folder.path().join("m.data"));
        std::fs::write(&path, "model").unwrap();
        std::fs::write(&weights, "weights").unwrap();
        let source = ModelSource::File(path);
        let load = |number| Ok(LoadedFiles { value: number, files: vec![weights.clone()] });
        let models = SharedModels::default();
        let old = models.get_or_load(&source, || load(1)).unwrap();
        assert_eq!(*models.get_or_load(&source, || load(2)).unwrap(), 1);
        std::fs::write(&weights, "other weights").unwrap();
        let new = models.get_or_load(&source, || load(3)).unwrap();
        assert_eq!((*old, *new), (1, 3));
    }

    #[cfg(unix)]
    #[test]
    fn links_to_one_file_share_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("m.onnx"), folder.path().join("link.onnx"));
        std::fs::write(&path, "model").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let models = SharedModels::default();
        let first = models.get_or_load(&ModelSource::File(path), || value(1)).unwrap();
        let second = models.get_or_load(&ModelSource::File(link), || value(2)).unwrap();
        assert_eq!((*first, *second, first.users()), (1, 1, 2));
    }
}
