//! The queue of waiting jobs: higher priorities first, each in order of arrival, with removal from its
//! middle and of late jobs in logarithmic time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::gate_state::Waiting;

/// Removed entries that are tolerated in any queue, so that a short one is not compacted all the time.
const SPARE: usize = 32;

/// All waiting jobs.
pub(super) struct JobQueue<T> {
    /// One lane per priority that has been used, the highest first.
    lanes: Vec<Lane<T>>,
    len: usize,
    /// The jobs that have a deadline, by deadline and number.
    deadlines: BTreeSet<(Instant, u64)>,
}

/// Jobs of one priority in the order of their numbers. A job removed from the middle leaves an empty
/// entry, which is dropped when it reaches the front, or once half of the entries are empty.
struct Lane<T> {
    priority: i8,
    entries: VecDeque<Entry<T>>,
    removed: usize,
}

struct Entry<T> {
    id: u64,
    waiting: Option<Waiting<T>>,
}

impl<T> JobQueue<T> {
    pub(super) const fn new() -> Self {
        Self { lanes: Vec::new(), len: 0, deadlines: BTreeSet::new() }
    }

    /// Returns the number of waiting jobs.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a job behind those of its priority with lower numbers.
    pub(super) fn push(&mut self, waiting: Waiting<T>) {
        self.len += 1;
        self.deadlines.extend(waiting.terms.deadline.map(|deadline| (deadline, waiting.id)));
        let priority = waiting.terms.priority;
        // There is one lane, nearly always.
        let at = self.lanes.iter().position(|lane| lane.priority <= priority);
        let at = at.unwrap_or(self.lanes.len());
        if self.lanes.get(at).is_none_or(|lane| lane.priority != priority) {
            self.lanes.insert(at, Lane { priority, entries: VecDeque::new(), removed: 0 });
        }
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.push(waiting);
        }
    }

    /// Adds jobs behind those of their priority with lower numbers.
    pub(super) fn extend(&mut self, jobs: impl IntoIterator<Item = Waiting<T>>) {
        jobs.into_iter().for_each(|waiting| self.push(waiting));
    }

    /// Removes the first job of the highest priority.
    pub(super) fn pop(&mut self) -> Option<Waiting<T>> {
        let waiting = self.lanes.iter_mut().find_map(Lane::pop);
        self.removed(waiting)
    }

    /// Removes the first job of some priority, if it matches.
    pub(super) fn pop_if(&mut self, matches: impl Fn(&Waiting<T>) -> bool) -> Option<Waiting<T>> {
        let waiting = self.lanes.iter_mut().find_map(|lane| lane.pop_if(&matches));
        self.removed(waiting)
    }

    /// Removes the first job that matches, in order of priority and number. Looks at all jobs.
    pub(super) fn pop_any(&mut self, matches: impl Fn(&Waiting<T>) -> bool) -> Option<Waiting<T>> {
        let mut lanes = self.lanes.iter();
        let id = lanes.find_map(|lane| lane.waiting().find(|waiting| matches(waiting)))?.id;
        self.remove(id)
    }

    /// Moves all jobs of another queue to this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.extend(std::iter::from_fn(|| other.pop()));
    }

    /// Removes a job whose deadline has passed.
    pub(super) fn pop_late(&mut self, now: Instant) -> Option<Waiting<T>> {
        let (deadline, id) = *self.deadlines.first()?;
        if deadline <= now { self.remove(id) } else { None }
    }

    /// Removes the job with this number.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waiting<T>> {
        let waiting = self.lanes.iter_mut().find_map(|lane| lane.remove(id));
        self.removed(waiting)
    }

    /// Counts a removed job.
    fn removed(&mut self, waiting: Option<Waiting<T>>) -> Option<Waiting<T>> {
        let waiting = waiting?;
        self.len -= 1;
        if let Some(deadline) = waiting.terms.deadline {
            self.deadlines.remove(&(deadline, waiting.id));
        }
        Some(waiting)
    }

    /// Returns the number of entries, empty ones included.
    #[cfg(test)]
    fn entries(&self) -> usize {
        self.lanes.iter().map(|lane| lane.entries.len()).sum()
    }
}

impl<T> Lane<T> {
    fn push(&mut self, waiting: Waiting<T>) {
        let id = waiting.id;
        let entry = Entry { id, waiting: Some(waiting) };
        if self.entries.back().is_none_or(|last| last.id < id) {
            return self.entries.push_back(entry);
        }
        // Callers that submit at the same time may arrive in another order than their numbers.
        let at = self.entries.partition_point(|other| other.id < id);
        self.entries.insert(at, entry);
    }

