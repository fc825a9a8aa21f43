//! Layout files: read with every fault at once, checked against a machine, fitted to it, compared,
//! and saved so that the user's comments stay.

mod atomic;
mod check;
mod demo;
mod faults;
mod fit;
mod keys;
mod origin;
mod parse;
mod row_keys;
mod save;
mod schema;
mod write;

use std::fs;
use std::io::Read as _;
use std::path::Path;

pub use check::Warning;
pub use demo::demo;
pub use faults::{Fault, Faults};
pub use fit::Fitted;
pub use origin::Origin;
pub use row_keys::RowKey;
pub use save::SaveError;
pub use schema::schema;

use super::budget::Layout;
use crate::machine::special_file_kind;
use parse::{Files, RowSpans};

/// The largest file that is read as a layout, in bytes. A thousand models fit in a tenth of it.
const LARGEST: u64 = 4 << 20;

/// A layout together with the text that it was read from, so that a save keeps the user's comments
/// and a check can point at lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    layout: Layout,
    text: String,
    origin: Origin,
    spans: Vec<RowSpans>,
}

impl Layout {
    /// Reads a layout file.
    ///
    /// # Errors
    /// All faults of the file at once, each with its place; or the one reason why it cannot be
    /// read: missing, a folder, unreadable, larger than 4 MiB, not UTF-8.
    pub fn read(path: &Path) -> Result<Document, Faults> {
        let origin = Origin::File(path.to_path_buf());
        Document::parse(&read_text(path)?, &origin)
    }

    /// Reads a layout from standard input. Relative paths in it start at the current folder.
    ///
    /// # Errors
    /// As [`Layout::read`].
    pub fn read_stdin() -> Result<Document, Faults> {
        let origin = Origin::Stdin;
        let text = read_bounded(std::io::stdin().lock()).map_err(|error| {
            let fault = Fault::whole(format!("this layout cannot be read: {error}"));
            Faults::unread(origin.name(), fault)
        })?;
        Document::parse(&decode(&origin.name(), text)?, &origin)
    }
}

impl Document {
    /// Reads a layout's text.
    ///
    /// # Errors
    /// All faults of the text at once, each with its place.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, Faults> {
        let (layout, spans) = parse::parse(text, origin, Files::Looked)?;
        Ok(Self { layout, text: text.to_owned(), origin: origin.clone(), spans })
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The text that it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the text comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The text of a file.
fn read_text(path: &Path) -> Result<String, Faults> {
    let name = path.display().to_string();
    let unread = |message: String, help: &str| {
        Faults::unread(name.clone(), Fault::whole(message).help(help))
    };
    if let Some(kind) = special_file_kind(path) {
        let help = "name a .toml file, or pass - to read a layout from standard input";
        return Err(unread(format!("this is {kind}, not a layout"), help));
    }
    let bytes =
        fs::File::open(path).and_then(read_bounded).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                unread("this layout does not exist".into(), "check the path")
            }
            std::io::ErrorKind::IsADirectory => {
                unread("this is a folder, not a layout".into(), "name a .toml file inside it")
            }
            std::io::ErrorKind::PermissionDenied => unread(
                "this layout cannot be read: permission denied".into(),
                "allow this user to read it",
            ),
            _ => unread(format!("this layout cannot be read: {error}"), "check the path"),
        })?;
    decode(&name, bytes)
}

/// Reads one byte more than the largest layout at most.
fn read_bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks the size and the encoding of a layout's text.
fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Faults> {
    if bytes.len() as u64 > LARGEST {
        let fault = Fault::whole("this file is too large for a layout: above 4 MiB");
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

#[cfg(test)]
mod save_tests;
#[cfg(test)]
mod tests;
