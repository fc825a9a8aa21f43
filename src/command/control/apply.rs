//! `divvy plan` and `divvy apply`: a layout file for a running divvy.

use super::applied::{OutputForm, print_applied};
use super::layout_input::LayoutInput;
use super::select::RunSelection;
use crate::command::CommandError;
use crate::command::stdout::{print_json, print_text};
use crate::layout::{Layout, Plan, plan_diff};
use crate::telemetry::StateVersion;

/// Arguments of `divvy plan`.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
    /// The layout.
    #[command(flatten)]
    pub input: LayoutInput,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Arguments of `divvy apply`.
#[derive(Clone, Debug, clap::Args)]
pub struct ApplyArgs {
    /// The layout.
    #[command(flatten)]
    pub input: LayoutInput,
    /// Apply it only if the state still has this version (of `divvy plan --json`).
    #[arg(long, value_name = "VERSION")]
    pub expect: Option<u64>,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Prints what a layout would change.
///
/// # Errors
/// [`CommandError`] if the layout has faults, or the change would be refused.
pub fn plan(args: &PlanArgs) -> Result<(), CommandError> {
    let client = args.run.client()?;
    let planned = client.plan(&args.input.change(&client)?)?;
    if args.form.json {
        return print_json(&planned);
    }
    print_text(plan_text(&client.layout()?.layout, &planned.plan))
}

/// Applies a layout.
///
/// # Errors
/// As [`plan`].
pub fn apply(args: &ApplyArgs) -> Result<(), CommandError> {
    let client = args.run.client()?;
    let mut change = args.input.change(&client)?;
    change.expected = args.expect.map(StateVersion);
    print_applied(&client.apply(&change)?, args.form)
}

fn plan_text(live: &Layout, plan: &Plan) -> String {
    let differences = plan_diff(live, plan);
    let differences = differences.iter().map(|difference| format!("    {difference}\n"));
    let warnings = plan.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    std::iter::once(format!("{}\n", plan.summary)).chain(differences).chain(warnings).collect()
}
