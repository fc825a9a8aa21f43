//! Which card or MIG device a name means on a machine, and whether a row's wish for it can be met.

use std::collections::BTreeMap;

use super::budget::{Budget, EngineChoice};
use super::gpu::GpuId;
use super::units::Bytes;
use crate::machine::{Gpu, GpuPart, Gpus};

/// A card, or a MIG device of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuPlace<'g> {
    /// The card.
    pub card: &'g Gpu,
    /// The MIG device, where the name means one.
    pub part: Option<&'g GpuPart>,
}

impl GpuPlace<'_> {
    /// Its memory in bytes, where it is known.
    pub fn memory(&self) -> Option<u64> {
        self.part.map_or(self.card.memory, |part| part.memory)
    }

    /// What tells it from all others.
    fn uuid(&self) -> &str {
        self.part.map_or(&self.card.uuid, |part| &part.uuid)
    }

    /// "GPU 0", or "the MIG device MIG-..." for a part.
    pub fn name(&self) -> String {
        match self.part {
            None => format!("GPU {}", self.card.index),
            Some(part) => format!("the MIG device {}", part.uuid),
        }
    }
}

/// The place that a name means. Ask only where cards are known.
///
/// # Errors
/// A sentence that says what this machine has instead.
pub fn find_gpu<'g>(gpus: &'g Gpus, id: &GpuId) -> Result<GpuPlace<'g>, String> {
    let same = |uuid: &str, text: &str| uuid.eq_ignore_ascii_case(text);
    let found = gpus.cards.iter().find_map(|card| match id {
        GpuId::Index(index) => (card.index == *index).then_some(GpuPlace { card, part: None }),
        GpuId::Card(uuid) => same(&card.uuid, uuid).then_some(GpuPlace { card, part: None }),
        GpuId::Mig(uuid) => {
            let part = Some(card.parts.iter().find(|part| same(&part.uuid, uuid))?);
            Some(GpuPlace { card, part })
        }
    });
    let Some(place) = found else {
        return Err(format!("there is no GPU {id}: {}", listing(gpus)));
    };
    let fault = place.part.and_then(|part| part.fault.as_ref()).or(place.card.fault.as_ref());
    if let Some(fault) = fault {
        return Err(format!("GPU {id} cannot be used: {fault}"));
    }
    if place.card.is_mig_enabled && place.part.is_none() {
        let parts: Vec<&str> = place.card.parts.iter().map(|part| part.uuid.as_str()).collect();
        let there = if parts.is_empty() {
            "and none was made on it".to_owned()
        } else {
            format!("name one of them: {}", parts.join(", "))
        };
        return Err(format!("GPU {id} is cut into MIG devices, {there}"));
    }
    Ok(place)
}

/// What there is, in a sentence's end.
fn listing(gpus: &Gpus) -> String {
    if gpus.cards.is_empty() {
        return gpus.note.clone().unwrap_or_else(|| "no card was found".to_owned());
    }
    let names = gpus.cards.iter().flat_map(|card| {
        let own = format!("{} ({}, {})", card.index, card.name, card.uuid);
        std::iter::once(own).chain(card.parts.iter().map(|part| part.uuid.clone()))
    });
    format!("this machine has {}", names.collect::<Vec<_>>().join(", "))
}

/// What is wrong with a row's GPU, and which of its keys says it.
pub(super) struct GpuFault {
    pub(super) key: &'static str,
    pub(super) reason: String,
}

/// Whether a row's keys go together, whatever the machine.
///
/// # Errors
/// The key at fault and a sentence.
pub(super) fn agrees(budget: &Budget) -> Result<(), GpuFault> {
    let fault = |key, reason: &str| Err(GpuFault { key, reason: reason.to_owned() });
    match (&budget.gpu, budget.gpu_memory) {
        (None, Some(_)) => fault("gpu_memory", "a limit on GPU memory needs a GPU: name one too"),
        (_, Some(Bytes(0))) => fault("gpu_memory", "a limit on GPU memory is 1 B or more"),
        (Some(_), _) if budget.engine == EngineChoice::Rten => fault(
            "gpu",
            "the engine rten runs on the CPU only: choose the engine onnxruntime for a GPU",
        ),
        _ => Ok(()),
    }
}

/// Whether a machine can meet a row's wish for a GPU; also where its cards are not known.
///
/// # Errors
/// The key at fault and a sentence that says what the machine has.
pub(super) fn meets(budget: &Budget, gpus: &Gpus) -> Result<(), GpuFault> {
    agrees(budget)?;
    let Some(id) = budget.gpu.as_ref().filter(|_| !gpus.cards.is_empty()) else { return Ok(()) };
    let place = find_gpu(gpus, id).map_err(|reason| GpuFault { key: "gpu", reason })?;
    match (budget.gpu_memory, place.memory()) {
        (Some(limit), Some(memory)) if limit.0 > memory => Err(GpuFault {
            key: "gpu_memory",
            reason: format!(
                "a limit of {limit} is above what {} has, {}",
                place.name(),
                Bytes(memory).rounded()
            ),
        }),
        _ => Ok(()),
    }
}

/// Limits on one place that add up to more than it has.
pub(super) struct Above {
    /// The sum, in bytes.
    pub(super) sum: u64,
    /// The last row with such a limit, by its place among the rows.
    pub(super) last: usize,
    /// It all in a sentence.
    pub(super) words: String,
}

