//! Tests of the GPU sensors with a fake NVML (`fake_nvml/library.rs`) loaded by the real wrapper: two
//! GPUs, MIG, and driver failures.

#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake_nvml;

use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divvy::engine::EngineError;
use divvy::layout::Layout;
use divvy::machine::SimulatedMachine;
use divvy::scheduler::{Control, LoadRequest, LoadedModel, Loader, Options, Scheduler};
use divvy::telemetry::gpu::{GpuOptions, GpuSensor, GpuSource, LIBRARY_VARIABLE};
use divvy::telemetry::{GpuDevice, GpuView};
use fake_nvml::{
    DRIVER_NOT_LOADED, FakeNvml, GPU_IS_LOST, NO_PERMISSION, TWO_GPUS, UNKNOWN, VERSION_MISMATCH,
};

/// Long enough for a busy machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(fake: &FakeNvml) -> GpuOptions {
    GpuOptions {
        library: Some(fake.library()),
        interval: Duration::from_millis(10),
        slow: PATIENCE,
        retry: Duration::from_millis(10),
    }
}

/// Waits until the view meets a condition, and returns it.
fn until(sensor: &GpuSensor, what: &str, wanted: impl Fn(&GpuView) -> bool) -> Arc<GpuView> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view = sensor.latest();
        if wanted(&view) {
            return view;
        }
        assert!(Instant::now() < deadline, "never {what}: {view:#?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn fault(view: &GpuView, gpu: usize) -> &str {
    view.devices.get(gpu).and_then(|gpu| gpu.fault.as_deref()).unwrap_or_default()
}

fn first_view(script: &str) -> Arc<GpuView> {
    let fake = FakeNvml::new(script);
    GpuSensor::start(options(&fake)).first(PATIENCE)
}

#[test]
fn reads_all_values_of_two_gpus() {
    let view = first_view(TWO_GPUS);
    assert_eq!(view.note, None);
    assert_eq!(view.slow, None);
    assert_eq!(view.driver.as_deref(), Some("580.82.07"));
    assert_eq!(view.cuda.as_deref(), Some("13.1"));
    let [first, second] = view.devices.as_slice() else { panic!("two GPUs: {view:#?}") };
    let expected = GpuDevice {
        index: 0,
        name: "NVIDIA RTX Imaginary".to_owned(),
        uuid: "GPU-11111111-2222-3333-4444-555555555555".to_owned(),
        utilisation: Some(0.87),
        memory_busy: Some(0.41),
        memory_used_bytes: Some(6 << 30),
        memory_total_bytes: Some(24 << 30),
        power_w: Some(211.5),
        power_limit_w: Some(350.0),
        temperature_c: Some(71),
        sm_clock_mhz: Some(1980),
        memory_clock_mhz: Some(9501),
        pcie_generation: Some(3),
        pcie_generation_max: Some(4),
        pcie_width: Some(8),
        pcie_width_max: Some(16),
        pcie_received_bytes_per_s: Some(1_500_000),
        pcie_sent_bytes_per_s: Some(250_000),
        throttle: Some(vec!["power limit".to_owned(), "too hot".to_owned()]),
        processes: Some(2),
        own_memory_bytes: Some(512 << 20),
        own_utilisation: Some(0.64),
        mig_enabled: Some(false),
        mig: Vec::new(),
        fault: None,
    };
    assert_eq!(*first, expected);
    assert_eq!(second.index, 1);
    assert_eq!(second.throttle, Some(Vec::new()), "an idle GPU is not throttled");
}

#[test]
fn lists_mig_devices_by_position() {
    let view = first_view(TWO_GPUS);
    let gpu = view.devices.get(1).expect("a second gpu");
    assert_eq!(gpu.mig_enabled, Some(true));
    let places: Vec<_> = gpu.mig.iter().map(|part| part.index).collect();
    assert_eq!(places, [0, 2], "empty positions are omitted");
    let last = gpu.mig.last().expect("a MIG device");
    assert_eq!(last.name, "NVIDIA H000 MIG 3g.40gb");
    assert_eq!(last.uuid, "MIG-55555555-6666-7777-8888-999999999999");
    assert_eq!((last.memory_used_bytes, last.memory_total_bytes), (Some(2 << 20), Some(40 << 30)));
}

#[test]
fn mig_fault_affects_one_device() {
    let script =
        format!("{TWO_GPUS}error.gpu1.mig0.nvmlDeviceGetMigDeviceHandleByIndex = {NO_PERMISSION}");
    let view = first_view(&script);
    let gpu = view.devices.get(1).expect("a second gpu");
    let faults: Vec<_> = gpu.mig.iter().map(|part| part.fault.is_some()).collect();
    assert_eq!(faults, [true, false]);
    assert_eq!(gpu.fault, None);
}

