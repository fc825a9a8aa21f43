//! Loads ONNX Runtime's library and creates its environment. A process loads at most one library,
//! after checking its version. A wrong or old file is an error with a message, never a panic.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

use super::locate::{self, LibraryPlace};
use crate::engine::EngineError;
use crate::machine::resident::{baseline, resident};

/// The engine's name in messages.
pub(super) const NAME: &str = "ONNX Runtime";

/// The oldest 1.x release with all functions that divvy calls (the feature `api-24` of the crate
/// `ort`).
pub const OLDEST_MINOR: u32 = 24;

/// Advice for a missing library.
const ADVICE: &str = "`divvy runtime install` gets one, and `--engine rten` does without";

/// A loaded library with its environment. Lives as long as the process.
pub(super) struct Library {
    pub(super) path: PathBuf,
    pub(super) version: String,
    pub(super) environment: Environment,
    pub(super) memory: MemoryInfo<'static>,
    /// Growth of the process's heap while the library started, in bytes.
    pub(super) start_bytes: u64,
}

/// The one library of this process.
static LOADED: Mutex<Option<Arc<Library>>> = Mutex::new(None);

/// Returns the growth of the heap while the library started, in bytes; 0 if it is not loaded.
pub(super) fn start_bytes() -> u64 {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.as_ref().map_or(0, |library| library.start_bytes)
}

/// Returns the loaded library. If there is none, loads the first usable one of the search.
pub(super) fn find(explicit: Option<&Path>) -> Result<Arc<Library>, EngineError> {
    // record the program's memory before the library adds to it
    baseline();
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let places = match (&*loaded, explicit) {
        (Some(library), None) => return Ok(Arc::clone(library)),
        _ => locate::places(explicit),
    };
    let mut faults = Vec::new();
    for path in places.iter().flat_map(|place| &place.libraries) {
        if let Some(library) = &*loaded {
            match version(path) {
                Ok(_) => return same(library, path),
                Err(reason) => faults.push(format!("{}: {reason}", path.display())),
            }
            continue;
        }
        match open(path) {
            Ok(library) => {
                let library = Arc::new(library);
                *loaded = Some(Arc::clone(&library));
                return Ok(library);
            }
            Err(reason) => faults.push(format!("{}: {reason}", path.display())),
        }
    }
    Err(unavailable(&places, &faults))
}

/// Checks that no other library is loaded: a process can have only one.
fn same(library: &Arc<Library>, path: &Path) -> Result<Arc<Library>, EngineError> {
    if std::fs::canonicalize(path).ok() == std::fs::canonicalize(&library.path).ok() {
        return Ok(Arc::clone(library));
    }
    Err(EngineError::Unavailable {
        reason: format!(
            "ONNX Runtime is already loaded from {}; a process can have one only, so start anew to \
             use {}",
            library.path.display(),
            path.display()
        ),
    })
}

fn unavailable(places: &[LibraryPlace], faults: &[String]) -> EngineError {
    let named = places.first().filter(|place| {
        matches!(place.origin, locate::LibraryOrigin::Option | locate::LibraryOrigin::Environment)
    });
    let reason = match (named, faults) {
        (Some(place), []) => format!(
            "{} names {}, a folder without an ONNX Runtime library. {ADVICE}",
            place.origin.description(),
            place.path.display()
        ),
        (Some(place), faults) => {
            format!(
                "{} cannot be used: {}. {ADVICE}",
                place.origin.description(),
                faults.join("; ")
            )
        }
        (None, []) => format!(
            "no ONNX Runtime library was found in the {} places where one may be (`divvy runtime \
             status` lists them). {ADVICE}",
            places.len()
        ),
        (None, faults) => {
            format!("no ONNX Runtime library can be used: {}. {ADVICE}", faults.join("; "))
        }
    };
    EngineError::Unavailable { reason }
}

fn open(path: &Path) -> Result<Library, String> {
    let version = version(path)?;
    let heap = || resident().map_or(0, |resident| resident.anonymous());
    let before = heap();
    let ready = catch_unwind(AssertUnwindSafe(|| -> Result<_, String> {
        let environment = ort::init_from(path)
            .map_err(|error| error.to_string())?
            .with_name("divvy")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| error.to_string())?;
        environment.set_log_level(LogLevel::Warning);
        let memory =
            MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)
                .map_err(|error| error.to_string())?;
        Ok((environment, memory))
    }));
    let (environment, memory) =
        ready.map_err(|_| "the library failed while it started".to_owned())??;
    let start_bytes = heap().saturating_sub(before);
    Ok(Library { path: path.to_owned(), version, environment, memory, start_bytes })
}

/// Writes the library's messages to the log, so that they do not disturb the console's screen.
fn log(level: LogLevel, category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => {
            tracing::warn!(target: "onnxruntime", category, place, "{message}");
        }
        _ => tracing::debug!(target: "onnxruntime", category, place, "{message}"),
    }
}

/// Returns the version of ONNX Runtime in a library file.
///
/// # Errors
/// A message if the file is missing, not a library, not ONNX Runtime, or too old.
pub fn version(path: &Path) -> Result<String, String> {
    if path.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !path.exists() {
        return Err("there is no such file".to_owned());
    }
    let not_ours = || "it is a library, but not ONNX Runtime's".to_owned();
    let found = read_version(path)?.ok_or_else(not_ours)?;
    let minor = found.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    match (found.split('.').next(), minor) {
        (Some("1"), Some(minor)) if minor >= OLDEST_MINOR => Ok(found),
        (_, Some(_)) => Err(format!(
            "it is ONNX Runtime {found}, and divvy needs 1.{OLDEST_MINOR} or a later 1.x"
        )),
        _ => Err(not_ours()),
    }
}

/// Name of the function that ONNX Runtime exports.
type Getter = unsafe extern "system" fn() -> *const ort::sys::OrtApiBase;

/// Returns the message of the system's loader without the leading path, which divvy's message
/// already contains.
fn loader_words(error: &libloading::Error, path: &Path) -> String {
    let words = std::error::Error::source(error).map_or(error.to_string(), ToString::to_string);
    let prefix = format!("{}: ", path.display());
    words.strip_prefix(&prefix).unwrap_or(&words).to_owned()
}

#[allow(unsafe_code)]
fn read_version(path: &Path) -> Result<Option<String>, String> {
    if let Some(kind) = crate::machine::special_file_kind(path) {
        return Err(format!("it is {kind}, not a library"));
    }
    // SAFETY: loading runs the library's initialisers, which ONNX Runtime requires. The user named
    // the file, or it was found in a folder for such libraries.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| {
        format!("it cannot be loaded as a library ({})", loader_words(&error, path))
    })?;
    // SAFETY: only ONNX Runtime exports this name, and its signature has been the same since 1.0.
    let Ok(getter) = (unsafe { library.get::<Getter>(b"OrtGetApiBase\0") }) else {
        return Ok(None);
    };
    // SAFETY: the getter takes nothing and gives a static table or null; the table's first two
    // entries (`GetApi`, `GetVersionString`) are fixed for all versions, and the string is static
    // in the library, which is kept open until it has been copied.
    let text = unsafe {
        let base = getter();
        if base.is_null() {
            return Ok(None);
        }
        let version = ((*base).GetVersionString)();
        if version.is_null() {
            return Ok(None);
        }
        CStr::from_ptr(version).to_str().ok().map(str::to_owned)
    };
    Ok(text)
}
