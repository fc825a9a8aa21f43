//! The requests of a load: prepared or recorded ones, their order, and outputs carried to inputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::error::LoadError;
use crate::engine::NamedTensor;
use crate::layout::ReplayOrder;

/// A request's tensors, shared so that sending them again costs nothing.
pub(super) type Inputs = Arc<Vec<NamedTensor>>;

/// The requests that a load sends over and over: synthetic ones or a recording.
#[derive(Clone, Debug)]
pub struct LoadRequests {
    items: Vec<Inputs>,
    times: Option<RecordedTimes>,
}

/// Recorded arrival times.
#[derive(Clone, Debug)]
pub(super) struct RecordedTimes {
    /// From the start of the recording, rising, one per request.
    pub(super) offsets: Arc<[Duration]>,
    /// Length of one pass: the last arrival plus the mean gap.
    pub(super) period: Duration,
}

impl LoadRequests {
    /// Requests without recorded times.
    ///
    /// # Errors
    /// [`LoadError::NoRequests`] if there is none. A model without inputs has one empty request.
    pub fn new(items: Vec<Vec<NamedTensor>>) -> Result<Self, LoadError> {
        if items.is_empty() {
            return Err(LoadError::NoRequests);
        }
        Ok(Self { items: items.into_iter().map(Arc::new).collect(), times: None })
    }

    /// The requests that the scheduler prepared for an order; their tensors are shared.
    ///
    /// # Errors
    /// As [`LoadRequests::new`] and [`LoadRequests::with_times`].
    pub fn of_order(order: &crate::scheduler::PreparedRequests) -> Result<Self, LoadError> {
        if order.inputs.is_empty() {
            return Err(LoadError::NoRequests);
        }
        let requests = Self { items: order.inputs.clone(), times: None };
        if order.recorded_us.is_empty() {
            return Ok(requests);
        }
        requests.with_times(order.recorded_us.iter().copied().map(Duration::from_micros).collect())
    }

    /// The same requests with their recorded arrival times, from the start of the recording. The
    /// recording repeats one mean gap after its last arrival.
    ///
    /// # Errors
    /// [`LoadError::BadTimes`] if there is not one time per request, if the times fall, or if all
    /// are equal.
    pub fn with_times(mut self, offsets: Vec<Duration>) -> Result<Self, LoadError> {
        let bad = |problem: String| Err(LoadError::BadTimes { problem });
        if offsets.len() != self.items.len() {
            return bad(format!("are {} for {} requests", offsets.len(), self.items.len()));
        }
        if !offsets.is_sorted() {
            return bad("go back in time".to_owned());
        }
        let first = offsets.first().copied().unwrap_or_default();
        let last = offsets.last().copied().unwrap_or_default();
        let gaps = u32::try_from(offsets.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let span = last.saturating_sub(first);
        let gap = span.checked_div(gaps).unwrap_or_default();
        if gap.is_zero() {
            return bad("are all equal".to_owned());
        }
        let offsets: Vec<Duration> =
            offsets.into_iter().map(|offset| offset.saturating_sub(first)).collect();
        self.times =
            Some(RecordedTimes { offsets: offsets.into(), period: span.saturating_add(gap) });
        Ok(self)
    }

    /// Returns the number of requests, 1 or more.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn times(&self) -> Option<&RecordedTimes> {
        self.times.as_ref()
    }
}

/// An endless cycle through the requests.
#[derive(Debug)]
pub(super) struct RequestCycle {
    requests: Arc<LoadRequests>,
    /// `None`: as recorded.
    shuffle: Option<Shuffle>,
    position: usize,
}

/// A shuffled order.
#[derive(Debug)]
struct Shuffle {
    indices: Vec<usize>,
    rng: Rng,
}

/// A request of a cycle.
pub(super) struct CycledRequest {
    pub(super) inputs: Inputs,
    /// True for the first request of a pass.
    pub(super) is_first: bool,
}

impl RequestCycle {
    /// A cycle in the given order; each pass of a shuffled one has another order, by the seed.
    pub(super) fn new(requests: Arc<LoadRequests>, order: ReplayOrder, seed: u64) -> Self {
        let shuffle = match order {
            ReplayOrder::Recorded => None,
            ReplayOrder::Shuffled => Some(Shuffle {
                indices: (0..requests.len()).collect(),
                rng: Rng::with_seed(seed ^ 0x5eed_0f0d),
            }),
        };
        Self { requests, shuffle, position: 0 }
    }

