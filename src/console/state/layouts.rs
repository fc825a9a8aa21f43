//! The list of saved layouts.

use crate::layout::Plan;
use crate::scheduler::Profile;

/// The list with its selection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayoutList {
    /// The saved layouts; `None` until they are read.
    pub profiles: Option<Result<Vec<Profile>, String>>,
    /// Index of the selected layout.
    pub at: usize,
    /// The plan of applying the selected layout. The inner `None`: nothing would change.
    pub preview: Option<Result<Option<Plan>, String>>,
    /// First shown line of the plan.
    pub scroll: usize,
    /// The layout used last, which is listed first.
    pub last: Option<String>,
    pub(super) ticket: u64,
}

impl LayoutList {
    /// Creates an unread list. `last` is listed first.
    pub fn new(last: Option<String>) -> Self {
        Self { last, ..Self::default() }
    }

    /// Returns the saved layouts; empty until they are read.
    pub fn known(&self) -> &[Profile] {
        match &self.profiles {
            Some(Ok(profiles)) => profiles,
            _ => &[],
        }
    }

    /// Returns the selected layout.
    pub fn selected(&self) -> Option<&Profile> {
        self.known().get(self.at)
    }

    /// Returns the saved layout of this name.
    pub fn find(&self, name: &str) -> Option<&Profile> {
        self.known().iter().find(|profile| profile.name == name)
    }

    /// Returns a name that no known layout has: `base` or, if it is taken, with a number.
    pub(super) fn free_name(&self, base: &str) -> String {
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        names.find(|name| self.find(name).is_none()).unwrap_or_default()
    }
}
