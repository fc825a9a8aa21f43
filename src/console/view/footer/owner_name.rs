//! The name of a row for the footer.

use crate::layout::CoreOwner;

/// Returns the name of a row: a model's name, or "free".
pub(super) fn owner_name(owner: &CoreOwner) -> &str {
    match owner {
        CoreOwner::Free => "free",
        CoreOwner::Model(name) => name,
    }
}
