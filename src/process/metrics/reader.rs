//! The thread that reads a row's metrics page each second.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::families::Families;
use super::fault::PageFault;
use super::history::History;
use super::http;
use super::series::{SeriesSums, Totals};
use crate::layout::MetricsUrl;
use crate::telemetry::{ReportedRequests, RequestSums};

/// Time between two pages.
const INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two attempts after faults.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Reads a metrics page on its own thread. Dropping it stops the thread without waiting for it: a host
/// name that is being resolved cannot be interrupted.
pub struct MetricsReader {
    pub(super) shared: Arc<Shared>,
}

#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<ReaderState>,
    /// Notified when the reader stops.
    woken: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct ReaderState {
    latest: ReportedRequests,
    percentile: Option<f64>,
    counted: Option<CountedRequests>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, ReaderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

impl MetricsReader {
    /// Starts to read the page at a URL. `percentile` is the one whose latency
    /// [`ReportedRequests::slo_us`] reports.
    ///
    /// # Errors
    /// A fault in the URL, or the system's error if the thread cannot be started.
    pub fn start(url: &str, percentile: Option<f64>) -> io::Result<Self> {
        let url = MetricsUrl::parse(url)
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        let shared = Arc::new(Shared::default());
        shared.lock().percentile = percentile;
        let reader = PageReader::new(url);
        let thread_shared = shared.clone();
        std::thread::Builder::new()
            .name("divvy-metrics".to_owned())
            .spawn(move || reader.run(&thread_shared))?;
        Ok(Self { shared })
    }

    /// Sets the percentile whose latency [`ReportedRequests::slo_us`] reports, from the next page on.
    pub fn set_percentile(&self, percentile: Option<f64>) {
        self.shared.lock().percentile = percentile;
    }

    /// Returns the requests since the first page, for rates over other spans; `None` before that.
    pub(in crate::process) fn counted(&self) -> Option<CountedRequests> {
        self.shared.lock().counted
    }

    /// Returns the figures of the newest page.
    pub fn latest(&self) -> ReportedRequests {
        self.shared.lock().latest.clone()
    }
}

impl Drop for MetricsReader {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // The lock orders the flag before the thread's next wait.
        drop(self.shared.lock());
        self.shared.woken.notify_all();
    }
}

/// The requests since the first page.
#[derive(Clone, Copy, Debug)]
pub(in crate::process) struct CountedRequests {
    pub(in crate::process) sums: RequestSums,
    /// When the newest page was read.
    pub(in crate::process) at: Instant,
}

/// The state of the thread.
struct PageReader {
    url: MetricsUrl,
    families: Families,
    sums: SeriesSums,
    history: History,
    counted: Option<CountedRequests>,
    page: Vec<u8>,
}

impl PageReader {
    fn new(url: MetricsUrl) -> Self {
        Self {
            families: Families::new(url.family()),
            url,
            sums: SeriesSums::default(),
            history: History::default(),
            counted: None,
            page: Vec::new(),
        }
    }

    fn run(mut self, shared: &Shared) {
        let mut pause = INTERVAL;
        while !shared.is_stopped() {
            let started = Instant::now();
            let percentile = shared.lock().percentile;
            let read = self.read(&shared.stopped, percentile);
            pause = match &read {
                Ok(_) => INTERVAL,
                Err(_) => (pause * 2).min(LONGEST_PAUSE),
            };
            let latest = read.unwrap_or_else(|fault| ReportedRequests {
                fault: Some(format!("{}: {fault}", self.url)),
                ..ReportedRequests::default()
            });
            let mut state = shared.lock();
            state.latest = latest;
            state.counted = self.counted;
            let wait = pause.saturating_sub(started.elapsed());
            // A spurious or late wake-up only shifts the next page.
            let waited = shared.woken.wait_timeout_while(state, wait, |_| !shared.is_stopped());
            drop(waited);
        }
    }

    fn read(
        &mut self,
        stopped: &AtomicBool,
        percentile: Option<f64>,
    ) -> Result<ReportedRequests, PageFault> {
        http::get(&self.url, stopped, &mut self.page)?;
        let at = Instant::now();
        let totals = self.sums.add(&self.families, &self.page)?;
        let family = self.families.list.get(totals.family);
        let counted = |unit_us| CountedRequests { sums: sums(&totals, unit_us), at };
        self.counted = family.map(|family| counted(family.unit_us));
        self.history.add(at, totals);
        Ok(family.map_or_else(ReportedRequests::default, |family| {
            self.history.requests(family, percentile)
        }))
    }
}

/// Returns the requests of a page's totals.
fn sums(totals: &Totals, unit_us: f64) -> RequestSums {
    let counters = &totals.counters;
    RequestSums {
        count: counters.requests.or(counters.count).unwrap_or(0.0),
        time_us: counters.sum.or(counters.time).unwrap_or(0.0) * unit_us,
    }
}
