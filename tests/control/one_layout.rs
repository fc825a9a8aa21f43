//! A store that keeps one layout in memory.

use divvy::layout::Layout;
use divvy::scheduler::{
    CurrentLayout, LayoutRevision, LayoutStore, LayoutStoreError, Profile, SaveCondition,
    SaveReceipt, SavedLayout,
};

/// A store that keeps one layout in memory.
#[derive(Default)]
pub(crate) struct OneLayout(std::sync::Mutex<Option<(String, Layout)>>);

impl LayoutStore for OneLayout {
    fn list(&self) -> Result<Vec<Profile>, LayoutStoreError> {
        let saved = self.0.lock().unwrap();
        let names = saved.iter().map(|(name, _)| name.clone());
        Ok(names.map(|name| Profile { name, ..Profile::default() }).collect())
    }

    fn read(&self, name: &str) -> Result<SavedLayout, LayoutStoreError> {
        let saved = self.0.lock().unwrap().clone();
        let missing = || LayoutStoreError::Missing { name: name.to_owned(), place: String::new() };
        let (_, layout) = saved.filter(|(known, _)| known == name).ok_or_else(missing)?;
        Ok(SavedLayout { layout, revision: LayoutRevision::of(name), read_only: false })
    }

    fn save(
        &self,
        name: &str,
        layout: &Layout,
        condition: &SaveCondition,
    ) -> Result<SaveReceipt, LayoutStoreError> {
        if *condition == SaveCondition::New && self.read(name).is_ok() {
            return Err(LayoutStoreError::NameTaken(name.to_owned()));
        }
        *self.0.lock().unwrap() = Some((name.to_owned(), layout.clone()));
        Ok(SaveReceipt { place: "memory".to_owned(), revision: LayoutRevision::of(name) })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LayoutStoreError> {
        let layout = self.read(from)?.layout;
        self.save(to, &layout, &SaveCondition::Always).map(|_| ())
    }

    fn delete(&self, name: &str) -> Result<(), LayoutStoreError> {
        self.read(name)?;
        *self.0.lock().unwrap() = None;
        Ok(())
    }

    fn set_current(&self, _: Option<&str>, _: Option<LayoutRevision>) {}

    fn current(&self) -> Option<CurrentLayout> {
        None
    }
}
