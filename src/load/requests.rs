//! What is asked: prepared or recorded requests, their order, and outputs carried to inputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::error::LoadError;
use crate::engine::NamedTensor;
use crate::layout::ReplayOrder;

/// A request's tensors, shared so that sending them again costs nothing.
pub(super) type Inputs = Arc<Vec<NamedTensor>>;

/// The requests that a load sends, over and over: synthetic ones (one or a few) or a recording.
#[derive(Clone, Debug)]
pub struct LoadRequests {
    items: Vec<Inputs>,
    times: Option<Times>,
}

/// Recorded arrival times.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// From the start of the recording, rising, one a request.
    pub(super) offsets: Arc<[Duration]>,
    /// Length of one pass: the last arrival plus the mean gap.
    pub(super) period: Duration,
}

impl LoadRequests {
    /// Requests without times of their own.
    ///
    /// # Errors
    /// [`LoadError::NoRequests`] when there is none. A model without inputs has one empty request.
    pub fn new(items: Vec<Vec<NamedTensor>>) -> Result<Self, LoadError> {
        if items.is_empty() {
            return Err(LoadError::NoRequests);
        }
        Ok(Self { items: items.into_iter().map(Arc::new).collect(), times: None })
    }

    /// The requests that the scheduler prepared for an order, shared and not copied.
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

    /// The same requests with the arrival times of their recording, from its start. The recording
    /// repeats one mean gap after its last arrival.
    ///
    /// # Errors
    /// [`LoadError::BadTimes`] when there is not one time a request, when they fall, or when all
    /// are alike.
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
            return bad("are all alike".to_owned());
        }
        let offsets: Vec<Duration> =
            offsets.into_iter().map(|offset| offset.saturating_sub(first)).collect();
        self.times = Some(Times { offsets: offsets.into(), period: span.saturating_add(gap) });
        Ok(self)
    }

    /// How many requests there are, 1 or more.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn times(&self) -> Option<&Times> {
        self.times.as_ref()
    }
}

/// Goes through the requests without end.
#[derive(Debug)]
pub(super) struct Sequence {
    requests: Arc<LoadRequests>,
    order: Option<(Vec<usize>, Rng)>,
    position: usize,
}

impl Sequence {
    /// A walk in the given order; a shuffled one is shuffled anew for each pass, by the seed.
    pub(super) fn new(requests: Arc<LoadRequests>, order: ReplayOrder, seed: u64) -> Self {
        let order = match order {
            ReplayOrder::Recorded => None,
            ReplayOrder::Shuffled => {
                Some(((0..requests.len()).collect(), Rng::with_seed(seed ^ 0x5eed_0f0d)))
            }
        };
        Self { requests, order, position: 0 }
    }

    /// The next request, and whether it is the first of a pass.
    pub(super) fn next(&mut self) -> (Inputs, bool) {
        let position = self.position;
        self.position = (position + 1) % self.requests.len();
        let index = match &mut self.order {
            None => position,
            Some((indices, rng)) => {
                if position == 0 {
                    rng.shuffle(indices);
                }
                indices.get(position).copied().unwrap_or(position)
            }
        };
        (self.requests.items.get(index).cloned().unwrap_or_default(), position == 0)
    }
}

/// Outputs of the last request that become inputs of the next.
#[derive(Debug)]
pub(super) struct Carry {
    names: BTreeMap<String, String>,
    held: Vec<NamedTensor>,
}

impl Carry {
    /// From output names to input names.
    pub(super) fn new(names: BTreeMap<String, String>) -> Self {
        Self { names, held: Vec::new() }
    }

    /// Keeps what the next request needs.
    pub(super) fn keep(&mut self, outputs: Vec<NamedTensor>) {
        self.held = outputs
            .into_iter()
            .filter_map(|output| {
                let name = self.names.get(&output.name)?.clone();
                Some(NamedTensor { name, tensor: output.tensor })
            })
            .collect();
    }

    /// Forgets it: the next request uses the recorded values.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// The request with the carried tensors in place of the recorded ones.
    pub(super) fn fill(&mut self, inputs: Inputs) -> Inputs {
        if self.held.is_empty() {
            return inputs;
        }
        let kept =
            inputs.iter().filter(|input| self.held.iter().all(|held| held.name != input.name));
        let mut filled: Vec<NamedTensor> = kept.cloned().collect();
        filled.append(&mut self.held);
        Arc::new(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::fake::{numbered, scalar, value};

    fn walk(sequence: &mut Sequence, count: usize) -> Vec<f32> {
        (0..count).map(|_| value(&sequence.next().0, "x")).collect()
    }

    #[test]
    fn recorded_order_repeats() {
        let mut sequence = Sequence::new(Arc::new(numbered(3)), ReplayOrder::Recorded, 1);
        assert_eq!(walk(&mut sequence, 7), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]);
    }

    #[test]
    fn each_shuffled_pass_holds_each_request_once() {
        let requests = Arc::new(numbered(50));
        let mut sequence = Sequence::new(requests.clone(), ReplayOrder::Shuffled, 9);
        let passes: Vec<Vec<f32>> = (0..2).map(|_| walk(&mut sequence, 50)).collect();
        for pass in &passes {
            let mut sorted = pass.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, (0..50).map(|index| index as f32).collect::<Vec<_>>());
        }
        assert_ne!(passes[0], passes[1]);
        let mut again = Sequence::new(requests, ReplayOrder::Shuffled, 9);
        assert_eq!(walk(&mut again, 50), passes[0], "the same seed gives the same order");
    }

    #[test]
    fn times_must_fit_the_requests() {
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
    fn carried_outputs_replace_inputs_of_the_same_name() {
        let mut carry = Carry::new([("next".to_owned(), "state".to_owned())].into());
        let inputs = Arc::new(vec![scalar("x", 1.0), scalar("state", 0.0)]);
        assert_eq!(carry.fill(inputs.clone()), inputs);
        carry.keep(vec![scalar("other", 3.0), scalar("next", 7.0)]);
        let filled = carry.fill(inputs.clone());
        assert_eq!((value(&filled, "x"), value(&filled, "state")), (1.0, 7.0));
        assert_eq!(filled.len(), 2);
        carry.keep(vec![scalar("next", 8.0)]);
        carry.forget();
        assert_eq!(carry.fill(inputs.clone()), inputs);
    }
}
