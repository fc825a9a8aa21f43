//! The history of snapshots: one point per second and model, for the heat map and the graphs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::layout::Row;
use crate::telemetry::{GpuDevice, Histogram, Snapshot};

/// Latency bins of a point: four per octave, from 1 us on. The last one contains all slower
/// requests.
pub const HISTORY_BINS: usize = 96;

/// One second of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPoint {
    /// The second of the scheduler's uptime.
    pub second: u64,
    /// Completed requests by latency bin.
    pub bins: [u16; HISTORY_BINS],
    /// Completed requests per second.
    pub per_s: f64,
    /// CPU time, in cores.
    pub cpu: f64,
}

/// One second of one GPU, as shares of the maximum; 0 if the driver does not report the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuHistoryPoint {
    second: u64,
    /// Share of time in which a kernel ran.
    pub utilisation: f64,
    /// Used share of the memory.
    pub memory: f64,
    /// Power as a share of its limit.
    pub power: f64,
    /// Temperature as a share of 100 degrees Celsius.
    pub heat: f64,
}

impl GpuHistoryPoint {
    fn of(gpu: &GpuDevice, second: u64) -> Self {
        let share = |part: Option<f64>, whole: Option<f64>| match (part, whole) {
            (Some(part), Some(whole)) if whole > 0.0 => (part / whole).min(1.0),
            _ => 0.0,
        };
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        Self {
            second,
            utilisation: gpu.utilisation.unwrap_or(0.0),
            memory: share(bytes(gpu.memory_used_bytes), bytes(gpu.memory_total_bytes)),
            power: share(gpu.power_w, gpu.power_limit_w),
            heat: share(gpu.temperature_c.map(f64::from), Some(100.0)),
        }
    }
}

/// The identity of a model's points. States from before models had ids use the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HistoryKey {
    Id(u64),
    Name(String),
}

impl HistoryKey {
    fn of(row: &Row) -> Self {
        if row.id == 0 { Self::Name(row.budget.name.clone()) } else { Self::Id(row.id) }
    }
}

/// The newest points of a model.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelHistory {
    points: VecDeque<HistoryPoint>,
    /// The 99th percentile of each point, apart from the bins: rows draw all of them in each frame.
    p99_us: VecDeque<u64>,
}

impl ModelHistory {
    /// Adds a point. Replaces one of the same second.
    fn push(&mut self, point: HistoryPoint, p99_us: u64) {
        if self.points.back().is_some_and(|last| last.second >= point.second) {
            self.points.pop_back();
            self.p99_us.pop_back();
        }
        self.points.push_back(point);
        self.p99_us.push_back(p99_us);
        while self.points.len() > MetricHistory::SECONDS {
            self.points.pop_front();
            self.p99_us.pop_front();
        }
    }
}

/// The newest points of each model and GPU. A renamed model keeps its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricHistory {
    models: BTreeMap<HistoryKey, ModelHistory>,
    /// The points of each GPU, by its index.
    devices: BTreeMap<u32, VecDeque<GpuHistoryPoint>>,
}

/// Merges a snapshot's eight bins per octave into four.
fn condense(histogram: &Histogram) -> [u16; HISTORY_BINS] {
    let mut bins = [0u16; HISTORY_BINS];
    for (offset, number) in histogram.total.iter().enumerate() {
        let bucket = histogram.first + offset;
        let at = (bucket / 2).min(HISTORY_BINS - 1);
        if let Some(bin) = bins.get_mut(at) {
            *bin = bin.saturating_add(u16::try_from(*number).unwrap_or(u16::MAX));
        }
    }
    bins
}

impl MetricHistory {
    /// Seconds that are kept per model.
    pub const SECONDS: usize = 300;
    /// Seconds that are kept per GPU.
    pub const GPU_SECONDS: usize = 60;

