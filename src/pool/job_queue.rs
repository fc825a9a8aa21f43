//! The queue of waiting jobs: in order of arrival, with removal from its middle in logarithmic time.

use std::collections::VecDeque;

use super::gate_state::Waiting;

/// Removed entries that are tolerated in any queue, so that a short one is not compacted all the time.
const SPARE: usize = 32;

/// Jobs in the order of their numbers. A job removed from the middle leaves an empty entry, which is
/// dropped when it reaches the front, or once half of the entries are empty.
pub(super) struct JobQueue<T> {
    entries: VecDeque<Entry<T>>,
    removed: usize,
}

struct Entry<T> {
    id: u64,
    waiting: Option<Waiting<T>>,
}

impl<T> JobQueue<T> {
    pub(super) const fn new() -> Self {
        Self { entries: VecDeque::new(), removed: 0 }
    }

    /// Returns the number of waiting jobs.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.removed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a job behind those with lower numbers.
    pub(super) fn push(&mut self, waiting: Waiting<T>) {
        let id = waiting.id;
        let entry = Entry { id, waiting: Some(waiting) };
        if self.entries.back().is_none_or(|last| last.id < id) {
            return self.entries.push_back(entry);
        }
        // Callers that submit at the same time may arrive in another order than their numbers.
        let at = self.entries.partition_point(|other| other.id < id);
        self.entries.insert(at, entry);
    }

    /// Adds jobs behind those with lower numbers.
    pub(super) fn extend(&mut self, jobs: impl IntoIterator<Item = Waiting<T>>) {
        jobs.into_iter().for_each(|waiting| self.push(waiting));
    }

    /// Removes the first job.
    pub(super) fn pop(&mut self) -> Option<Waiting<T>> {
        while let Some(entry) = self.entries.pop_front() {
            match entry.waiting {
                Some(waiting) => return Some(waiting),
                None => self.removed -= 1,
            }
        }
        None
    }

    /// Removes the first job if it matches.
    pub(super) fn pop_if(&mut self, matches: impl Fn(&Waiting<T>) -> bool) -> Option<Waiting<T>> {
        while self.entries.front()?.waiting.is_none() {
            self.entries.pop_front();
            self.removed -= 1;
        }
        self.entries.front()?.waiting.as_ref().filter(|waiting| matches(waiting))?;
        self.pop()
    }

    /// Removes the job with this number.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waiting<T>> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let waiting = self.entries.get_mut(at)?.waiting.take()?;
        self.removed += 1;
        if self.removed > SPARE && self.removed * 2 > self.entries.len() {
            self.entries.retain(|entry| entry.waiting.is_some());
            self.removed = 0;
        }
        Some(waiting)
    }

    /// Returns the number of entries, empty ones included.
    #[cfg(test)]
    fn entries(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn queue(ids: impl IntoIterator<Item = u64>) -> JobQueue<u64> {
        let since = Instant::now();
        let mut queue = JobQueue::new();
        for id in ids {
            queue.push(Waiting { id, since, timeout: None, job: id });
        }
        queue
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
}
