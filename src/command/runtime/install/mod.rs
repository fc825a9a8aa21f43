//! `divvy runtime install`: the library out of the wheel that the Python package index carries,
//! fetched by pip, put in place in one step. With `--gpu` the build with CUDA, and NVIDIA's libraries
//! that its wheel asks for, all in one folder.

mod pip;
mod wheel;
mod write_error;

use std::fs::{self, File, TryLockError};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::command::CommandError;
use crate::engine::onnxruntime::locate::{self, GPU_SUFFIX};
use crate::engine::onnxruntime::version;
use crate::layout::Bytes;
use wheel::Wanted;
use write_error::cannot_write;

/// Arguments of `divvy runtime install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The version of ONNX Runtime.
    #[arg(long, default_value = "1.31.1")]
    pub version: String,
    /// The folder to put it in, in place of the user's data folder; divvy finds it there only by
    /// `--ort-dylib` or `ORT_DYLIB_PATH`.
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// The build that runs models on NVIDIA GPUs, with the CUDA and cuDNN libraries that it needs
    /// (Linux on x86-64; about 1.6 GB to fetch, 2.5 GB on disk). The driver is not part of it.
    #[arg(long)]
    pub gpu: bool,
    /// Fetch without asking first.
    #[arg(long)]
    pub yes: bool,
}

/// Sizes of the build with CUDA, to download and on disk: those of 1.31.1 with CUDA 13.5 and cuDNN
/// 9.28. Later ones are similar.
const GPU_FETCHED: Bytes = Bytes(1_570_000_000);
const GPU_ON_DISK: Bytes = Bytes(2_480_000_000);

/// The prefix of the names of an install's working folders.
const WORK: &str = ".install-";

/// Fetches and installs.
///
/// # Errors
/// [`CommandError::BadInput`] for a version that is none, or when nobody can be asked;
/// [`CommandError::Failed`] when there is no pip, it fails, there is no room, or the folder cannot be
/// written.
pub(super) fn run(args: &InstallArgs) -> Result<(), CommandError> {
    let is_version = !args.version.is_empty()
        && args.version.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric())
        });
    if !is_version {
        return Err(CommandError::BadInput(format!("`{}` is not a version", args.version)));
    }
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => locate::install_folder().ok_or_else(|| {
            CommandError::Failed("there is no home folder; name one with --dir".to_owned())
        })?,
    };
    if args.gpu {
        pip::allows_gpu()?;
        if !args.yes && !is_agreed()? {
            return Err(CommandError::Failed("nothing was fetched".to_owned()));
        }
    }
    fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
    let _lock = lock_folder(&folder)?;
    remove_leftovers(&folder)?;
    if args.gpu {
        check_free_space(&folder)?;
    }
    // in the same folder, so that the last step is a rename within one file system
    let work = tempfile::Builder::new()
        .prefix(WORK)
        .tempdir_in(&folder)
        .map_err(|error| cannot_write(&folder, &error))?;
    let staged = work.path().join("unpacked");
    fs::create_dir(&staged).map_err(|error| cannot_write(&staged, &error))?;
    let name = fetch(args, work.path(), &staged)?;
    let found = version(&staged.join(&name)).map_err(|reason| {
        CommandError::Failed(format!("the library that was fetched cannot be used: {reason}"))
    })?;
    let suffix = if args.gpu { GPU_SUFFIX } else { "" };
    let target = folder.join(format!("{}{suffix}", args.version));
    replace(&staged, &target).map_err(|error| cannot_write(&target, &error))?;
    let cuda = if args.gpu { " with CUDA" } else { "" };
    println!("{}  ONNX Runtime {found}{cuda}", target.join(&name).display());
    Ok(())
}

/// Locks the folder for one install. The system releases the lock when the process ends.
fn lock_folder(folder: &Path) -> Result<File, CommandError> {
    let path = folder.join(".install.lock");
    let lock = File::create(&path).map_err(|error| cannot_write(&path, &error))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(CommandError::Failed(format!(
            "another install into {} is running: wait until it ends, or name another folder with \
             --dir",
            folder.display()
        ))),
        // a file system without locks is no reason against it
        Err(TryLockError::Error(_)) | Ok(()) => Ok(lock),
    }
}

/// Removes the working folders of interrupted installs, which may be gigabytes.
fn remove_leftovers(folder: &Path) -> Result<(), CommandError> {
    let entries = fs::read_dir(folder).map_err(|error| cannot_write(folder, &error))?;
    let is_left = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(WORK);
    for left in entries.flatten().filter(|entry| is_left(&entry.file_name())) {
        let path = left.path();
        fs::remove_dir_all(&path).map_err(|error| cannot_write(&path, &error))?;
    }
    Ok(())
}

