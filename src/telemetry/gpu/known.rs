//! What the sensors found, as the machine's description has it: what a layout can ask for.

use crate::machine::{Gpu, GpuPart, Gpus};
use crate::telemetry::snapshot::{GpuCard, GpuView, MigDevice};

impl GpuView {
    /// The cards without their figures of the moment.
    pub fn known(&self) -> Gpus {
        Gpus { cards: self.cards.iter().map(card).collect(), note: self.note.clone() }
    }
}

fn card(card: &GpuCard) -> Gpu {
    Gpu {
        index: card.index,
        name: card.name.clone(),
        uuid: card.uuid.clone(),
        memory: card.memory_total_bytes,
        is_mig_enabled: card.mig_enabled == Some(true),
        parts: card.mig.iter().map(part).collect(),
        fault: card.fault.clone(),
    }
}

fn part(part: &MigDevice) -> GpuPart {
    GpuPart {
        name: part.name.clone(),
        uuid: part.uuid.clone(),
        memory: part.memory_total_bytes,
        fault: part.fault.clone(),
    }
}
