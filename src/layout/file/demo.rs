//! The demo layouts, which are part of the executable.

use super::document::Document;
use super::faults::Faults;
use super::origin::Origin;
use super::parse::FileCheck;

/// The text of `layouts/demo.toml`.
const TEXT: &str = include_str!("../../../layouts/demo.toml");
/// The text of `layouts/demo-small.toml`.
const SMALL_TEXT: &str = include_str!("../../../layouts/demo-small.toml");

/// The fewest cores for which the models of the demo get cores of their own.
const SEPARATE_CORES: usize = 4;

/// Returns the demo layout: three embedded models with built-in load, for any machine.
///
/// # Errors
/// None in a build that passed its tests: the text is part of the executable.
pub fn demo() -> Result<Document, Faults> {
    parse(TEXT)
}

/// Returns the demo layout for a machine with this many cores. With fewer than four cores, the models
/// share them by weight, so that a core can move between models and none is paused.
///
/// # Errors
/// As [`demo`].
pub fn demo_for(cores: usize) -> Result<Document, Faults> {
    parse(if cores < SEPARATE_CORES { SMALL_TEXT } else { TEXT })
}

fn parse(text: &str) -> Result<Document, Faults> {
    Document::parse(text, &Origin::Embedded("demo".to_owned()), FileCheck::Required)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Change, CoreOwner, CoreSelection, DesiredState, Edit, ModelSource};
    use crate::machine::Description;

    /// The demo on a machine with this many cores.
    fn placed(cores: usize) -> (DesiredState, Description) {
        let machine = Description::uniform(cores);
        let layout = demo_for(cores).unwrap().fit(&machine).layout;
        (DesiredState::resolve(&layout, &machine).unwrap(), machine)
    }

    #[test]
    fn demos_have_three_loaded_models() {
        for demo in [demo().unwrap(), demo_for(2).unwrap()] {
            assert_eq!(demo.layout().models.len(), 3);
            for row in &demo.layout().models {
                assert!(matches!(row.source.model(), Some(ModelSource::Embedded(_))), "{row:?}");
                assert!(row.load.is_some() && row.slo.is_some(), "{row:?}");
            }
        }
    }

    #[test]
    fn demo_has_no_warnings() {
        for cores in (2..=3).chain((4..=256).step_by(4)) {
            let demo = demo_for(cores).unwrap();
            assert_eq!(demo.check(&Description::uniform(cores)), Ok(vec![]), "{cores} cores");
        }
    }

    #[test]
    fn full_demo_runs_anywhere() {
        for cores in 1..=256 {
            demo().unwrap().check(&Description::uniform(cores)).unwrap();
        }
    }

    #[test]
    fn small_demo_fits_a_one_core_machine() {
        let (state, _) = placed(1);
        assert!(state.rows.iter().all(|row| row.concurrency > 0), "{state:?}");
    }

    #[test]
    fn first_drag_pauses_no_model() {
        for cores in [2, 3, 4, 8, 16] {
            let (state, machine) = placed(cores);
            let drag = Change::from(Edit::TransferCores {
                cores: CoreSelection::Count(1),
                from: CoreOwner::Model("embedder".into()),
                to: CoreOwner::Model("detector".into()),
                share: false,
            });
            let plan = state.plan(&drag, &machine).unwrap();
            let row = |state: &DesiredState| state.row("detector").unwrap().cores.len();
            assert_eq!(row(&plan.after), row(&state) + 1, "{cores} cores");
            assert!(plan.after.rows.iter().all(|row| row.concurrency > 0), "{cores} cores");
            assert!(plan.rows.iter().all(|row| !row.rebuild), "{cores} cores: {}", plan.summary);
        }
    }
}
