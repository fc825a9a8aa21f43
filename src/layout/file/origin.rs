//! Origins of layouts, and the meaning of relative paths in them.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::layout::ModelSource;

/// The models that are part of the executable, by file name.
pub(crate) const EMBEDDED_MODELS: &[&str] = &["detector.onnx", "embedder.onnx", "ranker.onnx"];

/// The prefix of a `path` that names an embedded model.
pub(super) const EMBEDDED_PREFIX: &str = "embedded:";

/// The folder of the models, as embedded layouts write it.
const ASSETS: &str = "../assets/models/";

/// The origin of a layout's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file. Relative paths start at its folder; for a symlink, at the folder of its target.
    File(PathBuf),
    /// A layout of this name in the executable. `../assets/models/X.onnx` is the embedded model X.
    Embedded(String),
    /// Standard input; relative paths start at the current folder.
    Stdin,
    /// A layout without a file. Its paths are absolute.
    Unsaved,
}

impl Origin {
    /// Returns the name for messages.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Embedded(name) => format!("{name} (embedded)"),
            Self::Stdin => "standard input".to_owned(),
            Self::Unsaved => "unsaved layout".to_owned(),
        }
    }

    /// Returns the folder at which relative paths start: absolute and, if it exists, without symlinks.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let path = match self {
            Self::File(path) => path,
            Self::Stdin => return std::env::current_dir().ok(),
            Self::Embedded(_) | Self::Unsaved => return None,
        };
        let target = fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok()?;
        let folder = target.parent()?;
        Some(fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf()))
    }

    /// Returns the model that a `path` means.
    pub(super) fn model(&self, folder: Option<&Path>, written: &str) -> ModelSource {
        if let Some(name) = written.strip_prefix(EMBEDDED_PREFIX) {
            return ModelSource::Embedded(name.to_owned());
        }
        if let (Self::Embedded(_), Some(name)) = (self, written.strip_prefix(ASSETS)) {
            return ModelSource::Embedded(name.to_owned());
        }
        ModelSource::File(resolve(folder, written))
    }

    /// Returns the `path` of an embedded model in a layout of this origin.
    pub(super) fn embedded_text(&self, name: &str) -> String {
        match self {
            Self::File(_) | Self::Stdin | Self::Unsaved => format!("{EMBEDDED_PREFIX}{name}"),
            Self::Embedded(_) => format!("{ASSETS}{name}"),
        }
    }
}

/// Returns the absolute path that a path in the text means. `folder` is [`Origin::folder`].
pub(super) fn resolve(folder: Option<&Path>, written: &str) -> PathBuf {
    normalize(&folder.unwrap_or_else(|| Path::new("/")).join(written))
}

/// Removes `.` and `..` from an absolute path as the kernel does: the `..` of a symlink is the parent
/// of its target.
fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if let Ok(real) = fs::canonicalize(&out) {
                    out = real;
                }
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Returns the path from a folder to a file, separated by `/`; both are absolute and without `..`.
/// `None` if there is no such path (another drive) or it is not UTF-8.
pub(super) fn relative(folder: &Path, file: &Path) -> Option<String> {
    let from: Vec<Component<'_>> = folder.components().collect();
    let to: Vec<Component<'_>> = file.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return None;
    }
    let up = std::iter::repeat_n("..", from.len() - common);
    let mut parts: Vec<&str> = up.collect();
    for part in to.iter().skip(common) {
        parts.push(part.as_os_str().to_str()?);
    }
    let text = if parts.is_empty() { ".".to_owned() } else { parts.join("/") };
    // a file whose name starts with the prefix must not be taken for an embedded model
    Some(if text.starts_with(EMBEDDED_PREFIX) { format!("./{text}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_between_folders() {
        for (from, to, want) in [
            ("/a/b", "/a/b/x.onnx", "x.onnx"),
            ("/a/b", "/a/c/x.onnx", "../c/x.onnx"),
            ("/a", "/x.onnx", "../x.onnx"),
            ("/a", "/a/embedded:x", "./embedded:x"),
            ("/a", "/a", "."),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)).as_deref(), Some(want));
        }
    }

    #[test]
    fn demo_names_embedded_models() {
        let demo = Origin::Embedded("demo".into());
        let want = ModelSource::Embedded("ranker.onnx".into());
        assert_eq!(demo.model(None, "../assets/models/ranker.onnx"), want);
        assert_eq!(demo.embedded_text("ranker.onnx"), "../assets/models/ranker.onnx");
        let file = Origin::File("/l/x.toml".into());
        assert_eq!(file.model(Some(Path::new("/l")), "embedded:ranker.onnx"), want);
        assert_eq!(
            file.model(Some(Path::new("/l")), "../assets/models/ranker.onnx"),
            ModelSource::File("/assets/models/ranker.onnx".into())
        );
    }

    #[test]
    fn parent_of_symlink_is_parent_of_target() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("real/inner")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.join("real/inner"), root.join("link")).unwrap();
            assert_eq!(normalize(&root.join("link/../x")), root.join("real/x"));
        }
        assert_eq!(normalize(&root.join("gone/./../x")), root.join("x"));
    }
}
