//! Models and devices: the GPUs, MIG devices and CPU where a model can run, and the change that
//! moves it there. By mouse, drag a GPU onto a row, or a row's device field onto a GPU; by key,
//! step through the devices.

use super::action::Effect;
use super::drag::DragItem;
use super::{ConsoleState, Tone};
use crate::layout::{Change, CoreOwner, Edit, GpuId};
use crate::telemetry::GpuCard;

/// The device that runs a model: a GPU, or `None` for the CPU.
pub type DeviceChoice = Option<GpuId>;

/// Returns the name of a device for messages.
pub fn title(place: &DeviceChoice) -> String {
    place.as_ref().map_or_else(|| "CPU".to_owned(), GpuId::title)
}

/// Returns the ids of a GPU that a layout can name: its MIG devices if MIG is enabled, else the
/// GPU.
pub fn names(card: &GpuCard) -> Vec<GpuId> {
    if card.mig_enabled == Some(true) {
        return card.mig.iter().filter_map(|part| part.uuid.parse().ok()).collect();
    }
    vec![GpuId::Index(card.index)]
}

impl ConsoleState {
    /// Returns all devices of this machine, the CPU first.
    pub fn places(&self) -> Vec<DeviceChoice> {
        let named = self.snapshot.gpu.cards.iter().flat_map(names).map(Some);
        std::iter::once(None).chain(named).collect()
    }

    /// Returns true if the machine has a GPU or a row names one.
    pub fn has_gpus(&self) -> bool {
        !self.snapshot.gpu.cards.is_empty()
            || self.snapshot.models.iter().any(|model| model.row.budget.gpu.is_some())
    }

    /// Returns the device of a row, by the id in the list of devices.
    pub fn place_of(&self, model: &str) -> DeviceChoice {
        let named = self.row(model)?.budget.gpu.clone()?;
        let cards = &self.snapshot.gpu.cards;
        let by_uuid = |uuid: &String| {
            let card = cards.iter().find(|card| card.uuid.eq_ignore_ascii_case(uuid))?;
            Some(GpuId::Index(card.index))
        };
        match &named {
            GpuId::Card(uuid) => Some(by_uuid(uuid).unwrap_or(named)),
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
        let places = self.places();
        let own = self.place_of(model);
        if places.len() == 1 && own.is_none() {
            let note = self.snapshot.gpu.note.as_deref().unwrap_or("no GPU was read yet");
            return Err(format!("{model} stays on the CPU: {note}"));
        }
        let at = places.iter().position(|place| *place == own).unwrap_or(0);
        let next = at.saturating_add_signed(by as isize).min(places.len() - 1);
        let place = places.get(next).cloned().unwrap_or_default();
        let end = if by > 0 { "last" } else { "first" };
        self.placing(model, &place)
            .ok_or_else(|| format!("{model}: {} is the {end} place", title(&place)))
    }

    /// Moves the dragged model over a device, and drops it there if `drop` is set.
    pub(super) fn aim(
        &mut self,
        place: Option<DeviceChoice>,
        at: (u16, u16),
        drop: bool,
    ) -> Vec<Effect> {
        let Some(drag) = &mut self.drag else { return Vec::new() };
        let DragItem::Placed { onto, model } = &mut drag.item else { return Vec::new() };
        let turned = *onto != place;
        let receiver = place.as_ref().map(|_| CoreOwner::Model(model.clone()));
        *onto = place;
        drag.pointer = Some(at);
        drag.note_move(at);
        if drop {
            drag.receiver = receiver;
            return self.drop_on(None);
        }
        if turned {
            drag.receiver = None;
            return self.hover(receiver);
        }
        Vec::new()
    }

    /// Returns the drag item of the selected row's device.
    pub(super) fn place_token(&mut self) -> Option<DragItem> {
        let CoreOwner::Model(model) = self.selected.clone() else { return None };
        let place = self.place_of(&model);
        if self.places().len() == 1 {
            self.say(Tone::Info, "there is no GPU to move to");
        }
        Some(DragItem::Gpu { place })
    }
}
