//! Examples and properties of the arithmetic.

mod changes;
mod messages;
mod processes;
mod properties;
mod refits;
mod reserves;
mod resolving;
mod splits;
mod transfers;
mod weights;

use super::super::budget::{Auto, Budget, CoreRequest, Layout, ModelSource, Objective};
use super::super::change::{Change, CoreOwner, CoreSelection, Edit};
use super::super::desired::{DesiredState, Row};
use super::super::refusal::Refusal;
use super::super::simulated::set;
use crate::machine::Description;

/// A row with this core request.
fn model(name: &str, cores: CoreRequest) -> Budget {
    Budget { cores, ..Budget::new(name, ModelSource::Embedded(format!("{name}.onnx"))) }
}

fn list(name: &str, cores: &str) -> Budget {
    model(name, CoreRequest::List(set(cores)))
}

fn count(name: &str, cores: usize) -> Budget {
    model(name, CoreRequest::Count(cores))
}

fn share(name: &str, percent: f64) -> Budget {
    model(name, CoreRequest::Share(percent))
}

fn reserved(budget: Budget) -> Budget {
    Budget { reserve: true, ..budget }
}

fn latency(budget: Budget) -> Budget {
    Budget { objective: Objective::Latency, ..budget }
}

fn layout<const N: usize>(models: [Budget; N]) -> Layout {
    Layout { description: String::new(), models: Vec::from(models) }
}

/// A machine of uniform cores and a layout on it.
fn on<const N: usize>(cores: usize, models: [Budget; N]) -> (DesiredState, Description) {
    let machine = Description::uniform(cores);
    (DesiredState::resolve(&layout(models), &machine).unwrap(), machine)
}

/// The cores of all rows: "a 0-3, b 4".
fn held(desired: &DesiredState) -> String {
    let rows = desired.rows.iter().map(|row| format!("{} {}", row.budget.name, row.cores));
    rows.collect::<Vec<_>>().join(", ").trim_end().to_owned()
}

fn core_owner(name: &str) -> CoreOwner {
    if name == "free" { CoreOwner::Free } else { CoreOwner::Model(name.to_owned()) }
}

fn transfer(cores: CoreSelection, from: &str, to: &str) -> Change {
    let (from, to) = (core_owner(from), core_owner(to));
    Edit::TransferCores { cores, from, to, share: false }.into()
}

fn shares(cores: CoreSelection, from: &str, to: &str) -> Change {
    let (from, to) = (core_owner(from), core_owner(to));
    Edit::TransferCores { cores, from, to, share: true }.into()
}

fn moves(count: usize, from: &str, to: &str) -> Change {
    transfer(CoreSelection::Count(count), from, to)
}

fn moves_these(cores: &str, from: &str, to: &str) -> Change {
    transfer(CoreSelection::These(set(cores)), from, to)
}

fn reason(result: Result<DesiredState, Refusal>) -> String {
    result.unwrap_err().to_string()
}

fn exactly(number: usize) -> Auto {
    Auto::Exactly(number)
}
