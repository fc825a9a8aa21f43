//! A layout file as a change of a running divvy.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::command::CommandError;
use crate::control::api::ChangeBody;
use crate::control::{Address, ControlClient};
use crate::layout::{Document, FileCheck, Layout};

/// A layout file for a running divvy.
#[derive(Clone, Debug, clap::Args)]
pub struct LayoutInput {
    /// The layout file, or - for standard input.
    #[arg(value_name = "LAYOUT")]
    pub layout: PathBuf,
    /// Scale down a layout that asks for more cores than the machine has.
    #[arg(long)]
    pub fit: bool,
}

impl LayoutInput {
    /// Reads the layout and checks it against the machine of the running divvy.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with all faults of the layout.
    pub(super) fn change(&self, client: &ControlClient) -> Result<ChangeBody, CommandError> {
        let files = match client.address() {
            Address::Socket(_) => FileCheck::Required,
            // the files are on the other machine
            Address::Tcp(..) => FileCheck::Skipped,
        };
        let document = self.read(files)?;
        let machine = client.machine()?;
        let layout = if self.fit {
            let fitted = document.fit(&machine);
            for change in &fitted.changes {
                writeln!(std::io::stderr(), "divvy: fitted to the machine: {change}")?;
            }
            fitted.layout
        } else {
            let checked = document.check(&machine);
            checked.map_err(|faults| CommandError::BadInput(faults.to_string()))?;
            document.layout().clone()
        };
        Ok(ChangeBody { layout: Some(layout), ..ChangeBody::default() })
    }

    fn read(&self, files: FileCheck) -> Result<Document, CommandError> {
        let document = if self.layout == Path::new("-") {
            Layout::read_stdin(files)
        } else {
            // paths become absolute only if the file's is
            let path = std::path::absolute(&self.layout)?;
            Layout::read(&path, files)
        };
        document.map_err(|faults| CommandError::BadInput(faults.to_string()))
    }
}