/// The GPU memory limits of rows, added up, where they are more than there is; by identifier.
pub(super) fn above<'b>(
    rows: impl Iterator<Item = &'b Budget>,
    gpus: &Gpus,
) -> BTreeMap<String, Above> {
    let mut sums: BTreeMap<String, (u64, usize, GpuPlace<'_>)> = BTreeMap::new();
    for (index, row) in rows.enumerate() {
        let (Some(id), Some(limit)) = (&row.gpu, row.gpu_memory) else { continue };
        let Ok(place) = find_gpu(gpus, id) else { continue };
        let entry = sums.entry(place.uuid().to_owned()).or_insert((0, index, place));
        entry.0 = entry.0.saturating_add(limit.0);
        entry.1 = index;
    }
    let told = |(uuid, (sum, last, place)): (String, (u64, usize, GpuPlace<'_>))| {
        let memory = place.memory().filter(|memory| sum > *memory)?;
        let words = format!(
            "the memory limits on {} add up to {}, and it has {}",
            place.name(),
            Bytes(sum),
            Bytes(memory).rounded()
        );
        Some((uuid, Above { sum, last, words }))
    };
    sums.into_iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ModelSource;
    use super::*;

    const CARD: &str = "GPU-3f2a0b1c-0123-4567-89ab-cdef01234567";
    const PART: &str = "MIG-3f2a0b1c-0123-4567-89ab-cdef01234567";

    fn gpus() -> Gpus {
        let part = GpuPart { uuid: PART.to_owned(), memory: Some(10 << 30), ..GpuPart::default() };
        let cut = Gpu {
            index: 1,
            name: "X".to_owned(),
            uuid: CARD.to_owned(),
            memory: Some(80 << 30),
            is_mig_enabled: true,
            parts: vec![part],
            ..Gpu::default()
        };
        let whole = Gpu { memory: Some(8 << 30), uuid: "GPU-0".to_owned(), ..Gpu::default() };
        let fault = Some("fell off the bus".to_owned());
        let lost = Gpu { index: 2, fault, ..Gpu::default() };
        Gpus { cards: vec![whole, cut, lost], note: None }
    }

    fn find(gpus: &Gpus, text: &str) -> Result<(u32, Option<String>), String> {
        let place = find_gpu(gpus, &text.parse().unwrap())?;
        Ok((place.card.index, place.part.map(|part| part.uuid.clone())))
    }

    fn row(gpu: &str, limit: Option<u64>) -> Budget {
        Budget {
            gpu: Some(gpu.parse().unwrap()),
            gpu_memory: limit.map(|gibibytes| Bytes(gibibytes << 30)),
            ..Budget::new("a", ModelSource::Embedded("ranker.onnx".into()))
        }
    }

    #[test]
    fn a_place_is_found_by_index_and_by_identifier() {
        assert_eq!(find(&gpus(), "0"), Ok((0, None)));
        assert_eq!(find(&gpus(), PART), Ok((1, Some(PART.to_owned()))));
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let error = find(&gpus(), "9").unwrap_err();
        assert!(error.starts_with("there is no GPU 9: this machine has "), "{error}");
        assert!(error.contains(CARD) && error.contains(PART), "{error}");
        let none = Gpus { note: Some("no NVIDIA GPU".to_owned()), ..Gpus::default() };
        assert_eq!(find(&none, "0").unwrap_err(), "there is no GPU 0: no NVIDIA GPU");
    }

    #[test]
    fn a_card_that_fails_or_is_cut_is_not_handed_out() {
        assert_eq!(find(&gpus(), "2").unwrap_err(), "GPU 2 cannot be used: fell off the bus");
        let error = find(&gpus(), CARD).unwrap_err();
        assert!(error.contains("cut into MIG devices") && error.contains(PART), "{error}");
    }

    #[test]
    fn limits_stay_within_the_card_one_by_one_and_are_added_up() {
        let meets = |row: &Budget| meets(row, &gpus()).map_err(|fault| (fault.key, fault.reason));
        assert_eq!(meets(&row("0", Some(8))), Ok(()));
        assert_eq!(meets(&row("0", None)), Ok(()));
        assert_eq!(
            meets(&row("0", Some(9))),
            Err(("gpu_memory", "a limit of 9GiB is above what GPU 0 has, 8.0 GiB".to_owned()))
        );
        assert!(meets(&row(PART, Some(11))).is_err(), "a part has its own size");
        assert_eq!(meets(&row("9", None)).unwrap_err().0, "gpu");
        let rows = [row("0", Some(5)), row("0", Some(4)), row(PART, Some(10)), row("0", None)];
        let told: Vec<String> =
            above(rows.iter(), &gpus()).into_values().map(|above| above.words).collect();
        assert_eq!(told, ["the memory limits on GPU 0 add up to 9GiB, and it has 8.0 GiB"]);
    }

    #[test]
    fn where_no_card_is_known_only_the_keys_themselves_are_held_together() {
        let known = Gpus::default();
        assert!(meets(&row("9", Some(999)), &known).is_ok());
        let rten = Budget { engine: EngineChoice::Rten, ..row("0", None) };
        assert_eq!(meets(&rten, &known).err().map(|fault| fault.key), Some("gpu"));
        let alone = Budget { gpu: None, ..row("0", Some(1)) };
        assert_eq!(meets(&alone, &known).err().map(|fault| fault.key), Some("gpu_memory"));
    }
}
