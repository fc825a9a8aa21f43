//! `divvy set` and `divvy transfer`: single edits of a running divvy.

use super::applied::{OutputForm, print_applied};
use super::select::RunSelection;
use crate::command::CommandError;
use crate::control::api::ChangeBody;
use crate::layout::{Budget, Change, CoreOwner, CoreSelection, Edit, Layout, edits_between};

/// The word for no model on the command line.
const FREE: &str = "free";

/// Arguments of `divvy set`.
#[derive(Clone, Debug, clap::Args)]
pub struct SetArgs {
    /// The model, or the row of processes.
    #[arg(value_name = "ROW")]
    pub model: String,
    /// Keys of a layout file with their values, for example cores=2 weight=4 slo='{ p99 = "20ms" }'. An empty
    /// value sets the default.
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub values: Vec<String>,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Arguments of `divvy transfer`.
#[derive(Clone, Debug, clap::Args)]
pub struct TransferArgs {
    /// The number of cores or instances.
    #[arg(value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub count: u16,
    /// Cores or instances.
    #[arg(value_enum, value_name = "WHAT")]
    pub what: TransferKind,
    /// The model or row of processes that gives, or `free` for the free cores.
    #[arg(value_name = "FROM")]
    pub from: String,
    /// The model or row of processes that gets, or `free`.
    #[arg(value_name = "TO")]
    pub to: String,
    /// Let the giver keep the cores too: both share them.
    #[arg(long)]
    pub share: bool,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// The things that can be transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TransferKind {
    /// Cores.
    #[value(name = "core", alias = "cores")]
    Core,
    /// Active instances.
    #[value(name = "instance", alias = "instances")]
    Instance,
}

/// Sets keys of a model's row, all of them or none.
///
/// # Errors
/// [`CommandError::BadInput`] for an unknown model, key or value; [`CommandError::Failed`] if the change is
/// refused.
pub fn set(args: &SetArgs) -> Result<(), CommandError> {
    let client = args.run.client()?;
    let live = client.layout()?;
    let change =
        set_keys(&live.layout, &args.model, &args.values).map_err(CommandError::BadInput)?;
    // the row is replaced as it was read
    let body = ChangeBody::new(change).expecting(live.version);
    print_applied(&client.apply(&body)?, args.form)
}

/// Transfers cores or instances from one model to another.
///
/// # Errors
/// [`CommandError::Failed`] if the change is refused.
pub fn transfer(args: &TransferArgs) -> Result<(), CommandError> {
    let edit = transfer_edit(args).map_err(CommandError::BadInput)?;
    let client = args.run.client()?;
    print_applied(&client.apply(&ChangeBody::new(edit.into()))?, args.form)
}

fn set_keys(layout: &Layout, model: &str, values: &[String]) -> Result<Change, String> {
    let names = || layout.models.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
    let old = layout
        .model(model)
        .ok_or_else(|| format!("there is no row `{model}`; the layout has: {}", names()))?;
    let mut row: Budget = old.clone();
    for value in values {
        let (key, text) = value
            .split_once('=')
            .ok_or_else(|| format!("`{value}`: write KEY=VALUE, for example cores=2"))?;
        let known = old.row_keys().map_err(|error| error.to_string())?;
        if !known.iter().any(|known| known.name == key) {
            let known: Vec<&str> = known.iter().map(|known| known.name).collect();
            let kind = if old.is_process() { "process" } else { "model" };
            return Err(format!(
                "`{key}` is not a key of a {kind}; the keys are: {}",
                known.join(", ")
            ));
        }
        row = row.with_key(key, text).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(Change { edits: edits_between(old, &row) })
}

fn transfer_edit(args: &TransferArgs) -> Result<Edit, String> {
    let count = usize::from(args.count);
    let owner = |name: &str| {
        if name == FREE { CoreOwner::Free } else { CoreOwner::Model(name.to_owned()) }
    };
    match args.what {
        TransferKind::Core => Ok(Edit::TransferCores {
            cores: CoreSelection::Count(count),
            from: owner(&args.from),
            to: owner(&args.to),
            share: args.share,
        }),
        TransferKind::Instance if args.share => {
            Err("--share works only with cores; leave it out".to_owned())
        }
        TransferKind::Instance => {
            Ok(Edit::TransferConcurrency { count, from: args.from.clone(), to: args.to.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CoreRequest, demo};

    fn keys(model: &str, values: &[&str]) -> Result<Change, String> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        set_keys(demo().unwrap().layout(), model, &values)
    }

    #[test]
    fn keys_become_edits_of_the_row() {
        let change = keys("detector", &["cores=1", "weight=9"]).unwrap();
        let model = "detector".to_owned();
        assert!(change.edits.contains(&Edit::SetWeight { model: model.clone(), weight: 9 }));
        let cores = CoreRequest::Count(1);
        assert!(change.edits.contains(&Edit::SetCores { model, cores }), "{change:?}");
    }

    #[test]
    fn wrong_keys_are_named() {
        for (model, value, words) in [
            ("nobody", "cores=1", ["nobody", "detector"]),
            ("detector", "core=1", ["`core`", "cores"]),
            ("detector", "cores", ["`cores`", "KEY=VALUE"]),
            ("detector", "weight=x", ["weight", ""]),
        ] {
            let error = keys(model, &[value]).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{value}: {error}");
        }
    }
}
