//! The changes that gestures and steps make, and the items they drag: pure lookups.

use std::time::Duration;

use super::console_state::ConsoleState;
use super::drag::{DragItem, TransferKind};
use super::gpus::{self, DeviceChoice};
use super::screen::Column;
use crate::layout::{
    Auto, Change, CoreOwner, CoreSelection, Edit, GpuId, QueuePolicy, Slo, short_name,
};
use crate::machine::{CoreId, CpuSet};

/// The values that steps of a latency target use, in milliseconds.
const LADDER_MS: [u64; 15] = [1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 500, 1000, 2000];

/// Returns the next value after a bound; the bound itself if there is none.
fn ladder(bound: Duration, by: i32) -> Duration {
    let steps = LADDER_MS.map(Duration::from_millis);
    let next = if by > 0 {
        steps.into_iter().find(|step| *step > bound)
    } else {
        steps.into_iter().rev().find(|step| *step < bound)
    };
    next.unwrap_or(bound)
}

/// Returns the number after one step, from 1 to 1024.
fn stepped(number: usize, by: i32) -> usize {
    number.saturating_add_signed(by as isize).clamp(1, 1024)
}

impl ConsoleState {
    /// Returns the change that gives an item to a row; `None` if nothing would change.
    pub fn change_for(
        &self,
        item: &DragItem,
        to: &CoreOwner,
        kind: TransferKind,
    ) -> Option<Change> {
        let share = kind == TransferKind::Share;
        if item.is_only_of(to) {
            return None;
        }
        let edit = match (item, to) {
            (DragItem::Several(parts), _) => {
                let given = parts.iter().filter(|(from, _)| from != to);
                let edits = given.map(|(from, cores)| Edit::TransferCores {
                    cores: CoreSelection::These(*cores),
                    from: from.clone(),
                    to: to.clone(),
                    share: share && *from != CoreOwner::Free && *to != CoreOwner::Free,
                });
                return Some(Change { edits: edits.collect() });
            }
            (DragItem::Gpu { place }, CoreOwner::Model(model)) => {
                return self.placing(model, place);
            }
            (DragItem::Placed { model, onto }, CoreOwner::Model(to)) if model == to => {
                return self.placing(model, onto.as_ref()?);
            }
            (DragItem::Gpu { .. } | DragItem::Placed { .. }, _) => return None,
            (DragItem::Cores { cores, from }, _) => Edit::TransferCores {
                cores: *cores,
                from: from.clone(),
                to: to.clone(),
                // free cores have no owner who could keep them
                share: share && *from != CoreOwner::Free && *to != CoreOwner::Free,
            },
            (DragItem::Instances { count, from }, CoreOwner::Model(to)) => {
                Edit::TransferConcurrency { count: *count, from: from.clone(), to: to.clone() }
            }
            (DragItem::Instances { count, from }, CoreOwner::Free) => {
                let left =
                    self.row(from)?.concurrency.checked_sub(*count).filter(|left| *left > 0)?;
                Edit::SetConcurrency { model: from.clone(), concurrency: Auto::Exactly(left) }
            }
        };
        Some(edit.into())
    }

    /// Returns the change that a drop on the current receiver would make.
    pub fn drag_change(&self) -> Option<Change> {
        let drag = self.drag.as_ref()?;
        self.change_for(&drag.item, drag.receiver.as_ref()?, drag.kind())
    }

    /// Returns the item for any one core of a row; `None` if the row has no cores.
    pub fn row_item(&self, row: &CoreOwner) -> Option<DragItem> {
        let has = match row {
            CoreOwner::Model(name) => !self.row(name)?.cores.is_empty(),
            CoreOwner::Free => !self.ledger().free.is_empty(),
        };
        has.then(|| DragItem::Cores { cores: CoreSelection::Count(1), from: row.clone() })
    }

    /// Returns the item for one core. Of several owners, it comes from the selected one, else from
    /// the first.
    pub fn core_item(&self, core: CoreId) -> Option<DragItem> {
        let from = self.core_owner(core)?;
        Some(DragItem::Cores { cores: CoreSelection::These(CpuSet::single(core)), from })
    }

    /// Returns the owner of a core; `None` for a core that this process may not use.
    pub fn core_owner(&self, core: CoreId) -> Option<CoreOwner> {
        let owners = self.owners(core);
        let names: Vec<&String> = owners
            .iter()
            .filter_map(|index| self.snapshot.models.get(*index))
            .map(|view| &view.row.budget.name)
            .collect();
        if let CoreOwner::Model(selected) = &self.selected
            && names.contains(&selected)
        {
            return Some(self.selected.clone());
        }
        match names.first() {
            Some(name) => Some(CoreOwner::Model((*name).clone())),
            None => self.snapshot.ledger.allowed.contains(core).then_some(CoreOwner::Free),
        }
    }

    /// Returns what a drag of this core carries: all selected cores if the core is one of them, else the
    /// core alone. `None` if this process may not use it.
    pub fn drag_item_at(&self, core: CoreId) -> Option<DragItem> {
        if self.picked.contains(core) { self.picked_item() } else { self.core_item(core) }
    }

    /// Returns the drag item of the selected cores with their owners; `None` if this process
    /// may use none of them.
    pub fn picked_item(&self) -> Option<DragItem> {
        let mut parts: Vec<(CoreOwner, CpuSet)> = Vec::new();
        for core in self.picked.iter() {
            let Some(owner) = self.core_owner(core) else {
                continue;
            };
            match parts.iter_mut().find(|(other, _)| *other == owner) {
                Some((_, cores)) => cores.insert(core),
                None => parts.push((owner, CpuSet::single(core))),
            }
        }
        match parts.len() {
            0 | 1 => parts
                .pop()
                .map(|(from, cores)| DragItem::Cores { cores: CoreSelection::These(cores), from }),
            _ => Some(DragItem::Several(parts)),
        }
    }