    fn waiting(&self) -> impl Iterator<Item = &Waiting<T>> {
        self.entries.iter().filter_map(|entry| entry.waiting.as_ref())
    }

    fn pop(&mut self) -> Option<Waiting<T>> {
        while let Some(entry) = self.entries.pop_front() {
            match entry.waiting {
                Some(waiting) => return Some(waiting),
                None => self.removed -= 1,
            }
        }
        None
    }

    fn pop_if(&mut self, matches: impl Fn(&Waiting<T>) -> bool) -> Option<Waiting<T>> {
        while self.entries.front()?.waiting.is_none() {
            self.entries.pop_front();
            self.removed -= 1;
        }
        self.entries.front()?.waiting.as_ref().filter(|waiting| matches(waiting))?;
        self.pop()
    }

    fn remove(&mut self, id: u64) -> Option<Waiting<T>> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let waiting = self.entries.get_mut(at)?.waiting.take()?;
        self.removed += 1;
        if self.removed > SPARE && self.removed * 2 > self.entries.len() {
            self.entries.retain(|entry| entry.waiting.is_some());
            self.removed = 0;
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::gate_state::JobTerms;
    use super::*;

    fn queue(ids: impl IntoIterator<Item = u64>) -> JobQueue<u64> {
        let mut queue = JobQueue::new();
        for id in ids {
            push(&mut queue, id, JobTerms::from(Instant::now()));
        }
        queue
    }

    fn push(queue: &mut JobQueue<u64>, id: u64, terms: JobTerms) {
        queue.push(Waiting { id, terms, timeout: None, job: id });
    }

    fn rest(mut queue: JobQueue<u64>) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|waiting| waiting.job).collect()
    }

    #[test]
    fn jobs_leave_in_order_of_number() {
        assert_eq!(rest(queue([0, 2, 1, 5, 3, 4])), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn removed_jobs_are_skipped() {
        let mut queue = queue(0..6);
        for id in [0, 3, 5] {
            assert_eq!(queue.remove(id).unwrap().job, id);
            assert!(queue.remove(id).is_none());
        }
        assert_eq!(queue.len(), 3);
        assert!(queue.pop_if(|waiting| waiting.job == 2).is_none());
        assert_eq!(queue.pop_if(|waiting| waiting.job == 1).unwrap().job, 1);
        assert_eq!(rest(queue), [2, 4]);
    }

    #[test]
    fn unknown_numbers_remove_nothing() {
        let mut queue = queue(3..5);
        assert!(queue.remove(2).is_none());
        assert!(queue.remove(9).is_none());
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn empty_entries_are_compacted() {
        let mut queue = queue(0..10_000);
        for id in (1..10_000).rev() {
            queue.remove(id).unwrap();
            assert!(queue.entries() <= 2 * queue.len() + SPARE + 1);
        }
        assert_eq!(rest(queue), [0]);
    }

    #[test]
    fn higher_priorities_leave_first() {
        let mut queue = queue(0..2);
        for (id, priority) in [(2, 5), (3, -5), (4, 5), (5, 0)] {
            push(&mut queue, id, JobTerms { priority, ..Instant::now().into() });
        }
        assert_eq!(queue.remove(1).unwrap().job, 1);
        assert_eq!(rest(queue), [2, 4, 0, 5, 3]);
    }

    #[test]
    fn matching_job_leaves_from_the_middle() {
        let mut queue = queue(0..4);
        assert_eq!(queue.pop_any(|waiting| waiting.job >= 2).unwrap().job, 2);
        assert!(queue.pop_any(|waiting| waiting.job == 2).is_none());
        assert_eq!(rest(queue), [0, 1, 3]);
    }

    #[test]
    fn appended_jobs_are_sorted_in() {
        let (mut queue, mut held) = (queue([1, 3]), queue([0, 2]));
        queue.append(&mut held);
        assert!(held.is_empty());
        assert_eq!(rest(queue), [0, 1, 2, 3]);
    }

    #[test]
    fn late_jobs_leave_by_deadline() {
        let now = Instant::now();
        let mut queue = queue(0..1);
        for (id, late) in [(1, 30), (2, 10), (3, 20), (4, 99), (5, 15)] {
            let deadline = Some(now + Duration::from_secs(late));
            let priority = i8::from(id == 3);
            push(&mut queue, id, JobTerms { since: now, deadline, priority });
        }
        assert_eq!(queue.remove(5).unwrap().job, 5);
        let now = now + Duration::from_secs(30);
        let late = std::iter::from_fn(|| queue.pop_late(now)).map(|waiting| waiting.job);
        assert_eq!(late.collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(rest(queue), [0, 4]);
    }
}
