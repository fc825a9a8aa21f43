//! The saved layouts that this console has loaded or saved, as they were then, so that a save does
//! not undo what another program has written since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout_loading::load;
use super::state::{FileComparison, SaveFailure, SaveTarget, SavedRows};
use crate::layout::{Layout, LayoutVersions, diff};
use crate::scheduler::{
    Control, LayoutRevision, LayoutStore, LayoutStoreError, SaveCondition, SaveReceipt, SavedLayout,
};

/// The known layouts by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownLayouts(Arc<Mutex<BTreeMap<String, SavedLayout>>>);

impl KnownLayouts {
    /// Notes a saved layout that has become the live one.
    pub(super) fn insert(&self, name: &str, saved: SavedLayout) {
        self.lock().insert(name.to_owned(), saved);
    }

    /// Returns the revision of a layout when it was last loaded or saved.
    pub(super) fn revision(&self, name: &str) -> Option<LayoutRevision> {
        self.lock().get(name).map(|saved| saved.revision.clone())
    }

    /// Forgets a layout that was deleted.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Renames a layout in the store.
    ///
    /// # Errors
    /// As [`LayoutStore::rename`].
    pub(super) fn rename(
        &self,
        store: &dyn LayoutStore,
        from: &str,
        to: &str,
    ) -> Result<(), LayoutStoreError> {
        let before = store.read(from);
        store.rename(from, to)?;
        let known = self.lock().remove(from);
        // the rename rewrites the paths in the file, so it has another revision
        if let (Some(known), Ok(before)) = (known, before)
            && known.revision == before.revision
            && let Ok(after) = store.read(to)
            && after.layout == known.layout
        {
            self.insert(to, after);
        }
        Ok(())
    }

    /// Saves the live layout under a name.
    ///
    /// # Errors
    /// [`SaveFailure`] if the target must not be written without another question, or cannot be.
    pub(super) fn save(
        &self,
        store: &dyn LayoutStore,
        control: &dyn Control,
        name: &str,
        target: SaveTarget,
    ) -> Result<SavedRows, SaveFailure> {
        let known = self.lock().get(name).cloned();
        let condition = match (target, &known) {
            (SaveTarget::Opened, Some(known)) => SaveCondition::Unchanged(known.revision.clone()),
            (SaveTarget::Opened, None) | (SaveTarget::New, _) => SaveCondition::New,
            (SaveTarget::Any, _) => SaveCondition::Always,
            (SaveTarget::Compared(revision), _) => SaveCondition::Unchanged(revision),
            (SaveTarget::Merged(revision), _) => {
                return self.save_merged(store, control, name, revision);
            }
        };
        let layout = control.layout();
        let result = match (store.save(name, &layout, &condition), &known) {
            (Err(LayoutStoreError::Changed(_)), Some(known)) => {
                let file = store.read(name).map_err(|error| failed(&error))?;
                // nothing is lost: only comments changed, or both made the same changes
                if file.layout != known.layout && file.layout != layout {
                    return Err(compare(known, file, &layout));
                }
                store.save(name, &layout, &SaveCondition::Unchanged(file.revision))
            }
            (result, _) => result,
        };
        match result {
            Ok(receipt) => Ok(self.saved(name, layout, receipt)),
            Err(LayoutStoreError::NameTaken(_)) => Err(SaveFailure::NameTaken),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Merges the changes of the file into the live layout, then saves it.
    fn save_merged(
        &self,
        store: &dyn LayoutStore,
        control: &dyn Control,
        name: &str,
        compared: LayoutRevision,
    ) -> Result<SavedRows, SaveFailure> {
        let live = control.layout();
        let Some(known) = self.lock().get(name).cloned() else {
            return Err(SaveFailure::NameTaken);
        };
        let file = store.read(name).map_err(|error| failed(&error))?;
        let versions = LayoutVersions { base: &known.layout, file: &file.layout, live: &live };
        let merged = match versions.merge() {
            Ok(merged) if file.revision == compared => merged,
            // it has changed again since it was compared
            _ => return Err(compare(&known, file, &live)),
        };
        let applied = if merged == live {
            None
        } else {
            load(control, merged.clone()).map_err(|reason| {
                SaveFailure::Failed(format!("the changes of the file are refused: {reason}"))
            })?
        };
        match store.save(name, &merged, &SaveCondition::Unchanged(compared)) {
            Ok(receipt) => {
                let saved = self.saved(name, merged, receipt);
                Ok(SavedRows { merged: applied.map(Box::new), ..saved })
            }
            Err(error) if applied.is_some() => Err(SaveFailure::Failed(format!(
                "{error}\nThe changes of the file are in force all the same."
            ))),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Notes a layout that was saved.
    fn saved(&self, name: &str, layout: Layout, receipt: SaveReceipt) -> SavedRows {
        let SaveReceipt { place, revision } = receipt;
        let rows = layout.models.clone();
        self.insert(name, SavedLayout { layout, revision, read_only: false });
        SavedRows { rows, place, merged: None }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SavedLayout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: &LayoutStoreError) -> SaveFailure {
    SaveFailure::Failed(error.to_string())
}

/// Compares a file that another program has changed with the layout as it was loaded and with the
/// live one.
fn compare(known: &SavedLayout, file: SavedLayout, live: &Layout) -> SaveFailure {
    let base = &known.layout;
    let conflicts = LayoutVersions { base, file: &file.layout, live }.merge().err();
    let lines = |layout: &Layout| diff(base, layout).iter().map(ToString::to_string).collect();
    SaveFailure::Changed(Box::new(FileComparison {
        in_file: lines(&file.layout),
        here: lines(live),
        conflicts: conflicts.iter().flatten().map(ToString::to_string).collect(),
        revision: file.revision,
    }))
}