    /// Returns all devices of this machine, the CPU first.
    pub fn places(&self) -> Vec<DeviceChoice> {
        let named = self.snapshot.gpu.devices.iter().flat_map(gpus::names).map(Some);
        std::iter::once(None).chain(named).collect()
    }

    /// Returns true if the machine has a GPU or a row names one.
    pub fn has_gpus(&self) -> bool {
        !self.snapshot.gpu.devices.is_empty()
            || self.snapshot.models.iter().any(|model| model.row.budget.gpu.is_some())
    }

    /// Returns true if a server takes requests from outside.
    pub fn has_server(&self) -> bool {
        self.snapshot.server.is_some()
    }

    /// Returns true if a model has a built-in load beside the server's clients.
    pub fn has_load_beside_server(&self) -> bool {
        self.has_server() && self.snapshot.models.iter().any(|model| model.load.is_some())
    }

    /// Returns the device of a row, by the id in the list of devices.
    pub fn place_of(&self, model: &str) -> DeviceChoice {
        let named = self.row(model)?.budget.gpu.clone()?;
        let devices = &self.snapshot.gpu.devices;
        let by_uuid = |uuid: &String| {
            let gpu = devices.iter().find(|gpu| gpu.uuid.eq_ignore_ascii_case(uuid))?;
            Some(GpuId::Index(gpu.index))
        };
        match &named {
            GpuId::Uuid(uuid) => Some(by_uuid(uuid).unwrap_or(named)),
            GpuId::Index(_) | GpuId::Mig(_) => Some(named),
        }
    }

    /// Returns the change that moves a model to a device; `None` if it is there already. A move
    /// between GPUs keeps the memory limit.
    pub fn placing(&self, model: &str, place: &DeviceChoice) -> Option<Change> {
        let budget = &self.row(model)?.budget;
        if self.place_of(model) == *place {
            return None;
        }
        let gpu_memory = budget.gpu_memory.filter(|_| place.is_some());
        let model = model.to_owned();
        Some(Edit::SetGpu { model, gpu: place.clone(), gpu_memory }.into())
    }

    /// Returns the change of a step through the devices.
    ///
    /// # Errors
    /// A message if there is no further device.
    pub(super) fn step_place(&self, model: &str, by: i32) -> Result<Change, String> {
        let shown = short_name(model);
        let places = self.places();
        let own = self.place_of(model);
        if places.len() == 1 && own.is_none() {
            let note = self.snapshot.gpu.note.as_deref().unwrap_or("no GPU was read yet");
            return Err(format!("{shown} stays on the CPU: {note}"));
        }
        let at = places.iter().position(|place| *place == own).unwrap_or(0);
        let next = at.saturating_add_signed(by as isize).min(places.len() - 1);
        let place = places.get(next).cloned().unwrap_or_default();
        let end = if by > 0 { "last" } else { "first" };
        self.placing(model, &place)
            .ok_or_else(|| format!("{shown}: {} is the {end} place", gpus::title(&place)))
    }

    /// Returns the change of a step.
    ///
    /// # Errors
    /// The reason why the step is impossible.
    pub fn step_change(&self, model: &str, column: Column, by: i32) -> Result<Change, String> {
        let shown = short_name(model);
        let row = self.row(model).ok_or_else(|| format!("{shown} is gone"))?;
        let name = model.to_owned();
        let edit = match column {
            Column::Cores => {
                let owner = CoreOwner::Model(name);
                let (from, to) =
                    if by > 0 { (CoreOwner::Free, owner) } else { (owner, CoreOwner::Free) };
                Edit::TransferCores { cores: CoreSelection::Count(1), from, to, share: false }
            }
            Column::Instances => {
                let next = stepped(row.concurrency, by);
                if next == row.concurrency {
                    return Err(format!("{shown} keeps {next}: pause it to stop it altogether"));
                }
                Edit::SetConcurrency { model: name, concurrency: Auto::Exactly(next) }
            }
            Column::Threads => {
                let next = stepped(row.threads, by);
                if next == row.threads {
                    return Err(format!("{shown}: threads go from 1 to 1024"));
                }
                Edit::SetThreads { model: name, threads: Auto::Exactly(next) }
            }
            Column::Queue => {
                let queue = row.budget.queue;
                let limit = if by > 0 { queue.limit.saturating_mul(2) } else { queue.limit / 2 };
                let limit = limit.clamp(1, QueuePolicy::MAX_LIMIT);
                if limit == queue.limit {
                    return Err(format!("{shown}: the queue's limit goes from 1 to 1,000,000"));
                }
                Edit::SetQueue { model: name, queue: QueuePolicy { limit, ..queue } }
            }
            Column::Slo => {
                let slo = match row.budget.slo {
                    Some(slo) => Slo { bound: ladder(slo.bound, by), ..slo },
                    None => Slo { percentile: 99.0, bound: Duration::from_millis(100) },
                };
                if row.budget.slo == Some(slo) {
                    return Err(format!("{shown}: steps of the SLO go from 1 ms to 2 s"));
                }
                Edit::SetSlo { model: name, slo: Some(slo) }
            }
            Column::Gpu => return self.step_place(model, by),
        };
        Ok(edit.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_steps_stop_at_both_ends() {
        let ms = Duration::from_millis;
        assert_eq!(ladder(ms(20), 1), ms(30));
        assert_eq!(ladder(ms(20), -1), ms(15));
        assert_eq!(ladder(ms(21), -1), ms(20));
        assert_eq!(ladder(ms(1), -1), ms(1));
        assert_eq!(ladder(ms(9000), 1), ms(9000));
    }
}
