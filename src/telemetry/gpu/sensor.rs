//! The sensor thread: scans the GPUs at an interval and publishes the latest view.
//!
//! The thread never calls NVML while it holds the lock, so readers never wait for the driver.

use std::ffi::OsString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::scan::{SeenGpus, cuda_version, scan};
use super::source::{GpuOptions, GpuSource, LIBRARY_VARIABLE};
use super::text::{lost_note, seconds, unavailable_note};
use crate::machine::running_now;
use crate::telemetry::gpu_view::GpuView;

/// Maximum wait for the first scan. A GPU without persistence mode takes a second or two to wake.
pub const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// Pause after a slow scan, as a multiple of its duration. With 4, the driver is busy with scans
/// for at most a fifth of the time.
const SLOW_PAUSE_FACTOR: u32 = 4;

/// Maximum pause after a slow scan.
const MAX_SLOW_PAUSE: Duration = Duration::from_secs(30);

/// Handle of the sensor thread. Dropping it stops the thread without waiting for a driver call that
/// hangs.
pub struct GpuSensor {
    shared: Arc<Shared>,
    slow: Duration,
}

#[derive(Default)]
struct Shared {
    state: Mutex<SensorState>,
    changed: Condvar,
}

#[derive(Default)]
struct SensorState {
    view: Arc<GpuView>,
    /// Start of the current scan; `None` between scans.
    scan_started: Option<Instant>,
    /// Number of completed scans.
    scans: u64,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, SensorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GpuSensor {
    /// Starts the thread and returns at once. The view has a note until the first scan completes.
    pub fn start(options: GpuOptions) -> Self {
        let shared = Arc::new(Shared::default());
        shared.lock().view = Arc::new(view_with_note("looking for NVIDIA GPUs".to_owned(), None));
        let slow = options.slow;
        let thread_shared = shared.clone();
        let spawned = std::thread::Builder::new()
            .name("divvy-gpu".to_owned())
            .spawn(move || SensorThread::new(options).run(&thread_shared));
        if let Err(error) = spawned {
            let mut state = shared.lock();
            let note = "GPUs are not watched: cannot start a thread for it".to_owned();
            state.view = Arc::new(view_with_note(note, Some(error.to_string())));
            state.scans = 1;
        }
        Self { shared, slow }
    }

    /// Waits at most `patience` for the first scan, then returns the latest view.
    pub fn first(&self, patience: Duration) -> Arc<GpuView> {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| state.scans == 0)
            .unwrap_or_else(PoisonError::into_inner);
        drop(waited);
        self.latest()
    }

    /// Returns the number of completed scans.
    pub fn looks(&self) -> u64 {
        self.shared.lock().scans
    }
}

impl GpuSource for GpuSensor {
    fn latest(&self) -> Arc<GpuView> {
        let state = self.shared.lock();
        let silence = state
            .scan_started
            .map_or(Duration::ZERO, |started| running_now().saturating_duration_since(started));
        let (view, is_first_scan) = (state.view.clone(), state.scans == 0);
        drop(state);
        if silence <= self.slow {
            return view;
        }
        let mut late = (*view).clone();
        let silence = seconds(silence);
        if is_first_scan {
            late.note = Some(format!("the NVIDIA driver has not answered for {silence}"));
        } else {
            late.slow = Some(format!(
                "the driver has not answered for {silence}: these figures are from before"
            ));
        }
        Arc::new(late)
    }
}

impl Drop for GpuSensor {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

/// The state of the sensor thread.
struct SensorThread {
    options: GpuOptions,
    library: Option<OsString>,
    nvml: Option<Nvml>,
    seen: SeenGpus,
    /// True once a scan has succeeded.
    has_scanned: bool,
}

impl SensorThread {
    fn new(options: GpuOptions) -> Self {
        let library = options
            .library
            .clone()
            .map(OsString::from)
            .or_else(|| std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()));
        Self { options, library, nvml: None, seen: SeenGpus::default(), has_scanned: false }
    }

    fn run(mut self, shared: &Shared) {
        loop {
            let started = running_now();
            {
                let mut state = shared.lock();
                if state.stopped {
                    return;
                }
                state.scan_started = Some(started);
            }
            let mut view = self.scan();
            let took = running_now().saturating_duration_since(started);
            view.sample_us = took.as_micros() as u64;
            let mut pause = if self.nvml.is_some() {
                self.options.interval
            } else {
                self.options.retry.max(self.options.interval)
            };
            if took > self.options.slow {
                view.slow = Some(format!("the driver answers slowly: {} a look", seconds(took)));
                pause = pause.max((took * SLOW_PAUSE_FACTOR).min(MAX_SLOW_PAUSE));
            }
            let mut state = shared.lock();
            state.view = Arc::new(view);
            state.scan_started = None;
            state.scans += 1;
            shared.changed.notify_all();
            let waited = shared
                .changed
                .wait_timeout_while(state, pause, |state| !state.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            if waited.0.stopped {
                return;
            }
        }
    }

    /// Scans the GPUs once. Loads the driver first if it is not loaded.
    fn scan(&mut self) -> GpuView {
        if self.nvml.is_none() {
            match self.connect() {
                Ok(nvml) => self.nvml = Some(nvml),
                Err(error) => return self.failed_view(&error),
            }
        }
        let Some(nvml) = &self.nvml else { return GpuView::default() };
        match scan(nvml, &mut self.seen) {
            Ok(devices) => {
                self.has_scanned = true;
                let (note, reason) = if devices.is_empty() {
                    let reason = "the NVIDIA driver is there and lists no GPU";
                    (Some("no NVIDIA GPU".to_owned()), Some(reason.to_owned()))
                } else {
                    (None, None)
                };
                let driver = nvml.sys_driver_version().ok();
                let cuda = nvml.sys_cuda_driver_version().ok().map(cuda_version);
                GpuView { note, reason, driver, cuda, devices, ..GpuView::default() }
            }
            Err(error) => {
                // The handle is no longer valid; the next scan loads the driver again.
                self.nvml = None;
                self.failed_view(&error)
            }
        }
    }

    fn connect(&self) -> Result<Nvml, NvmlError> {
        match &self.library {
            Some(library) => Nvml::builder().lib_path(library).init(),
            None => Nvml::init(),
        }
    }

    fn failed_view(&self, error: &NvmlError) -> GpuView {
        let note = if self.has_scanned {
            lost_note(error, self.options.retry)
        } else {
            unavailable_note(error, self.library.as_deref())
        };
        view_with_note(note, Some(error.to_string()))
    }
}

fn view_with_note(note: String, reason: Option<String>) -> GpuView {
    GpuView { note: Some(note), reason, ..GpuView::default() }
}

/// Scans the GPUs once; waits at most [`LIST_PATIENCE`]. The view's notes report failures.
pub fn list() -> GpuView {
    (*GpuSensor::start(GpuOptions::default()).first(LIST_PATIENCE)).clone()
}
