//! Searches for ONNX Runtime libraries. The search only lists folders: it loads no library and runs
//! no program.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Serialize;

/// The reason why a folder or file is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LibraryOrigin {
    /// Named by `--ort-dylib`.
    Option,
    /// Named by the environment variable `ORT_DYLIB_PATH`.
    Environment,
    /// Beside the executable.
    Executable,
    /// Installed by `divvy runtime install`.
    Installed,
    /// In a folder of the system's loader.
    System,
    /// Part of a Python installation's package `onnxruntime`.
    Python,
}

impl LibraryOrigin {
    /// Returns the text for messages.
    pub fn description(self) -> &'static str {
        match self {
            Self::Option => "--ort-dylib",
            Self::Environment => "ORT_DYLIB_PATH",
            Self::Executable => "beside the executable",
            Self::Installed => "divvy runtime install",
            Self::System => "system library folder",
            Self::Python => "Python package",
        }
    }
}

/// A searched place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LibraryPlace {
    /// The reason for the search.
    pub origin: LibraryOrigin,
    /// The folder, or the file that was named.
    pub path: PathBuf,
    /// Libraries in it, newest first.
    pub libraries: Vec<PathBuf>,
}

/// Returns all places in search order. If `explicit` or else `ORT_DYLIB_PATH` names a library,
/// returns only that place.
pub fn places(explicit: Option<&Path>) -> Vec<LibraryPlace> {
    let named = explicit.map(|path| (LibraryOrigin::Option, path.to_owned())).or_else(|| {
        env::var_os("ORT_DYLIB_PATH")
            .filter(|path| !path.is_empty())
            .map(|path| (LibraryOrigin::Environment, PathBuf::from(path)))
    });
    if let Some((origin, path)) = named {
        // the loader would search the system's folders for a bare file name
        let path = std::path::absolute(&path).unwrap_or(path);
        let libraries = if path.is_dir() { libraries_in(&path) } else { vec![path.clone()] };
        return vec![LibraryPlace { origin, path, libraries }];
    }
    let mut folders: Vec<(LibraryOrigin, PathBuf)> = Vec::new();
    if let Some(folder) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        folders.push((LibraryOrigin::Executable, folder.to_owned()));
    }
    if let Some(folder) = install_folder() {
        let mut versions = subfolders(&folder);
        // prefer the CUDA build of a version: it runs models on the CPU too
        let is_gpu = |path: &Path| path.to_str().is_some_and(|path| path.ends_with(GPU_SUFFIX));
        versions.sort_by_key(|path| Reverse((numbers(path.file_name()), is_gpu(path))));
        folders.push((LibraryOrigin::Installed, folder));
        folders.extend(versions.into_iter().map(|path| (LibraryOrigin::Installed, path)));
    }
    folders.extend(system_folders().into_iter().map(|path| (LibraryOrigin::System, path)));
    folders.extend(python_folders().into_iter().map(|path| (LibraryOrigin::Python, path)));
    let mut places: Vec<LibraryPlace> = Vec::new();
    for (origin, path) in folders {
        if places.iter().all(|place| place.path != path) && path.is_dir() {
            let libraries = libraries_in(&path);
            places.push(LibraryPlace { origin, path, libraries });
        }
    }
    places
}

/// Returns the folder of `divvy runtime install`, with one subfolder per version; `None` without a
/// home directory.
pub fn install_folder() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.data_dir().join("divvy").join("onnxruntime"))
}

/// Suffix of the folder name of an installed CUDA build.
pub const GPU_SUFFIX: &str = "-gpu";

/// Returns true if the name is that of a provider file, which a CUDA build has beside its library.
pub fn is_cuda_provider(name: &str) -> bool {
    let name = name.strip_prefix("lib").unwrap_or(name);
    let parts = ["onnxruntime_providers_cuda", "onnxruntime_providers_shared"];
    parts.iter().any(|part| {
        name.strip_prefix(part).is_some_and(|rest| [".so", ".dll", ".dylib"].contains(&rest))
    })
}

/// Returns true if the CUDA provider is beside the library, which makes it a CUDA build.
pub fn has_cuda(library: &Path) -> bool {
    let beside = |folder: &Path| {
        let names = ["libonnxruntime_providers_cuda.so", "onnxruntime_providers_cuda.dll"];
        names.iter().any(|name| folder.join(name).is_file())
    };
    library.parent().is_some_and(beside)
}

