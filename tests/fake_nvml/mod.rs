//! Builds the fake NVML (`library.rs`) and writes its scripts. Each [`FakeNvml`] is a copy of the library
//! in a separate folder, which the loader treats as a separate library with its own script and state.

#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Return codes of NVML.
pub(crate) const NO_PERMISSION: u32 = 4;
pub(crate) const DRIVER_NOT_LOADED: u32 = 9;
pub(crate) const GPU_IS_LOST: u32 = 15;
pub(crate) const VERSION_MISMATCH: u32 = 18;
pub(crate) const UNKNOWN: u32 = 999;

/// Two GPUs: gpu0 is busy and runs this process, gpu1 has MIG devices at positions 0 and 2 of 7.
pub(crate) const TWO_GPUS: &str = "\
driver = 580.82.07
cuda = 13010
count = 2
gpu0.name = NVIDIA RTX Imaginary
gpu0.uuid = GPU-11111111-2222-3333-4444-555555555555
gpu0.utilisation = 87
gpu0.memory_busy = 41
gpu0.memory_used = 6442450944
gpu0.memory_total = 25769803776
gpu0.power = 211500
gpu0.power_limit = 350000
gpu0.temperature = 71
gpu0.sm_clock = 1980
gpu0.memory_clock = 9501
gpu0.pcie_generation = 3
gpu0.pcie_generation_max = 4
gpu0.pcie_width = 8
gpu0.pcie_width_max = 16
gpu0.pcie_received = 1500
gpu0.pcie_sent = 250
gpu0.throttle = 36
gpu0.processes = 1:1048576:3, self:536870912:64
gpu0.mig = 0
gpu1.name = NVIDIA H000
gpu1.uuid = GPU-66666666-7777-8888-9999-aaaaaaaaaaaa
gpu1.memory_used = 1073741824
gpu1.memory_total = 85899345920
gpu1.power = 90000
gpu1.temperature = 40
gpu1.throttle = 1
gpu1.mig = 1
gpu1.mig_places = 7
gpu1.mig0.name = NVIDIA H000 MIG 1g.10gb
gpu1.mig0.uuid = MIG-00000000-1111-2222-3333-444444444444
gpu1.mig0.memory_used = 1048576
gpu1.mig0.memory_total = 10737418240
gpu1.mig2.name = NVIDIA H000 MIG 3g.40gb
gpu1.mig2.uuid = MIG-55555555-6666-7777-8888-999999999999
gpu1.mig2.memory_used = 2097152
gpu1.mig2.memory_total = 42949672960
";

/// One copy of the fake, with its script.
pub(crate) struct FakeNvml {
    folder: TempDir,
    lines: std::cell::RefCell<BTreeMap<String, String>>,
}

impl FakeNvml {
    /// Creates a library with a script.
    pub(crate) fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::copy(compiled_library(), folder.path().join("libfake.so"))
            .expect("the library can be copied");
        let lines = script
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let fake = Self { folder, lines: std::cell::RefCell::new(lines) };
        fake.write();
        fake
    }

    /// Returns the path for `DIVVY_NVML` or the option.
    pub(crate) fn library(&self) -> PathBuf {
        self.folder.path().join("libfake.so")
    }

    /// Sets lines of the script; the next call of the library sees all of them.
    pub(crate) fn set(&self, lines: &[(&str, &str)]) {
        let mut all = self.lines.borrow_mut();
        all.extend(lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        drop(all);
        self.write();
    }

    /// Removes a line from the script.
    pub(crate) fn unset(&self, key: &str) {
        self.lines.borrow_mut().remove(key);
        self.write();
    }

    /// Returns the number of calls of "init" or "shutdown".
    pub(crate) fn calls(&self, call: &str) -> usize {
        let path = self.folder.path().join("libfake.so.script.calls");
        let log = fs::read_to_string(path).unwrap_or_default();
        log.lines().filter(|line| *line == call).count()
    }

    fn write(&self) {
        let lines = self.lines.borrow();
        let lines: Vec<_> = lines.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let text = lines.join("\n");
        // Renamed into place, so that no call reads a partial file.
        let (new, at) = (self.folder.path().join("new"), self.folder.path());
        fs::write(&new, text).expect("the script can be written");
        fs::rename(new, at.join("libfake.so.script")).expect("the script can be renamed");
    }
}

/// Returns the library, compiled once per process and renamed into place.
fn compiled_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_nvml/library.rs");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let output_path = folder.path().join("made.so");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(compiler)
            .args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "fake_nvml"])
            .args(["-C", "opt-level=0", "-C", "strip=symbols", "-o"])
            .args([&output_path, &source])
            .output()
            .expect("rustc can be run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the fake NVML does not compile:\n{stderr}");
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libfake_nvml.so");
        fs::rename(output_path, &place).expect("the library can be renamed");
        place
    })
}
