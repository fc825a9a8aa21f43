//! The seats of a gate: a slab of instances' slots, and the order in which the sleeping ones are woken.

use super::gate_state::{SeatId, Waiting};
use super::sync::{Arc, AtomicBool, Ordering, Thread, wake_thread};

/// Threads to wake once the gate's lock is released.
#[derive(Default)]
pub(super) struct Wakes {
    first: Option<Thread>,
    others: Vec<Thread>,
}

impl Wakes {
    fn push(&mut self, thread: Thread) {
        if self.first.is_none() {
            self.first = Some(thread);
        } else {
            self.others.push(thread);
        }
    }

    /// Wakes the threads. One that is not asleep yet costs no system call.
    pub(super) fn wake(self) {
        for thread in self.first.iter().chain(&self.others) {
            wake_thread(thread);
        }
    }
}

pub(super) struct Seat<T> {
    number: u64,
    pub(super) generation: u64,
    /// Handed to this seat and not yet picked up.
    pub(super) handed: Option<Waiting<T>>,
    /// It has a job, picked up or not.
    pub(super) busy: bool,
    /// Its instance is being built again.
    pub(super) broken: bool,
    pub(super) retire: bool,
    /// The thread that waits for this seat's jobs, once it has one.
    pub(super) thread: Option<Thread>,
    /// True when the thread has to look at its seat again.
    pub(super) signal: Arc<AtomicBool>,
}

impl<T> Seat<T> {
    /// Returns true if it may wait for a job.
    fn can_sleep(&self) -> bool {
        !self.busy && !self.broken && !self.retire
    }

    fn wake(&self, wakes: &mut Wakes) {
        self.signal.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            wakes.push(thread.clone());
        }
    }
}

/// The seats, by index. Counts are kept up to date, so that a job costs the same with any number of
/// seats.
pub(super) struct SeatTable<T> {
    slots: Vec<Option<Seat<T>>>,
    free: Vec<usize>,
    /// Idle seats of the serving generation; the last one fell asleep last.
    idle: Vec<usize>,
    next_number: u64,
    /// The serving generation.
    pub(super) generation: u64,
    pub(super) serving: usize,
    pub(super) repairing: usize,
    pub(super) wakes: Wakes,
}