#[test]
fn failed_reading_affects_one_value() {
    for (function, code) in [
        ("nvmlDeviceGetPowerUsage", UNKNOWN),
        ("nvmlDeviceGetPowerUsage", NO_PERMISSION),
        ("nvmlDeviceGetMemoryInfo_v2", UNKNOWN),
        ("nvmlDeviceGetComputeRunningProcesses_v3", NO_PERMISSION),
        ("nvmlDeviceGetProcessUtilization", NO_PERMISSION),
        ("nvmlDeviceGetMigMode", UNKNOWN),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", UNKNOWN),
        ("nvmlDeviceGetUtilizationRates", UNKNOWN),
    ] {
        let view = first_view(&format!("{TWO_GPUS}error.gpu0.{function} = {code}"));
        let gpu = view.devices.first().expect("a GPU");
        assert_eq!(gpu.fault, None, "{function}");
        let missing = [
            ("nvmlDeviceGetPowerUsage", gpu.power_w.is_none()),
            ("nvmlDeviceGetMemoryInfo_v2", gpu.memory_used_bytes.is_none()),
            ("nvmlDeviceGetComputeRunningProcesses_v3", gpu.own_memory_bytes.is_none()),
            ("nvmlDeviceGetProcessUtilization", gpu.own_utilisation.is_none()),
            ("nvmlDeviceGetMigMode", gpu.mig_enabled.is_none()),
            ("nvmlDeviceGetCurrentClocksThrottleReasons", gpu.throttle.is_none()),
            ("nvmlDeviceGetUtilizationRates", gpu.utilisation.is_none()),
        ];
        for (name, is_missing) in missing {
            assert_eq!(is_missing, name == function, "{function} failed, {name}");
        }
        assert_eq!(gpu.temperature_c, Some(71), "{function}");
    }
}

#[test]
fn unlisted_process_has_no_values() {
    let view = first_view(&format!("{TWO_GPUS}gpu0.processes = 1:1048576:3"));
    // The last line of a key counts, so the list does not include this process.
    let gpu = view.devices.first().expect("a GPU");
    assert_eq!(gpu.processes, Some(1));
    assert_eq!((gpu.own_memory_bytes, gpu.own_utilisation), (None, None));
}

#[test]
fn lost_gpu_is_named_until_it_returns() {
    let fake = FakeNvml::new(TWO_GPUS);
    let sensor = GpuSensor::start(options(&fake));
    assert_eq!(sensor.first(PATIENCE).devices.len(), 2);
    let lost = GPU_IS_LOST.to_string();
    fake.set(&[("error.gpu0", &lost), ("gpu1.temperature", "55")]);
    let view = until(&sensor, "lost", |view| !fault(view, 0).is_empty());
    assert!(fault(&view, 0).contains("fell off the bus"), "{}", fault(&view, 0));
    let gpu = view.devices.first().expect("the lost GPU is listed");
    assert_eq!(gpu.name, "NVIDIA RTX Imaginary", "the name is still shown");
    assert!(gpu.uuid.starts_with("GPU-1111"));
    assert_eq!((gpu.utilisation, gpu.memory_used_bytes), (None, None));
    until(&sensor, "still read", |view| {
        view.devices.get(1).and_then(|c| c.temperature_c) == Some(55)
    });
    fake.unset("error.gpu0");
    let back = until(&sensor, "back", |view| fault(view, 0).is_empty());
    assert_eq!(back.devices.first().and_then(|gpu| gpu.temperature_c), Some(71));
    assert_eq!(fake.calls("init"), 1, "the driver was not initialized again");
}

#[test]
fn gpu_lost_during_reading_has_no_values() {
    let fake = FakeNvml::new(TWO_GPUS);
    let sensor = GpuSensor::start(options(&fake));
    sensor.first(PATIENCE);
    let lost = GPU_IS_LOST.to_string();
    fake.set(&[("error.gpu1.nvmlDeviceGetTemperature", &lost)]);
    let view = until(&sensor, "lost", |view| !fault(view, 1).is_empty());
    let gpu = view.devices.get(1).expect("listed");
    assert_eq!((gpu.power_w, gpu.memory_total_bytes), (None, None));
    assert_eq!(fault(&view, 0), "");
}

#[test]
fn unlisted_gpu_has_a_fault() {
    let fake = FakeNvml::new(TWO_GPUS);
    let sensor = GpuSensor::start(options(&fake));
    sensor.first(PATIENCE);
    fake.set(&[("count", "1")]);
    let view = until(&sensor, "gone", |view| !fault(view, 1).is_empty());
    assert!(fault(&view, 1).contains("no longer lists"), "{}", fault(&view, 1));
    assert_eq!(view.devices.get(1).map(|gpu| gpu.name.as_str()), Some("NVIDIA H000"));
    fake.set(&[("count", "2")]);
    until(&sensor, "back", |view| view.devices.len() == 2 && fault(view, 1).is_empty());
}

