//! The thread that looks at the cards, and what it leaves for others to read. No NVML call is made
//! under the lock, so a reader never waits for one.

use std::ffi::OsString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::look::{Known, cuda_version, look};
use super::words::{absent, gone, seconds};
use super::{GpuOptions, GpuSource, LIBRARY_VARIABLE};
use crate::telemetry::snapshot::GpuView;

/// A slow driver is left alone for this many times as long as a look took: asking it takes at most
/// a fifth of the thread's time.
const REST: u32 = 4;

/// The longest rest that a slow driver gets.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Reads the GPUs on a thread of its own. Dropping it ends the thread; a driver call that hangs is
/// not waited for.
pub struct GpuSensor {
    shared: Arc<Shared>,
    slow: Duration,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    view: Arc<GpuView>,
    /// When the look that is under way began.
    looking_since: Option<Instant>,
    /// Looks that ended.
    looks: u64,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GpuSensor {
    /// Starts to look. Returns at once; until the first look has ended the view says so.
    pub fn start(options: GpuOptions) -> Self {
        let shared = Arc::new(Shared::default());
        shared.lock().view = Arc::new(noted("looking for NVIDIA GPUs".to_owned(), None));
        let slow = options.slow;
        let theirs = shared.clone();
        let spawned = std::thread::Builder::new()
            .name("divvy-gpu".to_owned())
            .spawn(move || Watcher::new(options).run(&theirs));
        if let Err(error) = spawned {
            let mut state = shared.lock();
            let note = "GPUs are not watched: cannot start a thread for it".to_owned();
            state.view = Arc::new(noted(note, Some(error.to_string())));
            state.looks = 1;
        }
        Self { shared, slow }
    }

    /// What the first look gives, waited for at most `patience`.
    pub fn first(&self, patience: Duration) -> Arc<GpuView> {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| state.looks == 0)
            .unwrap_or_else(PoisonError::into_inner);
        drop(waited);
        self.latest()
    }

    /// Looks that have ended since the start.
    pub fn looks(&self) -> u64 {
        self.shared.lock().looks
    }
}

impl GpuSource for GpuSensor {
    fn latest(&self) -> Arc<GpuView> {
        let state = self.shared.lock();
        let silence = state.looking_since.map_or(Duration::ZERO, |since| since.elapsed());
        let (view, never) = (state.view.clone(), state.looks == 0);
        drop(state);
        if silence <= self.slow {
            return view;
        }
        let mut late = (*view).clone();
        let silence = seconds(silence);
        if never {
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

/// The thread's state.
struct Watcher {
    options: GpuOptions,
    library: Option<OsString>,
    nvml: Option<Nvml>,
    known: Known,
    /// Whether cards could be read before.
    met: bool,
}

impl Watcher {
    fn new(options: GpuOptions) -> Self {
        let library = options
            .library
            .clone()
            .map(OsString::from)
            .or_else(|| std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()));
        Self { options, library, nvml: None, known: Known::default(), met: false }
    }

    fn run(mut self, shared: &Shared) {
        loop {
            let begun = Instant::now();
            {
                let mut state = shared.lock();
                if state.stopped {
                    return;
                }
                state.looking_since = Some(begun);
            }
            let mut view = self.view();
            let took = begun.elapsed();
            view.look_us = took.as_micros() as u64;
            let mut rest = if self.nvml.is_some() {
                self.options.interval
            } else {
                self.options.retry.max(self.options.interval)
            };
            if took > self.options.slow {
                view.slow = Some(format!("the driver answers slowly: {} a look", seconds(took)));
                rest = rest.max((took * REST).min(LONGEST_REST));
            }
            let mut state = shared.lock();
            state.view = Arc::new(view);
            state.looking_since = None;
            state.looks += 1;
            shared.changed.notify_all();
            let waited = shared
                .changed
                .wait_timeout_while(state, rest, |state| !state.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            if waited.0.stopped {
                return;
            }
        }
    }

    /// Looks once; finds the driver first where it is not at hand.
    fn view(&mut self) -> GpuView {
        if self.nvml.is_none() {
            match self.connect() {
                Ok(nvml) => self.nvml = Some(nvml),
                Err(error) => return self.without(&error),
            }
        }
        let Some(nvml) = &self.nvml else { return GpuView::default() };
        match look(nvml, &mut self.known) {
            Ok(cards) => {
                self.met = true;
                let (note, reason) = if cards.is_empty() {
                    let reason = "the NVIDIA driver is there and lists no card";
                    (Some("no NVIDIA GPU".to_owned()), Some(reason.to_owned()))
                } else {
                    (None, None)
                };
                let driver = nvml.sys_driver_version().ok();
                let cuda = nvml.sys_cuda_driver_version().ok().map(cuda_version);
                GpuView { note, reason, driver, cuda, cards, ..GpuView::default() }
            }
            Err(error) => {
                // The handle is of no more use; the next attempt begins with a new one.
                self.nvml = None;
                self.without(&error)
            }
        }
    }

    fn connect(&self) -> Result<Nvml, NvmlError> {
        match &self.library {
            Some(library) => Nvml::builder().lib_path(library).init(),
            None => Nvml::init(),
        }
    }

    fn without(&self, error: &NvmlError) -> GpuView {
        let note = if self.met {
            gone(error, self.options.retry)
        } else {
            absent(error, self.library.as_deref())
        };
        noted(note, Some(error.to_string()))
    }
}

fn noted(note: String, reason: Option<String>) -> GpuView {
    GpuView { note: Some(note), reason, ..GpuView::default() }
}
