//! Metrics and limits that a row has as a model and as processes.

use super::model_view::ModelView;
use super::process_view::ReportedRequests;

impl ModelView {
    /// Returns the reason why divvy cannot place the row or set its weight and memory; `None` if it can.
    pub fn read_only(&self) -> Option<&str> {
        self.process.as_ref()?.read_only.as_deref()
    }

    /// Returns the reason why the row cannot have a weight; `None` if it can.
    pub fn weight_refused(&self) -> Option<&str> {
        self.process.as_ref()?.weight_refused.as_deref()
    }

    /// Returns the memory of the row in bytes: the engine's for a model, the resident set for processes.
    pub fn memory_bytes(&self) -> u64 {
        self.process.as_ref().map_or_else(|| self.memory.total(), |process| process.rss_bytes)
    }

    /// Returns the requests per second; `None` for processes that do not report them.
    pub fn requests_per_s(&self) -> Option<f64> {
        match &self.process {
            Some(_) => self.reported()?.per_s,
            None => Some(self.second.completed_per_s),
        }
    }

    /// Returns the requests that wait; `None` for processes.
    pub fn waiting_requests(&self) -> Option<u64> {
        self.process.is_none().then_some(self.counts.queued + self.counts.blocked)
    }

    /// Returns the median latency in microseconds; `None` if no request was measured.
    pub fn p50_us(&self) -> Option<u64> {
        match &self.process {
            Some(_) => micros(self.reported()?.p50_us),
            None => self.measured(self.minute.total.p50_us),
        }
    }

    /// Returns the 99th percentile of the latency in microseconds; `None` if no request was measured.
    pub fn p99_us(&self) -> Option<u64> {
        match &self.process {
            Some(_) => micros(self.reported()?.p99_us),
            None => self.measured(self.minute.total.p99_us),
        }
    }

    /// Returns the latency at the percentile of the row's target, in microseconds; `None` if no request
    /// was measured.
    pub fn slo_us(&self) -> Option<u64> {
        match &self.process {
            Some(_) => micros(self.reported()?.slo_us),
            None => self.minute.slo_us.filter(|_| self.minute.total.count > 0),
        }
    }

    fn reported(&self) -> Option<&ReportedRequests> {
        self.process.as_ref()?.requests.as_ref()
    }

    fn measured(&self, us: u64) -> Option<u64> {
        (self.minute.total.count > 0).then_some(us)
    }
}

fn micros(us: Option<f64>) -> Option<u64> {
    us.filter(|us| us.is_finite() && *us >= 0.0).map(|us| us as u64)
}
