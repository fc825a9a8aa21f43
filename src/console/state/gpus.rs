//! Models and GPUs: the places where a model can run, and the change that moves it there. By mouse a
//! card is dragged onto a row, or a row's place onto a card; by key the column steps through them.

use super::action::Effect;
use super::drag::DragItem;
use super::{ConsoleState, Tone};
use crate::layout::{Change, CoreOwner, Edit, GpuId};
use crate::telemetry::GpuCard;

/// Where a model runs: a GPU, or `None` for the CPU.
pub type DeviceChoice = Option<GpuId>;

/// A place in words.
pub fn title(place: &DeviceChoice) -> String {
    place.as_ref().map_or_else(|| "CPU".to_owned(), GpuId::title)
}

/// What of a card can be named: itself, or its MIG devices where it is cut into these.
pub fn names(card: &GpuCard) -> Vec<GpuId> {
    if card.mig_enabled == Some(true) {
        return card.mig.iter().filter_map(|part| part.uuid.parse().ok()).collect();
    }
    vec![GpuId::Index(card.index)]
}

impl ConsoleState {
    /// All places of this machine, the CPU first.
    pub fn places(&self) -> Vec<DeviceChoice> {
        let named = self.snapshot.gpu.cards.iter().flat_map(names).map(Some);
        std::iter::once(None).chain(named).collect()
    }

    /// Whether GPUs play a part here: a card is there, or a row names one.
    pub fn has_gpus(&self) -> bool {
        !self.snapshot.gpu.cards.is_empty()
            || self.snapshot.models.iter().any(|model| model.row.budget.gpu.is_some())
    }

    /// The place of a row, by the name that the places have.
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

    /// The change that moves a model to a place; `None` where it is there already. Its limit goes
    /// along from card to card.
    pub fn placing(&self, model: &str, place: &DeviceChoice) -> Option<Change> {
        let budget = &self.row(model)?.budget;
        if self.place_of(model) == *place {
            return None;
        }
        let gpu_memory = budget.gpu_memory.filter(|_| place.is_some());
        let model = model.to_owned();
        Some(Edit::SetGpu { model, gpu: place.clone(), gpu_memory }.into())
    }

    /// The change that a step through the places means.
    ///
    /// # Errors
    /// A sentence where there is no further place.
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

    /// Moves a row's place over one of the places, and lets go of it there.
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

    /// The token of the selected row's place.
    pub(super) fn place_token(&mut self) -> Option<DragItem> {
        let CoreOwner::Model(model) = self.selected.clone() else { return None };
        let place = self.place_of(&model);
        if self.places().len() == 1 {
            self.say(Tone::Info, "there is no GPU to move to");
        }
        Some(DragItem::Gpu { place })
    }
}
