//! Problems of divvy itself that last, such as a journal that cannot be written. Snapshots list them
//! among the alerts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Alert;

/// The current problems, at most one per part of the program. Clones share the same list.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Conditions {
    /// Reports a problem of a part, replacing its previous one.
    pub fn raise(&self, part: &'static str, message: String) {
        self.lock().insert(part, message);
    }

    /// Clears the problem of a part.
    pub fn clear(&self, part: &'static str) {
        self.lock().remove(part);
    }

    /// Returns the problems as alerts that concern no model.
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
    fn part_has_one_condition_until_cleared() {
        let conditions = Conditions::default();
        let texts = |conditions: &Conditions| -> Vec<String> {
            conditions.alerts().into_iter().map(|alert| alert.text).collect()
        };
        conditions.raise("journal", "no room".to_owned());
        conditions.clone().raise("journal", "read-only".to_owned());
        conditions.raise("layout", "no room".to_owned());
        assert_eq!(texts(&conditions), ["read-only", "no room"]);
        conditions.clear("journal");
        assert_eq!(texts(&conditions), ["no room"]);
    }
}