impl<T> SeatTable<T> {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            idle: Vec::new(),
            next_number: 0,
            generation: 0,
            serving: 0,
            repairing: 0,
            wakes: Wakes::default(),
        }
    }

    /// Returns the number of all seats.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Returns the number of serving seats that are asleep.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn get(&self, id: SeatId) -> Option<&Seat<T>> {
        self.slots.get(id.index)?.as_ref().filter(|seat| seat.number == id.number)
    }

    pub(super) fn get_mut(&mut self, id: SeatId) -> Option<&mut Seat<T>> {
        self.slots.get_mut(id.index)?.as_mut().filter(|seat| seat.number == id.number)
    }

    /// Adds a seat; it sleeps if its generation serves.
    pub(super) fn add(&mut self, generation: u64, thread: Thread) -> SeatId {
        let number = self.next_number;
        self.next_number += 1;
        let signal = Arc::new(AtomicBool::new(false));
        let (busy, broken, retire) = (false, false, false);
        let (handed, thread) = (None, Some(thread));
        let seat = Seat { number, generation, handed, busy, broken, retire, thread, signal };
        let index = if let Some(index) = self.free.pop() { index } else { self.slots.len() };
        match self.slots.get_mut(index) {
            Some(slot) => *slot = Some(seat),
            None => self.slots.push(Some(seat)),
        }
        if generation == self.generation {
            self.idle.push(index);
        }
        self.recount();
        SeatId { index, number }
    }

    pub(super) fn remove(&mut self, id: SeatId) -> Option<Seat<T>> {
        self.get(id)?;
        let seat = self.slots.get_mut(id.index)?.take();
        self.free.push(id.index);
        self.idle.retain(|index| *index != id.index);
        self.recount();
        seat
    }

    /// Counts the seats again after one has changed its state.
    fn recount(&mut self) {
        let serves = |seat: &&Seat<T>| seat.generation == self.generation && !seat.retire;
        let (mut serving, mut repairing) = (0, 0);
        for seat in self.slots.iter().flatten().filter(serves) {
            if seat.broken { repairing += 1 } else { serving += 1 }
        }
        (self.serving, self.repairing) = (serving, repairing);
    }

    /// Hands a job to the seat that fell asleep last. Returns it if none sleeps.
    pub(super) fn hand(&mut self, job: Waiting<T>) -> Option<Waiting<T>> {
        let Some(index) = self.idle.pop() else { return Some(job) };
        let Some(seat) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return Some(job);
        };
        seat.busy = true;
        seat.handed = Some(job);
        seat.wake(&mut self.wakes);
        None
    }

    /// Returns true if a seat keeps serving after its job, where `keep` serving seats are wanted.
    pub(super) fn stays(&self, id: SeatId, keep: usize) -> bool {
        let serves = |seat: &Seat<T>| seat.generation == self.generation && !seat.retire;
        self.serving <= keep && self.get(id).is_some_and(serves)
    }

    /// Puts a seat that has no job to sleep.
    pub(super) fn rest(&mut self, id: SeatId) {
        if let Some(seat) = self.get_mut(id) {
            seat.busy = false;
            self.idle.push(id.index);
        }
    }

    /// Ends a seat without a job at its next look.
    pub(super) fn retire(&mut self, id: SeatId) {
        if let Some(seat) = self.get_mut(id) {
            seat.busy = false;
            seat.retire = true;
            seat.signal.store(true, Ordering::Release);
            self.idle.retain(|index| *index != id.index);
            self.recount();
        }
    }

    /// Marks a seat as broken or as whole. A broken seat has no job.
    pub(super) fn set_broken(&mut self, id: SeatId, broken: bool) {
        if let Some(seat) = self.get_mut(id) {
            (seat.busy, seat.broken) = (false, broken);
            self.idle.retain(|index| *index != id.index);
            self.recount();
        }
    }

    /// Makes a later generation serve: the seats of older ones retire after their job.
    pub(super) fn serve(&mut self, generation: u64) {
        self.generation = generation;
        self.retire_where(|seat| seat.generation < generation);
        let sleeps = |seat: &Seat<T>| seat.generation == generation && seat.can_sleep();
        let sleeping = self.slots.iter().enumerate();
        let sleeping = sleeping.filter(|(_, seat)| seat.as_ref().is_some_and(sleeps));
        self.idle = sleeping.map(|(index, _)| index).collect();
        self.recount();
    }

    /// Retires the matching seats: sleeping ones now, busy ones after their job.
    pub(super) fn retire_where(&mut self, matches: impl Fn(&Seat<T>) -> bool) {
        for seat in self.slots.iter_mut().flatten().filter(|seat| !seat.retire) {
            if matches(seat) {
                seat.retire = true;
                seat.wake(&mut self.wakes);
            }
        }
        let slots = &self.slots;
        self.idle.retain(|index| {
            slots.get(*index).and_then(Option::as_ref).is_some_and(|seat| !seat.retire)
        });
        self.recount();
    }

    /// Retires all seats that have no job and are not being rebuilt.
    pub(super) fn retire_sleeping(&mut self) {
        if self.serving < self.len() || !self.idle.is_empty() {
            self.retire_where(Seat::can_sleep);
        }
    }

    /// Retires sleeping seats, longest asleep first, until `keep` serve.
    pub(super) fn trim(&mut self, keep: usize) {
        let surplus = self.serving.saturating_sub(keep).min(self.idle.len());
        if surplus == 0 {
            return;
        }
        for index in self.idle.drain(..surplus) {
            if let Some(seat) = self.slots.get_mut(index).and_then(Option::as_mut) {
                seat.retire = true;
                seat.wake(&mut self.wakes);
            }
        }
        self.recount();
    }
}
