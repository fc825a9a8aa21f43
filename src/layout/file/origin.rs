//! Where a layout's text comes from, and what the paths in it mean.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::layout::ModelSource;

/// The models that are part of the executable, by file name.
pub(crate) const EMBEDDED_MODELS: &[&str] = &["detector.onnx", "embedder.onnx", "ranker.onnx"];

/// How a layout names an embedded model.
pub(super) const EMBEDDED_PREFIX: &str = "embedded:";

/// The folder of the models as the embedded layouts write it.
const ASSETS: &str = "../assets/models/";

/// Where a layout's text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file; relative paths start at its folder (a symlink's target's folder).
    File(PathBuf),
    /// Part of the executable, under this name; `../assets/models/X.onnx` is the embedded model X.
    Embedded(String),
    /// Standard input; relative paths start at the current folder.
    Stdin,
    /// Nowhere yet; paths in it are absolute.
    Unsaved,
}

impl Origin {
    /// The name that messages show.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Embedded(name) => format!("{name} (embedded)"),
            Self::Stdin => "standard input".to_owned(),
            Self::Unsaved => "unsaved layout".to_owned(),
        }
    }

    /// The folder at which relative paths start: absolute, without symlinks where it exists.
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

    /// What a model's path means.
    pub(super) fn model(&self, folder: Option<&Path>, written: &str) -> ModelSource {
        if let Some(name) = written.strip_prefix(EMBEDDED_PREFIX) {
            return ModelSource::Embedded(name.to_owned());
        }
        if let (Self::Embedded(_), Some(name)) = (self, written.strip_prefix(ASSETS)) {
            return ModelSource::Embedded(name.to_owned());
        }
        ModelSource::File(resolve(folder, written))
    }

    /// How this origin's text names an embedded model.
    pub(super) fn embedded_text(&self, name: &str) -> String {
        match self {
            Self::File(_) | Self::Stdin | Self::Unsaved => format!("{EMBEDDED_PREFIX}{name}"),
            Self::Embedded(_) => format!("{ASSETS}{name}"),
        }
    }
}

/// What a path of the text means. `folder` is [`Origin::folder`].
pub(super) fn resolve(folder: Option<&Path>, written: &str) -> PathBuf {
    normalize(&folder.unwrap_or_else(|| Path::new("/")).join(written))
}

/// Takes `.` and `..` out of an absolute path the way the kernel does: `..` of a symlink is the
/// parent of what it points to.
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

/// The path from a folder to a file, both absolute and without `..`, with `/` between the parts;
/// `None` where there is no such path (another drive) or it is not text.
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
    let text = parts.join("/");
    // a file whose own name looks like the prefix must not be read as an embedded model
    Some(if text.starts_with(EMBEDDED_PREFIX) { format!("./{text}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_between_folders() {
        for (from, to, want) in [
            ("/a/b", "/a/b/x.onnx", "x.onnx"),
            ("/a/b", "/a/c/x.onnx", "../c/x.onnx"),
            ("/a", "/x.onnx", "../x.onnx"),
            ("/a", "/a/embedded:x", "./embedded:x"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)).as_deref(), Some(want));
        }
    }

    #[test]
    fn the_demo_names_embedded_models() {
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
    fn the_parent_of_a_symlink_is_the_parent_of_its_target() {
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
