//! Calls pip, the one program that divvy lets use the network, and only for `divvy runtime install`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::write_error::cannot_write;
use crate::command::CommandError;

/// The Python that the wheel is for. Any would do: the library inside is the same.
const PYTHON: &str = "3.12";

/// The platform tags of NVIDIA's wheels, which vary from one to the next. pip takes each literally.
const NVIDIA_PLATFORMS: &[&str] = &[
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux2010_x86_64",
    "manylinux_2_5_x86_64",
    "manylinux1_x86_64",
];

/// Ways to call pip, in the order in which they are tried.
const PIPS: &[&[&str]] =
    &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// The platform tag of the wheel for this machine.
fn platform() -> Result<&'static str, CommandError> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Ok("manylinux_2_28_x86_64"),
        ("linux", "aarch64") => Ok("manylinux_2_28_aarch64"),
        ("macos", "aarch64") => Ok("macosx_14_0_arm64"),
        ("windows", "x86_64") => Ok("win_amd64"),
        (system, machine) => Err(CommandError::Failed(format!(
            "the package index has no ONNX Runtime for {system} on {machine}; build it, and name \
             the library with --ort-dylib"
        ))),
    }
}

/// Checks that wheels with CUDA exist for this machine.
///
/// # Errors
/// [`CommandError::Failed`] where there are none, with what to do.
pub(super) fn allows_gpu() -> Result<(), CommandError> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Ok(()),
        (system, machine) => Err(CommandError::Failed(format!(
            "--gpu is for Linux on x86-64, and this is {system} on {machine}: name a build of ONNX \
             Runtime with CUDA with --ort-dylib"
        ))),
    }
}

/// Fetches one package without its dependencies. Returns its wheel.
///
/// # Errors
/// [`CommandError::Failed`] when there is no pip, or it fails.
pub(super) fn download(package: &str, folder: &Path) -> Result<PathBuf, CommandError> {
    fetch(&["--no-deps"], &[platform()?], &[package.to_owned()], folder)?
        .pop()
        .ok_or_else(|| CommandError::Failed("pip fetched no wheel".to_owned()))
}

/// Fetches NVIDIA's packages with their dependencies. Returns the wheels.
///
/// # Errors
/// As [`download`].
pub(super) fn download_all(
    packages: &[String],
    folder: &Path,
) -> Result<Vec<PathBuf>, CommandError> {
    fetch(&[], NVIDIA_PLATFORMS, packages, folder)
}

fn fetch(
    options: &[&str],
    platforms: &[&str],
    packages: &[String],
    folder: &Path,
) -> Result<Vec<PathBuf>, CommandError> {
    let Some(pip) = PIPS.iter().find(|pip| answers(pip)) else {
        return Err(CommandError::Failed(
            "there is no pip (python3 -m pip, pip3 and pip were tried); install Python's pip, or \
             name a library that you have with --ort-dylib"
                .to_owned(),
        ));
    };
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    let status = working_in(folder, command(pip))
        .args(["download", "--only-binary=:all:", "--disable-pip-version-check"])
        .args(options)
        .args(["--python-version", PYTHON])
        .args(platforms.iter().flat_map(|platform| ["--platform", platform]))
        .arg("-d")
        .arg(folder)
        .args(packages)
        .status()
        .map_err(|error| CommandError::Failed(format!("pip cannot be run: {error}")))?;
    if !status.success() {
        return Err(CommandError::Failed(format!(
            "pip could not fetch {} ({status}); its output is above",
            packages.join(", ")
        )));
    }
    let entries = fs::read_dir(folder).map_err(|error| cannot_write(folder, &error))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|it| it == "whl")).collect())
}

fn command(words: &[&str]) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().copied().unwrap_or("pip"));
    command.args(words);
    command
}

/// Its temporary files too, which are as large as what is fetched: the system's own place for such
/// files is small at times, or memory.
fn working_in(folder: &Path, mut command: Command) -> Command {
    // the first is for Unix, the others for Windows
    for name in ["TMPDIR", "TEMP", "TMP"] {
        command.env(name, folder);
    }
    command
}

fn answers(pip: &[&str]) -> bool {
    command(pip).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn pip_keeps_temporary_files_in_the_work_folder() {
        let folder = tempfile::tempdir().unwrap();
        let shell = working_in(folder.path(), command(&["sh", "-c", "mktemp"])).output().unwrap();
        let made = PathBuf::from(String::from_utf8(shell.stdout).unwrap().trim());
        assert_eq!(made.parent(), Some(folder.path()));
    }
}
