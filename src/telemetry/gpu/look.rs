//! One look at all cards, and the memory of which cards there have been, so that one that
//! disappears is named rather than missing.

use std::collections::BTreeMap;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::card::read_card;
use super::words::{card_fault, ends_driver};
use crate::telemetry::snapshot::GpuCard;

/// Cards that were read before: index and name by identifier.
#[derive(Default)]
pub(super) struct Known {
    cards: BTreeMap<String, (u32, String)>,
}

impl Known {
    /// What is known of the card that had this index, with nothing read.
    fn remembered(&self, index: u32) -> GpuCard {
        let found = self.cards.iter().find(|(_, (known, _))| *known == index);
        let (uuid, name) =
            found.map(|(uuid, (_, name))| (uuid.clone(), name.clone())).unwrap_or_default();
        GpuCard { index, name, uuid, ..GpuCard::default() }
    }
}

/// Reads all cards; one that fails is listed with its fault.
///
/// # Errors
/// The driver's error when it is about the driver as a whole.
pub(super) fn look(nvml: &Nvml, known: &mut Known) -> Result<Vec<GpuCard>, NvmlError> {
    let mut cards = Vec::new();
    for index in 0..nvml.device_count()? {
        let read = match nvml.device_by_index(index) {
            Ok(device) => read_card(&device, index),
            Err(error) => Err(error),
        };
        let card = match read {
            Ok(card) => card,
            Err(error) if ends_driver(&error) => return Err(error),
            Err(error) => {
                let fault = Some(card_fault(&error, index));
                GpuCard { fault, ..known.remembered(index) }
            }
        };
        cards.push(card);
    }
    for (uuid, (index, name)) in &known.cards {
        if cards.iter().all(|card| card.uuid != *uuid) {
            cards.push(GpuCard {
                index: *index,
                name: name.clone(),
                uuid: uuid.clone(),
                fault: Some("is gone: the driver no longer lists it".to_owned()),
                ..GpuCard::default()
            });
        }
    }
    for card in cards.iter().filter(|card| card.fault.is_none() && !card.uuid.is_empty()) {
        known.cards.insert(card.uuid.clone(), (card.index, card.name.clone()));
    }
    cards.sort_by_key(|card| card.index);
    Ok(cards)
}

/// NVML's number for a CUDA version (13010) as people write it ("13.1").
pub(super) fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}
