//! A layout together with its text.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::check::{self, CheckedRow, ModelNames, Warning};
use super::faults::{self, Fault, Faults, ReportStyle};
use super::fit::{self, Fitted};
use super::origin::Origin;
use super::parse::{self, FileCheck, ParsedFile, RowSpans};
use crate::layout::ServerKeys;
use crate::layout::budget::Layout;
use crate::machine::{Description, special_file_kind};

/// The largest layout file, in bytes. A thousand models need a tenth of it.
const LARGEST: u64 = 4 << 20;

/// A layout together with the text that it was read from, so that saving keeps comments and checks
/// can point at lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub(super) layout: Layout,
    pub(super) server: ServerKeys,
    pub(super) text: String,
    pub(super) origin: Origin,
    pub(super) spans: Vec<RowSpans>,
}

impl Layout {
    /// Reads a layout file.
    ///
    /// # Errors
    /// All faults of the file, each with its line; or the reason why the file cannot be read:
    /// missing, a folder, a pipe, no permission, larger than 4 MiB, not UTF-8.
    pub fn read(path: &Path, files: FileCheck) -> Result<Document, Faults> {
        let origin = Origin::File(path.to_path_buf());
        Document::parse(&read_text(path)?, &origin, files)
    }

    /// Reads a layout from standard input. Relative paths in it start at the current folder.
    ///
    /// # Errors
    /// As [`Layout::read`].
    pub fn read_stdin(files: FileCheck) -> Result<Document, Faults> {
        let origin = Origin::Stdin;
        let text = read_bounded(std::io::stdin().lock()).map_err(|error| {
            let fault = Fault::whole(format!("this layout cannot be read: {error}"));
            Faults::unread(origin.name(), fault)
        })?;
        Document::parse(&decode(&origin.name(), text)?, &origin, files)
    }
}

impl Document {
    /// Reads the text of a layout.
    ///
    /// # Errors
    /// All faults of the text, each with its line.
    pub fn parse(text: &str, origin: &Origin, files: FileCheck) -> Result<Self, Faults> {
        let file = parse::parse(text, origin, files)?;
        Ok(Self::of(file, text.to_owned(), origin.clone()))
    }

    /// Returns the document of a text and its content.
    pub(super) fn of(file: ParsedFile, text: String, origin: Origin) -> Self {
        let ParsedFile { layout, server, spans } = file;
        Self { layout, server, text, origin, spans }
    }

    /// Returns the layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the limits of the server that the text sets.
    pub fn server(&self) -> &ServerKeys {
        &self.server
    }

    /// Returns the text that the layout was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the origin of the text.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Checks the layout against a machine.
    ///
    /// # Errors
    /// All faults: CPUs that the machine does not have or this process may not use, counts above the
    /// machine's cores, cores that two models reserve, reserves that leave no core to the others, and
    /// GPUs that the machine does not have.
    pub fn check(&self, machine: &Description) -> Result<Vec<Warning>, Faults> {
        check::machine::check(&self.text, &self.rows(), machine).map_err(|list| self.faults(list))
    }

    /// Checks the names that refer to the inside of a model or of a recording: `dims`, `inputs`,
    /// `carry` and the arrays of a replay. `models` has one entry per row, in the layout's order;
    /// `None` skips the row.
    ///
    /// # Errors
    /// All faults, each with its line and the names that would be right.
    pub fn check_models(&self, models: &[Option<ModelNames>]) -> Result<(), Faults> {
        check::models::check(&self.text, &self.rows(), models).map_err(|list| self.faults(list))
    }

    /// Checks that the files of the layout can be read, then the names as
    /// [`Document::check_models`] does.
    ///
    /// # Errors
    /// All faults, in the order of the text; at most one that concerns a missing file per line.
    pub fn check_files_and_models(&self, models: &[Option<ModelNames>]) -> Result<(), Faults> {
        let files = parse::parse(&self.text, &self.origin, FileCheck::Required);
        let mut list: Vec<Fault> =
            files.err().map(|faults| faults.faults().to_vec()).unwrap_or_default();
        let names = check::models::check(&self.text, &self.rows(), models).err();
        for fault in names.unwrap_or_default() {
            if list.iter().all(|known| known.line != fault.line) {
                list.push(fault);
            }
        }
        list.sort_by_key(|fault| (fault.line, fault.column));
        if list.is_empty() { Ok(()) } else { Err(self.faults(list)) }
    }

    /// Returns warnings as a report with the lines that they refer to.
    pub fn render_warnings(&self, warnings: &[Warning], style: ReportStyle) -> String {
        let warnings: Vec<Fault> = warnings.iter().map(|Warning(fault)| fault.clone()).collect();
        faults::render_warnings(&self.origin.name(), &self.text, &warnings, style)
    }

    /// Scales CPU lists, counts, threads and reserves to a machine. A machine without any allowed CPU
    /// leaves the layout as it is.
    pub fn fit(&self, machine: &Description) -> Fitted {
        fit::fit(&self.layout, machine)
    }

    fn rows(&self) -> Vec<CheckedRow<'_>> {
        let rows = self.layout.models.iter().zip(&self.spans);
        rows.map(|(budget, spans)| CheckedRow { budget, spans }).collect()
    }

    fn faults(&self, list: Vec<Fault>) -> Faults {
        Faults::new(self.origin.name(), Some(&self.text), list)
    }
}

/// Reads the text of a file.
fn read_text(path: &Path) -> Result<String, Faults> {
    let name = path.display().to_string();
    let unread = |message: String, help: &str| {
        Faults::unread(name.clone(), Fault::whole(message).help(help))
    };
    if let Some(kind) = special_file_kind(path) {
        let help = "pass a .toml file, or - to read a layout from standard input";
        return Err(unread(format!("this is {kind}, not a layout"), help));
    }
    let bytes =
        fs::File::open(path).and_then(read_bounded).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                unread("this layout does not exist".into(), "check the path")
            }
            std::io::ErrorKind::IsADirectory => {
                unread("this is a folder, not a layout".into(), "pass a .toml file inside it")
            }
            std::io::ErrorKind::PermissionDenied => unread(
                "this layout cannot be read: permission denied".into(),
                "allow this user to read it",
            ),
            _ => unread(format!("this layout cannot be read: {error}"), "check the path"),
        })?;
    decode(&name, bytes)
}

/// Reads at most one byte more than the largest layout.
fn read_bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks the size and the encoding of a layout's text.
fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Faults> {
    if bytes.len() as u64 > LARGEST {
        let fault = Fault::whole("this file is too large for a layout: larger than 4 MiB");
        return Err(Faults::unread(name.to_owned(), fault.help("check the path")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let fault = Fault::at(&text, at..at, format!("not UTF-8: the byte 0x{byte:02X}"))
            .help("save the file as UTF-8");
        Faults::new(name.to_owned(), Some(&text), vec![fault])
    })
}
