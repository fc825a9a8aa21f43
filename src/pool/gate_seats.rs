//! The gate's calls for the threads of instances. They wait for the lock.

use super::gate::Gate;
use super::gate_state::{Ended, Next, SeatId, SeatWaiter, Waiting};
use super::sync::{Ordering, current, park, wait_briefly};

impl<T> Gate<T> {
    /// Adds a seat of a generation, for the calling thread. It gets work once [`Gate::serve`] has made
    /// that generation the serving one, and retires once that generation is abandoned or a later one
    /// serves.
    pub(crate) fn enter(&self, generation: u64) -> SeatId {
        self.change(|state| {
            state.receive_all();
            let id = state.seats.add(generation, current());
            if !state.may_serve(generation) {
                state.seats.retire(id);
            }
            id
        })
    }

    /// Makes a generation the serving one. Idle seats of older generations retire now, busy ones after
    /// their job. Returns false and changes nothing if the generation is older than the serving one or
    /// was abandoned.
    pub(crate) fn serve(&self, generation: u64) -> bool {
        self.change(|state| {
            state.receive_all();
            let may_serve = state.may_serve(generation);
            if may_serve && generation != state.seats.generation {
                state.serve(generation);
            }
            may_serve
        })
    }

    /// Makes the calling thread the one that waits for a seat's jobs. Returns `None` if there is no such
    /// seat.
    pub(crate) fn waiter(&self, id: SeatId) -> Option<SeatWaiter> {
        self.look(|state| {
            let seat = state.seats.get_mut(id)?;
            seat.thread = Some(current());
            // The seat may have got a job already.
            seat.signal.store(true, Ordering::Release);
            Some(SeatWaiter { id, signal: seat.signal.clone() })
        })
    }

    /// Waits until there is a job for this seat or the seat must end. The seat that fell asleep last, which
    /// gets the next job, first waits awake for about as long as a wake-up takes.
    pub(crate) fn take(&self, waiter: &SeatWaiter) -> Next<T> {
        loop {
            wait_briefly(|| {
                waiter.signal.load(Ordering::Relaxed) || !self.flags.is_last_idle(waiter.id.number)
            });
            while !waiter.signal.swap(false, Ordering::Acquire) {
                park();
            }
            let next = self.look(|state| match state.seats.get_mut(waiter.id) {
                Some(seat) => {
                    seat.handed.take().map(Next::Job).or(seat.retire.then_some(Next::Retire))
                }
                None => Some(Next::Retire),
            });
            match next {
                Some(Next::Job(job)) => return Next::Job(job),
                Some(Next::Retire) => {
                    self.remove(waiter.id);
                    return Next::Retire;
                }
                None => {}
            }
        }
    }

    /// Ends the jobs of a seat's run and returns its next job, if it may have one. After `None` the seat
    /// calls [`Gate::take`], by which time a job may already have been handed to it.
    pub(crate) fn finish(
        &self,
        id: SeatId,
        jobs: impl IntoIterator<Item = Ended>,
    ) -> Option<Waiting<T>> {
        self.change(|state| {
            state.count_ended(jobs);
            state.next_for(&self.flags, id)
        })
    }

    /// Returns the number of releases so far. Read it before deciding that a job may not start.
    pub(crate) fn releases(&self) -> u64 {
        self.flags.releases()
    }

    /// Takes back a seat's job that may not start yet, and returns the seat's next one as [`Gate::finish`]
    /// does. The job waits again: until a release after the first `releases` ([`Gate::releases`]), and
    /// from then on in the queue. Until it is taken again it can be cancelled, time out and be rejected.
    /// The queue may exceed its limit by the number of seats meanwhile.
    ///
    /// # Errors
    /// The job, still the seat's, if the jobs that wait have been rejected since it was submitted.
    pub(crate) fn hold(
        &self,
        id: SeatId,
        waiting: Waiting<T>,
        releases: u64,
    ) -> Result<Option<Waiting<T>>, Waiting<T>> {
        self.change(|state| {
            state.hold(&self.flags, waiting, releases)?;
            Ok(state.next_for(&self.flags, id))
        })
    }

    /// Returns the number of held jobs.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.look(|state| state.held())
    }

    /// Ends the jobs of a seat's run and gives it no other until [`Gate::repair`], because its instance broke
    /// and is being rebuilt.
    pub(crate) fn mark_broken(&self, id: SeatId, jobs: impl IntoIterator<Item = Ended>) {
        self.change(|state| {
            state.count_ended(jobs);
            self.flags.end();
            state.seats.set_broken(id, true);
        });
    }

    /// Takes a seat out of service whose thread panicked without a job, until [`Gate::repair`]. A job
    /// that it has not picked up waits again. Returns false if it is marked as broken already.
    pub(crate) fn suspend(&self, id: SeatId) -> bool {
        self.change(|state| {
            let serving = state.seats.get_mut(id).filter(|seat| !seat.broken);
            let Some(seat) = serving else { return false };
            let unused = seat.handed.take();
            if unused.is_some() {
                self.flags.end();
            }
            state.queue.extend(unused);
            state.seats.set_broken(id, true);
            true
        })
    }

    /// Returns a broken seat to service after its instance was rebuilt. If it is no longer needed, its
    /// next [`Gate::take`] ends it.
    pub(crate) fn repair(&self, id: SeatId) {
        self.change(|state| {
            if state.seats.get(id).is_some_and(|seat| seat.broken) {
                state.seats.set_broken(id, false);
                state.rest(&self.flags, id);
            }
        });
    }

    /// Removes a seat whose instance is gone.
    pub(crate) fn remove(&self, id: SeatId) {
        self.change(|state| state.seats.remove(id));
    }
}
