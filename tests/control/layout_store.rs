//! Saved layouts of the host.

use divvy::Control;
use divvy::control::api::{ErrorKind, SaveBody};
use divvy::layout::Layout;
use divvy::scheduler::{
    CurrentLayout, LayoutRevision, LayoutStore, LayoutStoreError, Profile, SaveCondition,
    SaveReceipt, SavedLayout,
};

use super::host::{TestHost, kind};

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

#[test]
fn layouts_are_saved_on_the_host() {
    let host = TestHost::new();
    let client = host.client("test");
    let layout = host.scheduler.layout();
    let body = |condition| SaveBody { layout: layout.clone(), condition };
    assert_eq!(client.save_layout("my night", &body(SaveCondition::New)).unwrap().place, "memory");
    let again = client.save_layout("my night", &body(SaveCondition::New)).unwrap_err();
    assert_eq!(kind(&again), ErrorKind::Refused);
    assert_eq!(client.stored_layout("my night").unwrap().layout, layout);
    client.set_current_layout(&CurrentLayout::default()).unwrap();
    client.rename_layout("my night", "day").unwrap();
    assert_eq!(client.layouts().unwrap().layouts[0].name, "day");
    client.delete_layout("day").unwrap();
    assert_eq!(kind(&client.delete_layout("day").unwrap_err()), ErrorKind::NotFound);
    assert_eq!(kind(&client.stored_layout("../x").unwrap_err()), ErrorKind::BadRequest);
}
