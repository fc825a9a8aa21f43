//! The reader of a text: its context, and the faults found so far.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::layout::file::faults::Fault;
use crate::layout::file::keys;
use crate::layout::file::origin::Origin;

/// A value and its place in the text.
pub(super) type TomlValue<'t> = Spanned<DeValue<'t>>;

/// The check of the files that a layout names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCheck {
    /// The files must exist and be readable.
    Required,
    /// The files are not checked: a model whose file is missing fails alone when it is loaded.
    Skipped,
}

/// The context of a text that is read, and the faults found so far.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) origin: &'t Origin,
    /// The folder at which relative paths start.
    pub(super) folder: Option<PathBuf>,
    pub(super) file_check: FileCheck,
    pub(super) faults: Vec<Fault>,
}

impl Reader<'_> {
    /// Adds a fault.
    pub(super) fn fault(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.faults.push(Fault::at(self.text, span, message).help(help));
    }

    /// Adds the fault of an unknown key, with the nearest known one.
    pub(super) fn unknown(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        place: &str,
        known: &[&str],
    ) {
        let name = key.get_ref();
        let help = match keys::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{place} can have {}", keys::list(known)),
        };
        self.fault(key.span(), format!("unknown key `{name}` in {place}"), help);
    }
}
