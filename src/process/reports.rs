//! The parts of a row's sample that its program and the hardware report: requests, memory bandwidth and cache.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::metrics::MetricsReader;
use super::options::ProcessAccess;
use super::resctrl::{ResctrlMonitor, RowMonitor};
use super::sample::ProcessSample;
use super::use_cells::UseCells;
use crate::telemetry::{BandwidthView, ProcessState, ReportedRequests, UseRecord};

/// The monitors of memory bandwidth and cache, or the reason why there are none.
pub(super) struct BandwidthMonitor(Result<ResctrlMonitor, String>);

/// The reports of one row.
#[derive(Default)]
pub(super) struct RowReports {
    page: Option<MetricsPage>,
    monitor: Option<RowMonitor>,
    cells: UseCells,
}

/// A metrics page that is read, or the reason why it cannot be.
struct MetricsPage {
    url: String,
    reader: Result<MetricsReader, String>,
}

/// The inputs of a row's reports.
pub(super) struct ReportInputs<'a> {
    pub(super) name: &'a str,
    /// The URL of the metrics page.
    pub(super) url: Option<&'a str>,
    /// The percentile of the row's target.
    pub(super) percentile: Option<f64>,
    /// The numbers of its threads.
    pub(super) threads: &'a [i32],
    pub(super) now: Instant,
}

impl BandwidthMonitor {
    /// Opens the monitors of this machine, if divvy may assign threads to groups.
    pub(super) fn open(access: ProcessAccess) -> Self {
        if access == ProcessAccess::Observe {
            return Self(Err(
                "divvy runs with --readonly, so it makes no resctrl groups".to_owned()
            ));
        }
        Self(ResctrlMonitor::open(Path::new("/")).map_err(|missing| missing.to_string()))
    }
}

impl RowReports {
    /// Adds the reports to a sample, and the sample to the row's record.
    pub(super) fn add_to(
        &mut self,
        sample: &mut ProcessSample,
        bandwidth: &BandwidthMonitor,
        record: &UseRecord,
        inputs: &ReportInputs<'_>,
    ) {
        let requests = self.requests(inputs);
        let bandwidth = self.bandwidth(bandwidth, inputs);
        if sample.view.state == ProcessState::Running {
            let counted = self.reader().and_then(MetricsReader::counted);
            if let Some(cell) = self.cells.add(&sample.used, counted, inputs.now) {
                record.add(cell);
            }
        } else {
            self.cells.reset();
        }
        let view = Arc::make_mut(&mut sample.view);
        view.requests = requests;
        view.bandwidth = bandwidth;
    }

    fn requests(&mut self, inputs: &ReportInputs<'_>) -> Option<ReportedRequests> {
        let Some(url) = inputs.url else {
            self.page = None;
            return None;
        };
        let page = match self.page.take() {
            Some(page) if page.url == url => page,
            _ => MetricsPage::open(url, inputs.percentile),
        };
        let page = self.page.insert(page);
        Some(match &page.reader {
            Ok(reader) => {
                reader.set_percentile(inputs.percentile);
                reader.latest()
            }
            Err(fault) => {
                ReportedRequests { fault: Some(fault.clone()), ..ReportedRequests::default() }
            }
        })
    }

    fn reader(&self) -> Option<&MetricsReader> {
        self.page.as_ref()?.reader.as_ref().ok()
    }

    fn bandwidth(
        &mut self,
        monitor: &BandwidthMonitor,
        inputs: &ReportInputs<'_>,
    ) -> BandwidthView {
        let monitor = match &monitor.0 {
            Ok(monitor) => monitor,
            Err(missing) => {
                return BandwidthView {
                    missing: Some(missing.clone()),
                    ..BandwidthView::default()
                };
            }
        };
        let row = self.monitor.get_or_insert_with(|| monitor.row(inputs.name));
        row.assign(inputs.threads, inputs.now);
        row.read(inputs.now)
    }
}

impl MetricsPage {
    fn open(url: &str, percentile: Option<f64>) -> Self {
        let reader = MetricsReader::start(url, percentile)
            .map_err(|error| format!("cannot read its metrics page: {error}"));
        Self { url: url.to_owned(), reader }
    }
}