#[test]
fn gpu_without_permission_has_a_fault() {
    let view = first_view(&format!("{TWO_GPUS}error.gpu1 = {NO_PERMISSION}"));
    assert!(fault(&view, 1).contains("this user may not read it"), "{}", fault(&view, 1));
    assert_eq!(view.devices.first().and_then(|gpu| gpu.temperature_c), Some(71));
}

#[test]
fn note_says_why_the_driver_is_unusable() {
    let cases = [
        (format!("error.nvmlInit_v2 = {NO_PERMISSION}"), "refuses this user"),
        (format!("error.nvmlInit_v2 = {DRIVER_NOT_LOADED}"), "kernel driver is not loaded"),
        (format!("error.nvmlInit_v2 = {VERSION_MISMATCH}"), "different versions"),
        (format!("error.nvmlDeviceGetCount_v2 = {UNKNOWN}"), "the NVIDIA driver fails"),
        ("count = 0".to_owned(), "no NVIDIA GPU"),
    ];
    for (script, words) in cases {
        let view = first_view(&script);
        let note = view.note.as_deref().unwrap_or_default();
        assert!(note.contains(words), "{script}: {note}");
        assert!(!note.contains('\n'), "{note}");
        assert!(view.reason.is_some(), "{script}");
        assert!(view.devices.is_empty(), "{script}");
    }
}

#[test]
fn note_names_an_unusable_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").expect("written");
    for path in [folder.path().join("absent.so"), text] {
        let asked = GpuOptions { library: Some(path.clone()), ..GpuOptions::default() };
        let view = GpuSensor::start(asked).first(PATIENCE);
        let note = view.note.as_deref().unwrap_or_default();
        assert!(note.contains("cannot load NVML from"), "{note}");
        assert!(note.contains(&path.display().to_string()), "{note}");
        assert!(view.reason.is_some());
    }
    #[cfg(target_os = "linux")]
    {
        let other = GpuOptions { library: Some("libc.so.6".into()), ..GpuOptions::default() };
        let view = GpuSensor::start(other).first(PATIENCE);
        assert_eq!(view.note.as_deref(), Some("libc.so.6 is not NVML, or too old"));
    }
}

#[test]
fn retries_until_the_driver_returns() {
    let fake = FakeNvml::new(TWO_GPUS);
    let sensor = GpuSensor::start(options(&fake));
    assert_eq!(sensor.first(PATIENCE).devices.len(), 2);
    let gone = DRIVER_NOT_LOADED.to_string();
    fake.set(&[("error.nvmlDeviceGetCount_v2", &gone), ("error.nvmlInit_v2", &gone)]);
    let view = until(&sensor, "gone", |view| view.note.is_some());
    let note = view.note.as_deref().unwrap_or_default();
    assert!(note.starts_with("the NVIDIA driver went away; tried again every"), "{note}");
    assert!(view.devices.is_empty());
    wait_for("tried again", || fake.calls("init") >= 4);
    assert_eq!(fake.calls("shutdown"), 1, "each successful init is shut down once");
    fake.unset("error.nvmlDeviceGetCount_v2");
    fake.unset("error.nvmlInit_v2");
    let back = until(&sensor, "back", |view| view.devices.len() == 2);
    assert_eq!(back.note, None);
}

#[test]
fn driver_lost_between_readings_is_noticed() {
    let fake = FakeNvml::new(TWO_GPUS);
    let sensor = GpuSensor::start(options(&fake));
    sensor.first(PATIENCE);
    let gone = DRIVER_NOT_LOADED.to_string();
    fake.set(&[("error.gpu0.nvmlDeviceGetClockInfo", &gone), ("error.nvmlInit_v2", &gone)]);
    until(&sensor, "gone", |view| view.note.is_some() && view.devices.is_empty());
}

#[test]
fn slow_driver_is_reported() {
    let fake = FakeNvml::new(&format!("{TWO_GPUS}slow.nvmlDeviceGetCount_v2 = 120"));
    let slow = Duration::from_millis(40);
    let sensor = GpuSensor::start(GpuOptions { slow, ..options(&fake) });
    let view = until(&sensor, "read", |view| view.devices.len() == 2);
    let words = view.slow.as_deref().unwrap_or_default();
    assert!(words.starts_with("the driver "), "{words}");
    let words = until(&sensor, "slow", |view| {
        view.slow.as_deref().is_some_and(|words| words.ends_with(" s a look"))
    });
    assert!(words.sample_us >= 120_000, "{}", words.sample_us);
}

