//! Troubles of divvy itself that stand until they are over: a journal that cannot be written, a
//! layout that cannot be kept. Snapshots tell them among the alerts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Alert;

/// What is wrong now, one sentence a part of the program. Cheap to clone; clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Conditions {
    /// Something is wrong with this part, in a sentence; it takes the place of what was said of it.
    pub fn raise(&self, part: &'static str, sentence: String) {
        self.lock().insert(part, sentence);
    }

    /// Nothing is wrong with this part any more.
    pub fn clear(&self, part: &'static str) {
        self.lock().remove(part);
    }

    /// What is wrong, as alerts about no model.
    pub fn alerts(&self) -> Vec<Alert> {
        self.lock().values().map(|text| Alert { model: None, text: text.clone() }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_one_thing_at_a_time_until_it_is_cleared() {
        let conditions = Conditions::default();
        let told = |conditions: &Conditions| -> Vec<String> {
            conditions.alerts().into_iter().map(|alert| alert.text).collect()
        };
        conditions.raise("journal", "no room".to_owned());
        conditions.clone().raise("journal", "read-only".to_owned());
        conditions.raise("layout", "no room".to_owned());
        assert_eq!(told(&conditions), ["read-only", "no room"]);
        conditions.clear("journal");
        assert_eq!(told(&conditions), ["no room"]);
    }
}
