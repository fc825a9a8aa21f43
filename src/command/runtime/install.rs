//! `divvy runtime install`: the library out of the wheel that the Python package index carries,
//! fetched by pip, put in place in one step.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use zip::ZipArchive;

use super::CommandError;
use crate::engine::onnxruntime::locate;
use crate::engine::onnxruntime::version;

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
}

/// The Python that the wheel is for. Any would do: the library inside is the same.
const PYTHON: &str = "3.12";

/// Fetches and installs.
///
/// # Errors
/// [`CommandError::BadInput`] for a version that is none, [`CommandError::Failed`] when there is no
/// pip, it fails, or the folder cannot be written.
pub fn run(args: &InstallArgs) -> Result<(), CommandError> {
    let is_version = !args.version.is_empty()
        && args.version.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric())
        });
    if !is_version {
        return Err(CommandError::BadInput(format!("`{}` is no version", args.version)));
    }
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => locate::install_folder().ok_or_else(|| {
            CommandError::Failed("there is no home folder; name one with --dir".to_owned())
        })?,
    };
    fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
    // in the same folder, so that the last step is a rename within one file system
    let work = tempfile::Builder::new()
        .prefix(".install-")
        .tempdir_in(&folder)
        .map_err(|error| cannot_write(&folder, &error))?;
    eprintln!("fetching onnxruntime {} (about 25 MB) with pip", args.version);
    let wheel = download(&args.version, work.path())?;
    let staged = work.path().join("unpacked");
    fs::create_dir(&staged).map_err(|error| cannot_write(&staged, &error))?;
    let name = unpack(&wheel, &staged)?;
    let found = version(&staged.join(&name)).map_err(|reason| {
        CommandError::Failed(format!("the library that was fetched cannot be used: {reason}"))
    })?;
    let target = folder.join(&args.version);
    replace(&staged, &target).map_err(|error| cannot_write(&target, &error))?;
    println!("{}  ONNX Runtime {found}", target.join(&name).display());
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("cannot write {}: {error}", path.display()))
}

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

/// Ways to call pip, in the order in which they are tried.
const PIPS: &[&[&str]] =
    &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

fn download(version: &str, folder: &Path) -> Result<PathBuf, CommandError> {
    let Some(pip) = PIPS.iter().find(|pip| answers(pip)) else {
        return Err(CommandError::Failed(
            "there is no pip (python3 -m pip, pip3 and pip were tried); install Python's pip, or \
             name a library that you have with --ort-dylib"
                .to_owned(),
        ));
    };
    let status = command(pip)
        .args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"])
        .args(["--python-version", PYTHON, "--platform", platform()?])
        .arg("-d")
        .arg(folder)
        .arg(format!("onnxruntime=={version}"))
        .status()
        .map_err(|error| CommandError::Failed(format!("pip cannot be run: {error}")))?;
    if !status.success() {
        return Err(CommandError::Failed(format!(
            "pip could not fetch onnxruntime {version} ({status}); its own words are above"
        )));
    }
    fs::read_dir(folder)
        .map_err(|error| cannot_write(folder, &error))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| CommandError::Failed("pip fetched no wheel".to_owned()))
}

fn command(words: &[&str]) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().copied().unwrap_or("pip"));
    command.args(words);
    command
}

fn answers(pip: &[&str]) -> bool {
    command(pip).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Takes the library and its licences out of the wheel; gives the library's file name.
fn unpack(wheel: &Path, folder: &Path) -> Result<String, CommandError> {
    let damaged = |error: &dyn std::fmt::Display| {
        CommandError::Failed(format!("the wheel {} is damaged: {error}", wheel.display()))
    };
    let file = File::open(wheel).map_err(|error| damaged(&error))?;
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
    let mut library = None;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        let inside = entry.name().map_err(|error| damaged(&error))?.into_owned();
        let Some((parent, name)) = inside.rsplit_once('/') else { continue };
        let is_library = parent == "onnxruntime/capi" && locate::is_library_name(name);
        let is_licence =
            parent == "onnxruntime" && ["LICENSE", "ThirdPartyNotices.txt"].contains(&name);
        if !is_library && !is_licence {
            continue;
        }
        let target = folder.join(name);
        let mut out = File::create(&target).map_err(|error| cannot_write(&target, &error))?;
        io::copy(&mut entry, &mut out).map_err(|error| cannot_write(&target, &error))?;
        out.sync_all().map_err(|error| cannot_write(&target, &error))?;
        if is_library {
            library = Some(name.to_owned());
        }
    }
    library.ok_or_else(|| {
        CommandError::Failed(format!("the wheel {} has no library in it", wheel.display()))
    })
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
    use std::io::Write;

    use super::*;

    #[test]
    fn only_the_library_and_its_licences_leave_the_wheel() {
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
        assert_eq!(unpack(&wheel, &target).unwrap(), library);
        let mut names: Vec<String> = fs::read_dir(&target)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["LICENSE", library]);
    }

    #[test]
    fn an_older_install_of_the_version_is_replaced() {
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
    fn a_version_that_is_none_is_bad_input() {
        for version in ["", "1..2", "1.2; rm", "--help"] {
            let args = InstallArgs { version: version.to_owned(), dir: None };
            assert!(matches!(run(&args), Err(CommandError::BadInput(_))), "{version}");
        }
    }
}
