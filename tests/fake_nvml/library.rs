//! A fake of NVIDIA's NVML, so that tests can run the real wrapper and sensors without a GPU. Not part
//! of any build: the tests compile it with `rustc` (see `mod.rs`).
//!
//! Each call reads the script again: the file named by `FAKE_NVML`, or else the library's path plus
//! `.script` (so each copy of the library has its own). Lines are `key = value`; `#` starts a comment.
//! Keys:
//!
//! - `driver`, `cuda`, `count`: driver version, CUDA version as a number (13000), number of GPUs;
//! - `gpu0.name`, `gpu0.power`, ..: a value, in NVML's unit (milliwatts, percent, bytes). A value
//!   without a line is "not supported". `gpu0.mig1.name` is the MIG device at position 1;
//! - `gpu0.processes`: `PID:BYTES:SM_PERCENT`, separated by commas; the PID `self` is this process;
//! - `error.FUNCTION`, `error.gpu0.FUNCTION`, `error.gpu0`: the return code to fail with;
//! - `slow.FUNCTION`: milliseconds to sleep first;
//! - `hang.FUNCTION`: the call does not return while the line is there.
//!
//! Each init and shutdown is logged to the script's path plus `.calls`.

#![allow(non_snake_case, clippy::missing_safety_doc)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

const SUCCESS: u32 = 0;
const UNINITIALIZED: u32 = 1;
const INVALID_ARGUMENT: u32 = 2;
const NOT_SUPPORTED: u32 = 3;
const NOT_FOUND: u32 = 6;
const INSUFFICIENT_SIZE: u32 = 7;

/// Number of inits without a shutdown.
static INITS: AtomicI32 = AtomicI32::new(0);

#[repr(C)]
struct Located {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, found: *mut Located) -> c_int;
}

#[repr(C)]
pub struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

#[repr(C)]
pub struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[repr(C)]
pub struct Process {
    pid: c_uint,
    memory: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

#[repr(C)]
pub struct Sample {
    pid: c_uint,
    at_us: c_ulonglong,
    sm: c_uint,
    memory: c_uint,
    encoder: c_uint,
    decoder: c_uint,
}

fn script_path() -> PathBuf {
    if let Some(path) = std::env::var_os("FAKE_NVML") {
        return path.into();
    }
    let nothing = std::ptr::null_mut();
    let mut found =
        Located { file: nothing as _, base: nothing, symbol: nothing as _, address: nothing };
    // SAFETY: the address is in this library, and `found` outlives the call; the file name is valid as
    // long as the library is loaded.
    let file = unsafe {
        if dladdr(nvmlInit_v2 as *const c_void, &mut found) == 0 {
            return PathBuf::new();
        }
        CStr::from_ptr(found.file)
    };
    PathBuf::from(format!("{}.script", file.to_string_lossy()))
}

struct Script(String);

impl Script {
    fn read() -> Self {
        Self(std::fs::read_to_string(script_path()).unwrap_or_default())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.lines().find_map(|line| {
            let line = line.split('#').next()?;
            let (found, value) = line.split_once('=')?;
            (found.trim() == key).then_some(value.trim())
        })
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }
}

/// Starts a call: sleeps, hangs or fails as scripted. `device` is "gpu0" or "gpu0.mig1", or "" for calls
/// without a device.
fn begin_call(function: &str, device: &str) -> Result<Script, u32> {
    let mut script = Script::read();
    if let Some(time) = script.number(&format!("slow.{function}")) {
        sleep(Duration::from_millis(time));
    }
    while script.get(&format!("hang.{function}")).is_some() {
        sleep(Duration::from_millis(5));
        script = Script::read();
    }
    let gpu = device.split('.').next().unwrap_or_default();
    let keys = [
        format!("error.{function}"),
        format!("error.{gpu}"),
        format!("error.{gpu}.{function}"),
        format!("error.{device}.{function}"),
    ];
    if let Some(code) = keys.iter().find_map(|key| script.number(key)) {
        return Err(code);
    }
    if function != "nvmlInit_v2" && INITS.load(Ordering::SeqCst) <= 0 {
        return Err(UNINITIALIZED);
    }
    Ok(script)
}

fn log_call(call: &str) {
    let mut path = script_path().into_os_string();
    path.push(".calls");
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{call}");
    }
}

/// Returns the key prefix of a device. A handle has the GPU in its low byte, and in the next byte the MIG
/// position plus one.
fn device(handle: *mut c_void) -> String {
    let bits = handle as usize & 0xffff;
    match bits >> 8 {
        0 => format!("gpu{}", bits & 0xff),
        position => format!("gpu{}.mig{}", bits & 0xff, position - 1),
    }
}

