//! The live layout of the last run of each name, from which `--resume` starts.
//!
//! `runs/NAME.toml` in the state folder is the layout, and `runs/NAME.json` has the saved layout from which it
//! comes, with the text of its file: if that has changed by the next start, the difference can be applied.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::live_layout::LayoutOrigin;
use super::preload::RequiredModels;
use super::saved_layout;
use super::startup_layout::StartupLayout;
use super::state_file;
use crate::layout::{Document, FileCheck, Layout, Origin};
use crate::scheduler::LayoutRevision;

/// The folder in the state folder.
const FOLDER: &str = "runs";

/// The files of one name.
pub(super) struct NamedLayout {
    folder: PathBuf,
    name: String,
    info: NamedLayoutInfo,
}

/// The content of `NAME.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct NamedLayoutInfo {
    version: u32,
    /// The saved layout.
    #[serde(flatten)]
    origin: LayoutOrigin,
    /// The text of its file when it was opened or saved last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// The layout of an earlier run of the name.
pub(super) struct ResumedLayout {
    /// The layout.
    pub layout: StartupLayout,
    /// The layout that its file had in that run; `None` if it has no file.
    pub base: Option<Layout>,
}

impl NamedLayoutInfo {
    /// The format version that this build writes, and the newest that it reads.
    const VERSION: u32 = 1;
}

impl NamedLayout {
    /// The files of a name in a state folder.
    pub(super) fn new(state_folder: &Path, name: &str) -> Self {
        let (folder, name) = (state_folder.join(FOLDER), name.to_owned());
        let mut named = Self { folder, name, info: NamedLayoutInfo::default() };
        named.info = named.read_info().ok().flatten().unwrap_or_default();
        named.info.version = NamedLayoutInfo::VERSION;
        named
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// Reads the layout of the last run; `None` if there was none.
    ///
    /// # Errors
    /// A message if it cannot be used.
    pub(super) fn read(&self) -> Result<Option<ResumedLayout>, String> {
        let Some(info) = self.read_info()?.filter(|_| self.path("toml").is_file()) else {
            return Ok(None);
        };
        let document = Layout::read(&self.path("toml"), FileCheck::Skipped)
            .map_err(|faults| faults.to_string())?;
        let origin = info.origin;
        let file = origin.file().zip(origin.revision());
        let opened = file.and_then(|(path, revision)| saved_layout::unchanged(path, revision));
        let base = origin.file().zip(info.file).and_then(|(path, text)| {
            let origin = Origin::File(path.to_owned());
            Document::parse(&text, &origin, FileCheck::Skipped).ok()
        });
        let layout = StartupLayout {
            document,
            path: origin.file().map(Path::to_owned),
            title: origin.title,
            required: RequiredModels::Any,
            opened,
        };
        Ok(Some(ResumedLayout { layout, base: base.map(|base| base.layout().clone()) }))
    }

    fn read_info(&self) -> Result<Option<NamedLayoutInfo>, String> {
        let path = self.path("json");
        state_file::read(&path, NamedLayoutInfo::VERSION)
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Takes note of the saved layout, with the text of its file.
    fn note_origin(&mut self, origin: &LayoutOrigin) {
        let text = origin.file().and_then(|path| fs::read_to_string(path).ok());
        let is_it = |text: &String| Some(&LayoutRevision::of(text)) == origin.revision();
        let before = std::mem::replace(&mut self.info.origin, origin.clone());
        match text.filter(is_it) {
            Some(text) => self.info.file = Some(text),
            None if before.file() != origin.file() => self.info.file = None,
            // another program has changed the file since: the text of before stays, with its revision
            None => {
                let revision = before.revision().cloned();
                self.info.origin = origin.clone().with_revision(revision);
            }
        }
    }

    /// Writes both files.
    ///
    /// # Errors
    /// A message when one cannot be written.
    pub(super) fn save(
        &mut self,
        document: &Document,
        layout: &Layout,
        origin: &LayoutOrigin,
    ) -> Result<(), String> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        if self.info.origin != *origin {
            self.note_origin(origin);
        }
        // without models there is nothing to resume; the last layout with models stays
        if !layout.models.is_empty() {
            document.save(layout, &self.path("toml")).map_err(|error| error.to_string())?;
        }
        let path = self.path("json");
        state_file::write(&path, &self.info).map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_run_of_a_name_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("night.toml");
        let row =
            "version = 1\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\ncores = 1\n";
        fs::write(&path, row).unwrap();
        let document = Layout::read(&path, FileCheck::Skipped).unwrap();
        let revision = Some(LayoutRevision::of(document.text()));
        let origin = LayoutOrigin::new("night".into(), Some(path.clone())).with_revision(revision);
        let mut live = document.layout().clone();
        live.models[0].weight = 3;
        let mut named = NamedLayout::new(folder.path(), "prod");
        assert!(named.read().unwrap().is_none());
        named.save(&document, &live, &origin).unwrap();
        fs::write(&path, format!("{row}weight = 2\n")).unwrap();
        let newer = origin.clone().with_revision(Some(LayoutRevision::of("of another time")));
        named.save(&document, &live, &newer).unwrap();
        let resumed = NamedLayout::new(folder.path(), "prod").read().unwrap().unwrap();
        assert_eq!(resumed.layout.document.layout(), &live);
        assert_eq!(resumed.base.as_ref(), Some(document.layout()));
        assert_eq!((resumed.layout.path, resumed.layout.title), (Some(path), "night".to_owned()));
        assert!(resumed.layout.opened.is_none(), "its file has changed");
        assert!(NamedLayout::new(folder.path(), "other").read().unwrap().is_none());
    }
}
