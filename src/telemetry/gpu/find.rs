//! Which card or MIG device a name means on this machine.

use crate::layout::GpuId;
use crate::telemetry::snapshot::{GpuCard, GpuView, MigDevice};

impl GpuView {
    /// The card, and the MIG device on it where the name means one.
    ///
    /// # Errors
    /// A sentence that says what this machine has instead.
    pub fn find(&self, id: &GpuId) -> Result<(&GpuCard, Option<&MigDevice>), String> {
        let same = |uuid: &str, text: &str| uuid.eq_ignore_ascii_case(text);
        let found = self.cards.iter().find_map(|card| match id {
            GpuId::Index(index) => (card.index == *index).then_some((card, None)),
            GpuId::Card(uuid) => same(&card.uuid, uuid).then_some((card, None)),
            GpuId::Mig(uuid) => {
                let part = card.mig.iter().find(|part| same(&part.uuid, uuid))?;
                Some((card, Some(part)))
            }
        });
        let Some((card, part)) = found else {
            return Err(format!("there is no GPU {id}: {}", self.listing()));
        };
        let fault = part.and_then(|part| part.fault.as_ref()).or(card.fault.as_ref());
        match fault {
            Some(fault) => Err(format!("GPU {id} cannot be used: {fault}")),
            None => Ok((card, part)),
        }
    }

    /// What there is, in a sentence's end.
    fn listing(&self) -> String {
        if self.cards.is_empty() {
            return self.note.clone().unwrap_or_else(|| "no card was found".to_owned());
        }
        let names = self.cards.iter().flat_map(|card| {
            let own = format!("{} ({}, {})", card.index, card.name, card.uuid);
            std::iter::once(own).chain(card.mig.iter().map(|part| part.uuid.clone()))
        });
        format!("this machine has {}", names.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "GPU-3f2a0b1c-0123-4567-89ab-cdef01234567";
    const PART: &str = "MIG-3f2a0b1c-0123-4567-89ab-cdef01234567";

    fn view() -> GpuView {
        let part = MigDevice { uuid: PART.to_owned(), ..MigDevice::default() };
        let card = GpuCard {
            index: 1,
            name: "X".to_owned(),
            uuid: CARD.to_owned(),
            mig: vec![part],
            ..GpuCard::default()
        };
        let lost = GpuCard { fault: Some("fell off the bus".to_owned()), ..GpuCard::default() };
        GpuView { cards: vec![lost, card], ..GpuView::default() }
    }

    fn find(view: &GpuView, text: &str) -> Result<(u32, Option<String>), String> {
        let (card, part) = view.find(&text.parse().unwrap())?;
        Ok((card.index, part.map(|part| part.uuid.clone())))
    }

    #[test]
    fn a_card_is_found_by_index_and_by_identifier() {
        assert_eq!(find(&view(), "1"), Ok((1, None)));
        assert_eq!(find(&view(), CARD), Ok((1, None)));
        assert_eq!(find(&view(), PART), Ok((1, Some(PART.to_owned()))));
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let error = find(&view(), "9").unwrap_err();
        assert!(error.starts_with("there is no GPU 9: this machine has "), "{error}");
        assert!(error.contains(CARD) && error.contains(PART), "{error}");
        let none = GpuView { note: Some("no NVIDIA GPU".to_owned()), ..GpuView::default() };
        assert_eq!(find(&none, "0").unwrap_err(), "there is no GPU 0: no NVIDIA GPU");
    }

    #[test]
    fn a_card_that_fails_is_not_handed_out() {
        assert_eq!(find(&view(), "0").unwrap_err(), "GPU 0 cannot be used: fell off the bus");
    }
}
