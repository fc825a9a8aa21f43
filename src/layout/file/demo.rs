//! The demo layout, which is part of the executable.

use super::document::Document;
use super::faults::Faults;
use super::origin::Origin;

/// The text of `layouts/demo.toml`.
const TEXT: &str = include_str!("../../../layouts/demo.toml");

/// The demo layout: three embedded models with a gentle load, on any machine.
///
/// # Errors
/// Never in a build whose tests passed: the text is part of the executable.
pub fn demo() -> Result<Document, Faults> {
    Document::parse(TEXT, &Origin::Embedded("demo".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ModelSource;
    use crate::machine::Description;

    #[test]
    fn the_demo_works_on_any_machine() {
        let demo = demo().unwrap();
        assert_eq!(demo.layout().models.len(), 3);
        for row in &demo.layout().models {
            assert!(matches!(row.source, ModelSource::Embedded(_)), "{row:?}");
            assert!(row.load.is_some() && row.slo.is_some(), "{row:?}");
        }
        for cores in 1..=256 {
            demo.check(&Description::uniform(cores)).unwrap();
        }
        // from four cores on, nobody overlaps
        for cores in (4..=256).step_by(4) {
            assert_eq!(demo.check(&Description::uniform(cores)), Ok(vec![]), "{cores} cores");
        }
    }
}