fn handle(gpu: usize, place: usize) -> *mut c_void {
    (0x10_0000 + gpu + (place << 8)) as *mut c_void
}

/// Runs the body of a call, and returns its code.
fn return_code(body: impl FnOnce() -> Result<(), u32>) -> u32 {
    body().err().unwrap_or(SUCCESS)
}

unsafe fn write_text(value: Option<&str>, out: *mut c_char, length: c_uint) -> Result<(), u32> {
    let value = value.ok_or(NOT_SUPPORTED)?;
    if value.len() + 1 > length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the caller's buffer holds `length` bytes, and the value with its end fits.
    unsafe {
        std::ptr::copy_nonoverlapping(value.as_ptr().cast(), out, value.len());
        *out.add(value.len()) = 0;
    }
    Ok(())
}

unsafe fn write_value<T>(value: Option<T>, out: *mut T) -> Result<(), u32> {
    let value = value.ok_or(NOT_SUPPORTED)?;
    // SAFETY: the caller passes a valid pointer.
    unsafe { out.write(value) };
    Ok(())
}

/// Processes of a device: id, bytes, percent of the multiprocessors.
fn processes(script: &Script, device: &str) -> Vec<(u32, u64, u32)> {
    let list = script.get(&format!("{device}.processes")).unwrap_or_default();
    let one = |part: &str| {
        let mut fields = part.trim().split(':');
        let pid = match fields.next()? {
            "self" => std::process::id(),
            other => other.parse().ok()?,
        };
        Some((pid, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    list.split(',').filter_map(one).collect()
}

/// Fills a caller's list, or returns the required length.
unsafe fn fill<T>(values: Vec<T>, count: *mut c_uint, out: *mut T) -> Result<(), u32> {
    // SAFETY: by NVML's contract, `count` is in and out, and `out` has room for as many values.
    unsafe {
        let room = *count as usize;
        *count = values.len() as c_uint;
        if values.len() > room || out.is_null() {
            return if values.is_empty() { Ok(()) } else { Err(INSUFFICIENT_SIZE) };
        }
        for (place, value) in values.into_iter().enumerate() {
            out.add(place).write(value);
        }
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> u32 {
    return_code(|| {
        log_call("init");
        begin_call("nvmlInit_v2", "")?;
        INITS.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> u32 {
    return_code(|| {
        log_call("shutdown");
        begin_call("nvmlShutdown", "")?;
        INITS.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(out: *mut c_char, length: c_uint) -> u32 {
    return_code(|| {
        let script = begin_call("nvmlSystemGetDriverVersion", "")?;
        unsafe { write_text(script.get("driver"), out, length) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) -> u32 {
    return_code(|| {
        let script = begin_call("nvmlSystemGetCudaDriverVersion_v2", "")?;
        unsafe { write_value(script.number("cuda"), out) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(out: *mut c_uint) -> u32 {
    return_code(|| {
        let script = begin_call("nvmlDeviceGetCount_v2", "")?;
        unsafe { write_value(Some(script.number("count").unwrap_or(0)), out) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(
    index: c_uint,
    out: *mut *mut c_void,
) -> u32 {
    return_code(|| {
        let script = begin_call("nvmlDeviceGetHandleByIndex_v2", &format!("gpu{index}"))?;
        if index >= script.number("count").unwrap_or(0) {
            return Err(INVALID_ARGUMENT);
        }
        unsafe { write_value(Some(handle(index as usize, 0)), out) }
    })
}

macro_rules! texts {
    ($($function:ident = $key:literal;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(of: *mut c_void, out: *mut c_char, length: c_uint) -> u32 {
            return_code(|| {
                let device = device(of);
                let script = begin_call(stringify!($function), &device)?;
                unsafe { write_text(script.get(&format!("{device}.{}", $key)), out, length) }
            })
        }
    )*};
}

texts! {
    nvmlDeviceGetName = "name";
    nvmlDeviceGetUUID = "uuid";
}

macro_rules! numbers {
    ($($function:ident: $kind:ty = $key:literal;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(of: *mut c_void, out: *mut $kind) -> u32 {
            return_code(|| {
                let device = device(of);
                let script = begin_call(stringify!($function), &device)?;
                unsafe { write_value(script.number::<$kind>(&format!("{device}.{}", $key)), out) }
            })
        }
    )*};
}

numbers! {
    nvmlDeviceGetPowerUsage: c_uint = "power";
    nvmlDeviceGetEnforcedPowerLimit: c_uint = "power_limit";
    nvmlDeviceGetCurrPcieLinkGeneration: c_uint = "pcie_generation";
    nvmlDeviceGetMaxPcieLinkGeneration: c_uint = "pcie_generation_max";
    nvmlDeviceGetCurrPcieLinkWidth: c_uint = "pcie_width";
    nvmlDeviceGetMaxPcieLinkWidth: c_uint = "pcie_width_max";
    nvmlDeviceGetCurrentClocksThrottleReasons: c_ulonglong = "throttle";
    nvmlDeviceGetMaxMigDeviceCount: c_uint = "mig_places";
}

macro_rules! chosen {
    ($($function:ident = [$($key:literal),*];)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(of: *mut c_void, which: c_uint, out: *mut c_uint) -> u32 {
            return_code(|| {
                let device = device(of);
                let script = begin_call(stringify!($function), &device)?;
                let key = [$($key),*].get(which as usize).ok_or(INVALID_ARGUMENT)?.to_string();
                unsafe { write_value(script.number(&format!("{device}.{key}")), out) }
            })
        }
    )*};
}

chosen! {
    nvmlDeviceGetTemperature = ["temperature"];
    nvmlDeviceGetClockInfo = ["graphics_clock", "sm_clock", "memory_clock"];
    nvmlDeviceGetPcieThroughput = ["pcie_sent", "pcie_received"];
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    of: *mut c_void,
    out: *mut Utilization,
) -> u32 {
    return_code(|| {
        let device = device(of);
        let script = begin_call("nvmlDeviceGetUtilizationRates", &device)?;
        let gpu = script.number(&format!("{device}.utilisation")).ok_or(NOT_SUPPORTED)?;
        let memory = script.number(&format!("{device}.memory_busy")).unwrap_or(0);
        unsafe { write_value(Some(Utilization { gpu, memory }), out) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(of: *mut c_void, out: *mut Memory) -> u32 {
    return_code(|| {
        let device = device(of);
        let script = begin_call("nvmlDeviceGetMemoryInfo_v2", &device)?;
        let total = script.number(&format!("{device}.memory_total")).ok_or(NOT_SUPPORTED)?;
        let used = script.number(&format!("{device}.memory_used")).unwrap_or(0);
        let memory = Memory { version: 2, total, reserved: 0, free: total - used, used };
        unsafe { write_value(Some(memory), out) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    of: *mut c_void,
    count: *mut c_uint,
    out: *mut Process,
) -> u32 {
    return_code(|| {
        let device = device(of);
        let script = begin_call("nvmlDeviceGetComputeRunningProcesses_v3", &device)?;
        let row = |(pid, memory, _)| Process {
            pid,
            memory,
            gpu_instance: u32::MAX,
            compute_instance: u32::MAX,
        };
        let rows = processes(&script, &device).into_iter().map(row).collect();
        unsafe { fill(rows, count, out) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetProcessUtilization(
    of: *mut c_void,
    out: *mut Sample,
    count: *mut c_uint,
    since_us: c_ulonglong,
) -> u32 {
    return_code(|| {
        let device = device(of);
        let script = begin_call("nvmlDeviceGetProcessUtilization", &device)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_us = now.as_micros() as u64;
        let row = |(pid, _, sm)| Sample { pid, at_us, sm, memory: 0, encoder: 0, decoder: 0 };
        let rows: Vec<Sample> = processes(&script, &device).into_iter().map(row).collect();
        if rows.is_empty() || at_us < since_us {
            return Err(NOT_FOUND);
        }
        unsafe { fill(rows, count, out) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigMode(
    of: *mut c_void,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> u32 {
    return_code(|| {
        let device = device(of);
        let script = begin_call("nvmlDeviceGetMigMode", &device)?;
        let mode = script.number(&format!("{device}.mig"));
        unsafe {
            write_value(mode, current)?;
            write_value(mode, pending)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    of: *mut c_void,
    place: c_uint,
    out: *mut *mut c_void,
) -> u32 {
    return_code(|| {
        let gpu = device(of);
        let part = format!("{gpu}.mig{place}");
        let script = begin_call("nvmlDeviceGetMigDeviceHandleByIndex", &part)?;
        script.get(&format!("{part}.name")).ok_or(NOT_FOUND)?;
        unsafe { write_value(Some(handle(of as usize & 0xff, place as usize + 1)), out) }
    })
}
