//! The files to unpack from a wheel, and the packages that it depends on.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zip::ZipArchive;

use super::write_error::cannot_write;
use crate::command::CommandError;
use crate::engine::onnxruntime::locate;

/// The files to unpack from a wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// ONNX Runtime's library.
    Runtime,
    /// The same with its provider for CUDA, which must lie beside it.
    RuntimeWithCuda,
    /// All shared libraries, of a package of NVIDIA's.
    Libraries,
}

impl Wanted {
    /// The name under which a file of the wheel is kept; `None` when it is not wanted.
    fn name(self, inside: &str, wheel: &str) -> Option<String> {
        let (parent, name) = inside.rsplit_once('/')?;
        let keep = |is_wanted: bool| is_wanted.then(|| name.to_owned());
        if self == Self::Libraries {
            if parent.ends_with("dist-info/licenses") || parent.ends_with("dist-info") {
                let is_licence = name.to_lowercase().starts_with("license");
                return is_licence.then(|| format!("{wheel}-{name}"));
            }
            return keep(
                parent.starts_with("nvidia/") && parent.ends_with("/lib") && is_shared(name),
            );
        }
        match parent {
            "onnxruntime" => keep(["LICENSE", "ThirdPartyNotices.txt"].contains(&name)),
            "onnxruntime/capi" => {
                let is_provider = locate::is_cuda_provider(name);
                keep(locate::is_library_name(name) || self == Self::RuntimeWithCuda && is_provider)
            }
            _ => None,
        }
    }
}

/// "libcudart.so.13": with or without a version.
fn is_shared(name: &str) -> bool {
    let has_ending = Path::new(name).extension().is_some_and(|ending| ending == "so");
    name.starts_with("lib") && (has_ending || name.contains(".so."))
}

fn open(wheel: &Path) -> Result<ZipArchive<File>, CommandError> {
    let file = File::open(wheel).map_err(|error| damaged(wheel, &error))?;
    ZipArchive::new(file).map_err(|error| damaged(wheel, &error))
}

fn damaged(wheel: &Path, error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Failed(format!("the wheel {} is damaged: {error}", wheel.display()))
}

/// Unpacks the wanted files and the licences into one folder. Returns the file name of ONNX Runtime's
/// library if it was among them.
///
/// # Errors
/// [`CommandError::Failed`] for a damaged wheel, or when the folder cannot be written.
pub(super) fn unpack(
    wheel: &Path,
    folder: &Path,
    wanted: Wanted,
) -> Result<Option<String>, CommandError> {
    let package = wheel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let package = package.split('-').next().unwrap_or_default();
    let mut archive = open(wheel)?;
    let mut library = None;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(wheel, &error))?;
        let inside = entry.name().map_err(|error| damaged(wheel, &error))?.into_owned();
        let Some(name) = wanted.name(&inside, package) else { continue };
        let target = folder.join(&name);
        let mut out = File::create(&target).map_err(|error| cannot_write(&target, &error))?;
        io::copy(&mut entry, &mut out).map_err(|error| cannot_write(&target, &error))?;
        out.sync_all().map_err(|error| cannot_write(&target, &error))?;
        if locate::is_library_name(&name) {
            library = Some(name);
        }
    }
    Ok(library)
}

/// The packages that the wheel of ONNX Runtime asks for in its extras `cuda` and `cudnn`, as pip
/// reads them ("nvidia-cufft~=12.0"); empty for versions that have no such extras.
///
/// # Errors
/// [`CommandError::Failed`] for a damaged wheel.
pub(super) fn cuda_packages(wheel: &Path) -> Result<Vec<String>, CommandError> {
    let mut archive = open(wheel)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(wheel, &error))?;
        let inside = entry.name().map_err(|error| damaged(wheel, &error))?.into_owned();
        if inside.ends_with(".dist-info/METADATA") {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(|error| damaged(wheel, &error))?;
            return Ok(required(&text));
        }
    }
    Ok(Vec::new())
}