/// Fetches all wheels and unpacks each into `staged`. Returns the library's file name.
fn fetch(args: &InstallArgs, work: &Path, staged: &Path) -> Result<String, CommandError> {
    if !args.gpu {
        eprintln!("fetching onnxruntime {} (about 25 MB) with pip", args.version);
        let wheel = pip::download(&format!("onnxruntime=={}", args.version), work)?;
        return library(wheel::unpack(&wheel, staged, Wanted::Runtime)?, &wheel);
    }
    eprintln!("fetching onnxruntime-gpu {} (about 250 MB) with pip", args.version);
    let wheel = pip::download(&format!("onnxruntime-gpu=={}", args.version), work)?;
    let name = library(wheel::unpack(&wheel, staged, Wanted::RuntimeWithCuda)?, &wheel)?;
    let needs = wheel::cuda_packages(&wheel)?;
    remove(&wheel)?;
    if needs.is_empty() {
        eprintln!(
            "this version does not say which CUDA packages it needs: CUDA and cuDNN must be \
             installed on the system"
        );
        return Ok(name);
    }
    eprintln!("fetching NVIDIA's libraries: {}", needs.join(", "));
    for wheel in pip::download_all(&needs, &work.join("nvidia"))? {
        wheel::unpack(&wheel, staged, Wanted::Libraries)?;
        // each is as large as what came out of it
        remove(&wheel)?;
    }
    Ok(name)
}

fn library(found: Option<String>, wheel: &Path) -> Result<String, CommandError> {
    found.ok_or_else(|| {
        CommandError::Failed(format!("the wheel {} has no library in it", wheel.display()))
    })
}

fn remove(wheel: &Path) -> Result<(), CommandError> {
    fs::remove_file(wheel).map_err(|error| cannot_write(wheel, &error))
}

/// Checks that the wheels and their unpacked files fit on the disk.
fn check_free_space(folder: &Path) -> Result<(), CommandError> {
    let needed = GPU_FETCHED.0 + GPU_ON_DISK.0;
    match free_bytes(folder) {
        Some(free) if free < needed => Err(CommandError::Failed(format!(
            "{} has {} free, and {} are needed; name another folder with --dir",
            folder.display(),
            Bytes(free),
            Bytes(needed)
        ))),
        _ => Ok(()),
    }
}

/// Returns the free bytes of a folder's file system; `None` if the system does not report them.
fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(folder).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Asks the user for consent to the download.
fn is_agreed() -> Result<bool, CommandError> {
    let sizes = format!(
        "about {:.1} GB are fetched from the Python package index, {:.1} GB stay on disk",
        GPU_FETCHED.0 as f64 / 1e9,
        GPU_ON_DISK.0 as f64 / 1e9
    );
    if !io::stdin().is_terminal() {
        return Err(CommandError::BadInput(format!("{sizes}: pass --yes to continue")));
    }
    eprint!("{sizes}. Continue? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Puts the unpacked folder in place; an older one of the same version goes away only after.
fn replace(staged: &Path, target: &Path) -> io::Result<()> {
    let old = staged.with_file_name("old");
    if target.exists() {
        fs::rename(target, &old)?;
    }
    if let Err(error) = fs::rename(staged, target) {
        if old.exists() {
            fs::rename(&old, target)?;
        }
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_replaces_the_same_version() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        let (staged, target) = (work.join("unpacked"), folder.path().join("1.31.1"));
        for (path, text) in [(&staged, "new"), (&target, "old")] {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("lib"), text).unwrap();
        }
        replace(&staged, &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("lib")).unwrap(), "new");
    }

    #[test]
    fn leftovers_of_interrupted_installs_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".install-a1b2c3/unpacked", "1.31.1", "1.30.0-gpu"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        remove_leftovers(folder.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["1.30.0-gpu", "1.31.1"]);
    }

    #[test]
    fn second_install_in_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_folder(folder.path()).unwrap();
        let message = lock_folder(folder.path()).unwrap_err().to_string();
        assert!(message.contains("is running") && message.contains("--dir"), "{message}");
        drop(first);
        assert!(lock_folder(folder.path()).is_ok());
    }

    #[test]
    fn invalid_version_is_bad_input() {
        for version in ["", "1..2", "1.2; rm", "--help"] {
            let args =
                InstallArgs { version: version.to_owned(), dir: None, gpu: false, yes: false };
            assert!(matches!(run(&args), Err(CommandError::BadInput(_))), "{version}");
        }
    }

    #[test]
    fn large_download_needs_consent() {
        if pip::allows_gpu().is_err() || io::stdin().is_terminal() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let dir = Some(folder.path().to_owned());
        let args = InstallArgs { version: "1.31.1".to_owned(), dir, gpu: true, yes: false };
        let error = run(&args).unwrap_err().to_string();
        assert!(error.contains("1.6 GB") && error.contains("--yes"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