    /// Adds a snapshot. Replaces a point of the same second. Drops removed models.
    pub fn observe(&mut self, snapshot: &Snapshot) {
        let second = snapshot.uptime_us / 1_000_000;
        let keys: BTreeSet<HistoryKey> =
            snapshot.models.iter().map(|view| HistoryKey::of(&view.row)).collect();
        self.models.retain(|key, _| keys.contains(key));
        for gpu in &snapshot.gpu.devices {
            let moments = self.devices.entry(gpu.index).or_default();
            if moments.back().is_some_and(|last| last.second >= second) {
                moments.pop_back();
            }
            moments.push_back(GpuHistoryPoint::of(gpu, second));
            while moments.len() > Self::GPU_SECONDS {
                moments.pop_front();
            }
        }
        for model in &snapshot.models {
            let point = HistoryPoint {
                second,
                bins: condense(&model.histogram_second),
                per_s: model.second.completed_per_s,
                cpu: model.cpu,
            };
            let history = self.models.entry(HistoryKey::of(&model.row)).or_default();
            history.push(point, model.second.total.p99_us);
        }
    }

    /// Returns a metric of a GPU over the last minute: one share per second, oldest first.
    pub fn gpu(&self, index: u32, reading: impl Fn(&GpuHistoryPoint) -> f64) -> Vec<f64> {
        self.devices.get(&index).into_iter().flatten().map(reading).collect()
    }

    /// Returns the points of a model, oldest first.
    pub fn of(&self, row: &Row) -> impl DoubleEndedIterator<Item = &HistoryPoint> {
        self.models.get(&HistoryKey::of(row)).into_iter().flat_map(|model| &model.points)
    }

    /// Returns the 99th percentiles of a model's seconds in microseconds, oldest first.
    pub fn p99_us(&self, row: &Row) -> impl ExactSizeIterator<Item = u64> + Clone {
        static NONE: VecDeque<u64> = VecDeque::new();
        self.models.get(&HistoryKey::of(row)).map_or(&NONE, |model| &model.p99_us).iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::fixtures;

    #[test]
    fn history_keeps_one_point_per_second() {
        let mut history = MetricHistory::default();
        let mut snapshot = fixtures::board();
        for half_second in 0..2 * (MetricHistory::SECONDS as u64 + 20) {
            snapshot.uptime_us = half_second * 500_000;
            history.observe(&snapshot);
        }
        let seconds: Vec<u64> =
            history.of(&snapshot.models[0].row).map(|moment| moment.second).collect();
        assert_eq!(seconds.len(), MetricHistory::SECONDS);
        assert!(seconds.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }

    #[test]
    fn requests_are_counted_in_their_bin() {
        let histogram = Histogram {
            first: 80,
            total: vec![1, 2, 3, 4, 5],
            queue_us: vec![0; 5],
            compute_us: vec![0; 5],
        };
        let bins = condense(&histogram);
        assert_eq!((bins[40], bins[41], bins[42]), (3, 7, 5));
        assert_eq!(bins.iter().map(|bin| u32::from(*bin)).sum::<u32>(), 15);
    }

    #[test]
    fn removed_model_is_forgotten() {
        let mut history = MetricHistory::default();
        let mut snapshot = fixtures::board();
        history.observe(&snapshot);
        let removed = snapshot.models.remove(0);
        history.observe(&snapshot);
        assert_eq!(history.of(&removed.row).count(), 0);
        assert_eq!(history.of(&snapshot.models[0].row).count(), 1);
    }

    #[test]
    fn renamed_model_keeps_its_graphs() {
        let mut history = MetricHistory::default();
        let mut snapshot = fixtures::board();
        snapshot.uptime_us = 1_000_000;
        snapshot.models[0].row.id = 7;
        history.observe(&snapshot);
        snapshot.uptime_us = 2_000_000;
        snapshot.models[0].row.budget.name = "finder".into();
        history.observe(&snapshot);
        assert_eq!(history.of(&snapshot.models[0].row).count(), 2);
    }
}