/// Out of a wheel's metadata (core metadata specification, `Requires-Dist`).
fn required(metadata: &str) -> Vec<String> {
    let required = |line: &str| {
        let (package, condition) = line.strip_prefix("Requires-Dist:")?.split_once(';')?;
        // the word that `extra` is compared with: other comparisons may stand before it
        let mut extras = condition.split("extra").skip(1).filter_map(|rest| {
            rest.trim_start().strip_prefix("==")?.trim_start().split(['"', '\'']).nth(1)
        });
        extras
            .any(|extra| ["cuda", "cudnn"].contains(&extra))
            .then(|| package.trim().replace(' ', ""))
    };
    metadata.lines().filter_map(required).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn wheel_yields_library_with_licence() {
        let folder = tempfile::tempdir().unwrap();
        let library = if cfg!(windows) {
            "onnxruntime.dll"
        } else if cfg!(target_os = "macos") {
            "libonnxruntime.1.31.1.dylib"
        } else {
            "libonnxruntime.so.1.31.1"
        };
        let wheel = folder.path().join("a.whl");
        let mut writer = zip::ZipWriter::new(File::create(&wheel).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for name in [
            format!("onnxruntime/capi/{library}"),
            "onnxruntime/capi/onnxruntime_pybind11_state.so".to_owned(),
            "onnxruntime/LICENSE".to_owned(),
            format!("../../{library}"),
        ] {
            writer.start_file(name.clone(), options).unwrap();
            writer.write_all(name.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        let target = folder.path().join("out");
        fs::create_dir(&target).unwrap();
        assert_eq!(unpack(&wheel, &target, Wanted::Runtime).unwrap().as_deref(), Some(library));
        let mut names: Vec<String> = fs::read_dir(&target)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["LICENSE", library]);
    }

    #[test]
    fn cuda_libraries_are_put_beside_the_library() {
        let folder = tempfile::tempdir().unwrap();
        let packed = |name: &str, files: &[&str]| {
            let wheel = folder.path().join(name);
            let mut writer = zip::ZipWriter::new(File::create(&wheel).unwrap());
            for file in files {
                writer.start_file(*file, zip::write::SimpleFileOptions::default()).unwrap();
                writer.write_all(file.as_bytes()).unwrap();
            }
            writer.finish().unwrap();
            wheel
        };
        let runtime = packed(
            "onnxruntime_gpu-1.31.1-cp312.whl",
            &[
                "onnxruntime/capi/libonnxruntime.so.1.31.1",
                "onnxruntime/capi/libonnxruntime_providers_cuda.so",
                "onnxruntime/capi/libonnxruntime_providers_shared.so",
                "onnxruntime/capi/libonnxruntime_providers_tensorrt.so",
                "onnxruntime/LICENSE",
            ],
        );
        let nvidia = packed(
            "nvidia_cufft-12.5.0.14-py3.whl",
            &[
                "nvidia/cu13/lib/libcufft.so.12",
                "nvidia/cu13/include/cufft.h",
                "nvidia/cu13/lib/../../libbad.so",
                "nvidia_cufft-12.5.0.14.dist-info/licenses/License.txt",
                "nvidia_cufft-12.5.0.14.dist-info/RECORD",
            ],
        );
        let target = folder.path().join("out");
        fs::create_dir(&target).unwrap();
        let library = unpack(&runtime, &target, Wanted::RuntimeWithCuda).unwrap();
        assert_eq!(library.as_deref(), Some("libonnxruntime.so.1.31.1"));
        assert_eq!(unpack(&nvidia, &target, Wanted::Libraries).unwrap(), None);
        let mut names: Vec<String> = fs::read_dir(&target)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "LICENSE",
                "libcufft.so.12",
                "libonnxruntime.so.1.31.1",
                "libonnxruntime_providers_cuda.so",
                "libonnxruntime_providers_shared.so",
                "nvidia_cufft-License.txt",
            ]
        );
    }

    #[test]
    fn cuda_packages_come_from_the_metadata() {
        let metadata = "Name: onnxruntime-gpu\nRequires-Dist: numpy>=1.21.6\n\
            Requires-Dist: sympy; extra == \"symbolic\"\n\
            Requires-Dist: nvidia-cufft~=12.0; extra == \"cuda\"\n\
            Requires-Dist: nvidia-cudnn-cu13 (~=9.0) ; extra == 'cudnn'\n";
        assert_eq!(required(metadata), ["nvidia-cufft~=12.0", "nvidia-cudnn-cu13(~=9.0)"]);
        assert_eq!(required("Requires-Dist: numpy\n"), Vec::<String>::new());
        let metadata = "Requires-Dist: nvidia-curand~=10.0; python_version >= \"3.10\" and extra == \"cuda\"\n\
            Requires-Dist: nvidia-cublas~=13.0; (extra=='cuda') and python_version >= '3.10'\n\
            Requires-Dist: sympy; sys_platform == \"cuda\" and extra == \"symbolic\"\n";
        assert_eq!(required(metadata), ["nvidia-curand~=10.0", "nvidia-cublas~=13.0"]);
    }
}
