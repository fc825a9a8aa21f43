//! The revisions of the saved layouts that this console has loaded or saved, so that a save does not
//! undo what another program has written since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::layout::Layout;
use crate::scheduler::{
    LayoutRevision, LayoutStore, LayoutStoreError, SaveCondition, SaveReceipt, SavedLayout,
};

/// The known revisions by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownRevisions(Arc<Mutex<BTreeMap<String, LayoutRevision>>>);

impl KnownRevisions {
    /// Notes the revision of a layout that has become the live one.
    pub(super) fn insert(&self, name: String, revision: LayoutRevision) {
        self.lock().insert(name, revision);
    }

    /// Reads a layout to load it.
    ///
    /// # Errors
    /// As [`LayoutStore::read`].
    pub(super) fn load(
        &self,
        store: &dyn LayoutStore,
        name: &str,
    ) -> Result<Layout, LayoutStoreError> {
        let SavedLayout { layout, revision } = store.read(name)?;
        self.insert(name.to_owned(), revision);
        Ok(layout)
    }

    /// Saves a layout. If another program has changed it since it was loaded, the first attempt is
    /// refused, and the next one overwrites it.
    ///
    /// # Errors
    /// A message for the screen.
    pub(super) fn save(
        &self,
        store: &dyn LayoutStore,
        name: &str,
        layout: &Layout,
    ) -> Result<SaveReceipt, String> {
        let known = self.lock().remove(name);
        let condition = known.clone().map_or(SaveCondition::Always, SaveCondition::Unchanged);
        match store.save(name, layout, &condition) {
            Ok(receipt) => {
                self.insert(name.to_owned(), receipt.revision.clone());
                Ok(receipt)
            }
            Err(LayoutStoreError::Changed(_)) => Err(format!(
                "another program has changed {name} since it was loaded: save again to overwrite \
                 it, or load it again"
            )),
            Err(error) => {
                if let Some(known) = known {
                    self.insert(name.to_owned(), known);
                }
                Err(error.to_string())
            }
        }
    }

    /// Forgets a layout that was renamed or deleted.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, LayoutRevision>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
