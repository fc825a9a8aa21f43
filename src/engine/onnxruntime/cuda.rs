//! ONNX Runtime on NVIDIA GPUs: support of the library, the CUDA libraries that it needs, and
//! explanations of its errors.
#![allow(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::Once;

use ort::ep::{ArenaExtendStrategy, CUDA, ExecutionProvider, ExecutionProviderDispatch};

use super::locate;
use crate::engine::Device;

/// Advice for a missing library.
const ADVICE: &str = "`divvy runtime install --gpu` installs what is missing";

/// CUDA's libraries that `divvy runtime install --gpu` puts beside ONNX Runtime, in load order. The
/// versions at the end of the names are left out.
const CUDA_LIBRARIES: &[&str] = &[
    "libcudart.so.",
    "libnvJitLink.so.",
    "libnvrtc-builtins.so.",
    "libnvrtc.so.",
    "libcublasLt.so.",
    "libcublas.so.",
    "libcurand.so.",
    "libcufft.so.",
    "libcudnn.so.",
    "libcudnn_",
];

/// Returns true if the loaded library was built with CUDA.
pub(super) fn is_built_in() -> bool {
    CUDA::is_available().unwrap_or(false)
}

/// Returns the settings of a session on a device. Each session has its own stream by default. The
/// arena grows by the requested size instead of doubling, so that its limit is exact.
pub(super) fn provider_for(device: Device) -> ExecutionProviderDispatch {
    let mut cuda = CUDA::default()
        .with_device_id(i32::try_from(device.ordinal).unwrap_or(i32::MAX))
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        // the default search tries each algorithm with unlimited memory
        .with_conv_algorithm_search(ort::ep::cuda::ConvAlgorithmSearch::Heuristic);
    if let Some(limit) = device.memory.and_then(|bytes| usize::try_from(bytes).ok()) {
        cuda = cuda.with_memory_limit(limit);
    }
    cuda.build().error_on_failure()
}

/// Checks that the library can use a GPU, before a session is built for one. Loads the CUDA
/// libraries beside it, so that no search path is needed.
///
/// # Errors
/// A message with what is missing and how to install it.
pub(super) fn check_available(library: &Path) -> Result<(), String> {
    static LOADED: Once = Once::new();
    // the library searches beside the real file, not beside a link to it
    let real = std::fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    if !is_built_in() || !locate::has_cuda(&real) {
        return Err(format!(
            "this ONNX Runtime ({}) has no CUDA: `divvy runtime install --gpu` gets one that has",
            library.display()
        ));
    }
    if let Err(words) = load_globally(Path::new("libcuda.so.1")) {
        return Err(format!("there is no NVIDIA driver for CUDA here ({words})"));
    }
    LOADED.call_once(|| {
        for part in bundled_libraries(library) {
            if let Err(words) = load_globally(&part) {
                tracing::warn!("{} cannot be loaded: {words}", part.display());
            }
        }
    });
    Ok(())
}

/// Returns the CUDA libraries that the provider needs and that are not beside the library.
pub fn missing_libraries(library: &Path) -> Vec<String> {
    let there: Vec<String> = bundled_libraries(library)
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    let needed = ["libcudart", "libcublasLt", "libcublas", "libcurand", "libcufft", "libcudnn"];
    let lacks = |name: &str| {
        let begin = format!("{name}.so.");
        !there.iter().any(|file| file.starts_with(&begin))
    };
    needed.into_iter().filter(|name| lacks(name)).map(str::to_owned).collect()
}

/// Returns the CUDA libraries beside a library, in load order.
pub fn bundled_libraries(library: &Path) -> Vec<PathBuf> {
    let folder = std::fs::canonicalize(library).ok().and_then(|path| Some(path.parent()?.into()));
    let entries = folder.and_then(|folder: PathBuf| std::fs::read_dir(folder).ok());
    let mut found: Vec<(usize, PathBuf)> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let at = CUDA_LIBRARIES.iter().position(|part| name.starts_with(part))?;
            Some((at, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Loads a library for the life of the process, with its symbols visible to later ones.
#[cfg(unix)]
fn load_globally(name: &Path) -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
    // SAFETY: loading runs the library's initialisers, which CUDA requires. The library is
    // NVIDIA's, from the system's folders or from divvy's own installation.
    let opened = unsafe { Library::open(Some(name.as_os_str()), RTLD_LAZY | RTLD_GLOBAL) };
    let library = opened.map_err(|error| {
        std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string)
    })?;
    // the sessions use it as long as the process lives
    std::mem::forget(library);
    Ok(())
}

/// Does nothing: other systems find the libraries beside ONNX Runtime themselves.
#[cfg(not(unix))]
fn load_globally(_name: &Path) -> Result<(), String> {
    Ok(())
}

/// Explains the library's message for a session that failed on a GPU, if it is a known one.
pub(super) fn explain(message: &str, device: Device) -> String {
    let ordinal = device.ordinal;
    let message = message.trim();
    let is = |words: &str| message.contains(words);
    if is("cannot open shared object file") || is("LoadLibrary failed") {
        let missing = message
            .split(|letter: char| letter.is_whitespace() || letter == ':')
            .find(|word| {
                word.contains(".so") && !word.contains("onnxruntime") && !word.contains('/')
            })
            .unwrap_or("a library of CUDA or cuDNN");
        return format!("CUDA cannot be used, since {missing} is not there: {ADVICE} ({message})");
    }
    if is("invalid device ordinal") || is("CUDA_ERROR_INVALID_DEVICE") {
        return format!("CUDA has no device {ordinal} in this process: `divvy machine` lists them");
    }
    if is("no CUDA-capable device") {
        return format!("the driver shows CUDA no device in this process ({message})");
    }
    // the driver's library is loaded but lacks functions that this CUDA version calls
    if is("driver version is insufficient") || is("undefined symbol: cu") {
        return format!(
            "the NVIDIA driver is older than this ONNX Runtime's CUDA needs: update it ({message})"
        );
    }
    if is("out of memory") || is("Failed to allocate memory") || is("BFCArena") {
        let limit = device.memory.map_or_else(
            || "what the GPU has left".to_owned(),
            |bytes| format!("its limit of {bytes} bytes an instance, or what the GPU has left"),
        );
        return format!("GPU memory: it needs more than {limit}: raise `gpu_memory` ({message})");
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpu_error_names_missing_library() {
        let device = Device { ordinal: 3, memory: Some(1 << 20) };
        let missing = "Failed to load library libonnxruntime_providers_cuda.so with error: \
                       libcublasLt.so.13: cannot open shared object file: No such file or directory";
        for (said, meant) in [
            (missing, "since libcublasLt.so.13 is not there: `divvy runtime install --gpu`"),
            ("CUDA failure 101: invalid device ordinal", "CUDA has no device 3 in this process"),
            ("CUDA failure 2: out of memory", "raise `gpu_memory`"),
            ("x.so: undefined symbol: cuTensorMapEncodeTiled", "driver is older than this"),
            ("something else", "something else"),
        ] {
            let words = explain(said, device);
            assert!(words.contains(meant), "{words}");
        }
    }

    #[test]
    fn cuda_libraries_are_in_load_order() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libonnxruntime.so.1.31.1");
        for name in ["libcudnn_ops.so.9", "libcublas.so.13", "libcudart.so.13", "libcublasLt.so.13"]
        {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::write(&library, "").unwrap();
        let names: Vec<String> = bundled_libraries(&library)
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let order =
            ["libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcudnn_ops.so.9"];
        assert_eq!(names, order);
        assert_eq!(missing_libraries(&library), ["libcurand", "libcufft", "libcudnn"]);
    }
}