    /// Returns the next request.
    pub(super) fn next(&mut self) -> CycledRequest {
        let position = self.position;
        self.position = (position + 1) % self.requests.len();
        let index = match &mut self.shuffle {
            None => position,
            Some(Shuffle { indices, rng }) => {
                if position == 0 {
                    rng.shuffle(indices);
                }
                indices.get(position).copied().unwrap_or(position)
            }
        };
        let inputs = self.requests.items.get(index).cloned().unwrap_or_default();
        CycledRequest { inputs, is_first: position == 0 }
    }
}

/// Outputs of the last request that become inputs of the next.
#[derive(Debug)]
pub(super) struct CarriedState {
    /// Input names by output name.
    names: BTreeMap<String, String>,
    tensors: Vec<NamedTensor>,
}

impl CarriedState {
    /// No state yet; `names` maps output names to input names.
    pub(super) fn new(names: BTreeMap<String, String>) -> Self {
        Self { names, tensors: Vec::new() }
    }

    /// Stores the outputs that the next request needs.
    pub(super) fn store(&mut self, outputs: Vec<NamedTensor>) {
        self.tensors = outputs
            .into_iter()
            .filter_map(|output| {
                let name = self.names.get(&output.name)?.clone();
                Some(NamedTensor { name, tensor: output.tensor })
            })
            .collect();
    }

    /// Clears the state: the next request uses the recorded values.
    pub(super) fn clear(&mut self) {
        self.tensors.clear();
    }

    /// Returns the request with the carried tensors in place of the recorded ones.
    pub(super) fn fill(&mut self, inputs: Inputs) -> Inputs {
        if self.tensors.is_empty() {
            return inputs;
        }
        let is_recorded =
            |input: &&NamedTensor| self.tensors.iter().all(|carried| carried.name != input.name);
        let mut filled: Vec<NamedTensor> = inputs.iter().filter(is_recorded).cloned().collect();
        filled.append(&mut self.tensors);
        Arc::new(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::fake::{numbered, scalar, value};

    fn take(cycle: &mut RequestCycle, count: usize) -> Vec<f32> {
        (0..count).map(|_| value(&cycle.next().inputs, "x")).collect()
    }

    #[test]
    fn recorded_order_repeats() {
        let mut cycle = RequestCycle::new(Arc::new(numbered(3)), ReplayOrder::Recorded, 1);
        assert_eq!(take(&mut cycle, 7), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]);
    }

    #[test]
    fn shuffled_pass_has_each_request_once() {
        let requests = Arc::new(numbered(50));
        let mut cycle = RequestCycle::new(requests.clone(), ReplayOrder::Shuffled, 9);
        let passes: Vec<Vec<f32>> = (0..2).map(|_| take(&mut cycle, 50)).collect();
        for pass in &passes {
            let mut sorted = pass.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, (0..50).map(|index| index as f32).collect::<Vec<_>>());
        }
        assert_ne!(passes[0], passes[1]);
        let mut again = RequestCycle::new(requests, ReplayOrder::Shuffled, 9);
        assert_eq!(take(&mut again, 50), passes[0], "the same seed gives the same order");
    }

    #[test]
    fn rejects_times_that_do_not_fit() {
        let seconds = |values: &[u64]| values.iter().map(|v| Duration::from_secs(*v)).collect();
        assert!(numbered(3).with_times(seconds(&[0, 1])).is_err());
        assert!(numbered(3).with_times(seconds(&[0, 2, 1])).is_err());
        assert!(numbered(3).with_times(seconds(&[4, 4, 4])).is_err());
        let requests = numbered(3).with_times(seconds(&[10, 11, 14])).unwrap();
        let times = requests.times().unwrap();
        assert_eq!(times.offsets.as_ref(), seconds(&[0, 1, 4]));
        assert_eq!(times.period, Duration::from_secs(6));
        assert_eq!(LoadRequests::new(Vec::new()).err(), Some(LoadError::NoRequests));
    }

    #[test]
    fn carried_outputs_replace_inputs() {
        let mut carried = CarriedState::new([("next".to_owned(), "state".to_owned())].into());
        let inputs = Arc::new(vec![scalar("x", 1.0), scalar("state", 0.0)]);
        assert_eq!(carried.fill(inputs.clone()), inputs);
        carried.store(vec![scalar("other", 3.0), scalar("next", 7.0)]);
        let filled = carried.fill(inputs.clone());
        assert_eq!((value(&filled, "x"), value(&filled, "state")), (1.0, 7.0));
        assert_eq!(filled.len(), 2);
        carried.store(vec![scalar("next", 8.0)]);
        carried.clear();
        assert_eq!(carried.fill(inputs.clone()), inputs);
    }
}