#[test]
fn hanging_call_does_not_block_readers() {
    let fake = FakeNvml::new(TWO_GPUS);
    let slow = Duration::from_millis(40);
    let sensor = GpuSensor::start(GpuOptions { slow, ..options(&fake) });
    until(&sensor, "read", |view| view.devices.len() == 2);
    fake.set(&[("hang.nvmlDeviceGetPowerUsage", "1")]);
    let view = until(&sensor, "late", |view| {
        view.slow.as_deref().is_some_and(|words| words.contains("figures are from before"))
    });
    assert_eq!(view.devices.len(), 2, "the last values are still shown");
    drop(sensor);
    assert_eq!(fake.calls("shutdown"), 0, "drop did not wait for the call");
    fake.unset("hang.nvmlDeviceGetPowerUsage");
    wait_for("shut down", || fake.calls("shutdown") == 1);
}

#[test]
fn hanging_first_reading_is_noted() {
    let fake = FakeNvml::new(&format!("{TWO_GPUS}hang.nvmlInit_v2 = 1"));
    let slow = Duration::from_millis(20);
    let sensor = GpuSensor::start(GpuOptions { slow, ..options(&fake) });
    until(&sensor, "late", |view| {
        view.note.as_deref().is_some_and(|note| note.contains("has not answered for"))
    });
    assert_eq!(sensor.looks(), 0);
    fake.unset("hang.nvmlInit_v2");
    until(&sensor, "read", |view| view.devices.len() == 2 && view.note.is_none());
}

#[test]
fn drop_shuts_nvml_down() {
    let fake = FakeNvml::new(TWO_GPUS);
    let sensor = GpuSensor::start(options(&fake));
    sensor.first(PATIENCE);
    drop(sensor);
    wait_for("shut down", || fake.calls("shutdown") == 1);
    assert_eq!(fake.calls("init"), 1);
}

#[test]
fn snapshots_contain_gpu_values() {
    let fake = FakeNvml::new(TWO_GPUS);
    let options = Options {
        interval: Duration::from_millis(50),
        gpu: Some(Arc::new(GpuSensor::start(options(&fake)))),
        ..Options::new(Arc::new(SimulatedMachine::uniform(2)), Arc::new(NoModels))
    };
    let scheduler = Scheduler::start(&Layout::default(), options).expect("a scheduler");
    let snapshots = scheduler.snapshots();
    let temperature = || {
        let snapshot = snapshots.borrow().clone();
        snapshot.gpu.devices.first().and_then(|gpu| gpu.temperature_c)
    };
    wait_for("in a snapshot", || temperature() == Some(71));
    fake.set(&[("gpu0.temperature", "83")]);
    wait_for("followed", || temperature() == Some(83));
    fake.set(&[("hang.nvmlDeviceGetPowerUsage", "1")]);
    let before = snapshots.borrow().sequence;
    wait_for("published while the driver hangs", || snapshots.borrow().sequence > before + 3);
    fake.unset("hang.nvmlDeviceGetPowerUsage");
}

struct NoModels;

impl Loader for NoModels {
    fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
        panic!("the layout is empty")
    }
}

#[test]
fn machine_command_lists_gpus() {
    let fake = FakeNvml::new(TWO_GPUS);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_divvy"))
        .args(["machine", "--json"])
        .env(LIBRARY_VARIABLE, fake.library())
        .output()
        .expect("divvy runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let gpus = report.pointer("/gpus/devices").and_then(serde_json::Value::as_array);
    let names: Vec<_> =
        gpus.expect("GPUs").iter().filter_map(|gpu| gpu.get("name")?.as_str()).collect();
    assert_eq!(names, ["NVIDIA RTX Imaginary", "NVIDIA H000"]);
}

#[test]
fn headless_snapshots_contain_gpus() {
    let fake = FakeNvml::new(TWO_GPUS);
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("small.onnx");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_divvy"))
        .args(["synth", "mlp", "-o"])
        .arg(&model)
        .status()
        .expect("divvy runs");
    assert!(made.success());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_divvy"))
        .args(["--headless", "--json", "--interval", "100ms", "--engine", "rten"])
        .arg(&model)
        .env(LIBRARY_VARIABLE, fake.library())
        .env("XDG_STATE_HOME", folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("divvy runs");
    let lines = std::io::BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let found = lines.take(300).map_while(Result::ok).any(|line| {
        let snapshot: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let busy = snapshot.pointer("/gpus/devices/0/busy").and_then(serde_json::Value::as_f64);
        busy == Some(0.87)
    });
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    assert!(found, "none of 300 lines has the GPU");
}