/// Returns true if the name is that of an ONNX Runtime library on this system.
pub fn is_library_name(name: &str) -> bool {
    if cfg!(target_os = "windows") {
        name.eq_ignore_ascii_case("onnxruntime.dll")
    } else if cfg!(target_os = "macos") {
        name.strip_prefix("libonnxruntime")
            .and_then(|rest| rest.strip_suffix(".dylib"))
            .is_some_and(|version| {
                version.chars().all(|letter| letter == '.' || letter.is_ascii_digit())
            })
    } else {
        name.strip_prefix("libonnxruntime.so").is_some_and(|version| {
            version.chars().all(|letter| letter == '.' || letter.is_ascii_digit())
        })
    }
}

fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_library_name))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    found.sort_by_key(|path| Reverse(numbers(path.file_name())));
    found
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Returns the numbers in a name, as a sort key: 1.10 sorts above 1.9.
fn numbers(name: Option<&OsStr>) -> Vec<u64> {
    name.and_then(OsStr::to_str)
        .unwrap_or_default()
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn system_folders() -> Vec<PathBuf> {
    let variable = if cfg!(target_os = "windows") {
        "PATH"
    } else if cfg!(target_os = "macos") {
        "DYLD_LIBRARY_PATH"
    } else {
        "LD_LIBRARY_PATH"
    };
    let mut folders: Vec<PathBuf> = env::var_os(variable)
        .map(|paths| env::split_paths(&paths).filter(|path| path.is_absolute()).collect())
        .unwrap_or_default();
    let fixed: &[&str] = if cfg!(target_os = "windows") {
        // skip System32: Windows' own copy there is too old
        &[]
    } else if cfg!(target_os = "macos") {
        &["/opt/homebrew/lib", "/usr/local/lib", "/opt/local/lib"]
    } else {
        &["/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib", "/opt/onnxruntime/lib"]
    };
    folders.extend(fixed.iter().map(PathBuf::from));
    if cfg!(target_os = "linux") {
        let triple = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
        folders.push(PathBuf::from(triple));
    }
    folders
}

/// Returns the `onnxruntime/capi` folders of the active environment, of each Python on the path,
/// and of the user.
fn python_folders() -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> =
        ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(env::var_os).map(PathBuf::from).collect();
    let on_path = env::var_os("PATH").unwrap_or_default();
    for folder in env::split_paths(&on_path) {
        let python = folder.join(if cfg!(windows) { "python.exe" } else { "python3" });
        if !python.is_file() {
            continue;
        }
        // search beside the link, as in a virtual environment, and beside its target
        for path in
            [Some(python.clone()), std::fs::canonicalize(&python).ok()].into_iter().flatten()
        {
            let prefix = if cfg!(windows) { path.parent() } else { path.ancestors().nth(2) };
            prefixes.extend(prefix.map(Path::to_owned));
        }
    }
    if let Ok(home) = etcetera::home_dir() {
        prefixes.push(home.join(".local"));
    }
    let mut found = Vec::new();
    for prefix in prefixes {
        let windows = prefix.join("Lib");
        let mut libraries = subfolders(&prefix.join("lib"));
        libraries.retain(|path| {
            path.file_name().and_then(OsStr::to_str).is_some_and(|it| it.starts_with("python3"))
        });
        libraries.sort_by_key(|path| Reverse(numbers(path.file_name())));
        libraries.push(windows);
        for library in libraries {
            for packages in ["site-packages", "dist-packages"] {
                found.push(library.join(packages).join("onnxruntime").join("capi"));
            }
        }
    }
    found
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn library_is_recognized_by_name() {
        for name in ["libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so.1.31.1"] {
            assert!(is_library_name(name), "{name}");
        }
        for name in ["libonnxruntime_providers_shared.so", "libonnx.so", "libonnxruntime.so.bak"] {
            assert!(!is_library_name(name), "{name}");
        }
    }

    #[test]
    fn newest_version_in_a_folder_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["1.9.0", "1.31.1", "1.30.2"] {
            std::fs::write(folder.path().join(format!("libonnxruntime.so.{version}")), "").unwrap();
        }
        let found = libraries_in(folder.path());
        assert_eq!(found.len(), 3);
        assert!(found[0].ends_with("libonnxruntime.so.1.31.1"));
        assert!(found[2].ends_with("libonnxruntime.so.1.9.0"));
    }

    #[test]
    fn named_library_is_the_only_place() {
        let found = places(Some(Path::new("/nowhere/lib.so")));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].origin, LibraryOrigin::Option);
        assert_eq!(found[0].libraries, [PathBuf::from("/nowhere/lib.so")]);
    }
}
