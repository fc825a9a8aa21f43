//! Single values: their types, ranges and units. Each fault says what to write instead.

use std::fs;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::reader::{FileCheck, Reader, TomlValue};
use crate::layout::file::{keys, origin};
use crate::layout::units::{Bytes, UnitError, parse_duration};
use crate::machine::special_file_kind;

/// Returns the type of a value, with its article.
pub(super) fn kind(value: &TomlValue<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns an integer; `None` for another type, or for a number of more than 128 bits.
fn integer(value: &TomlValue<'_>) -> Option<i128> {
    let integer = value.get_ref().as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Formats a number with a comma at each thousand.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digit.is_ascii_digit() && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl Reader<'_> {
    /// Adds the fault of a value of a wrong type.
    fn mistyped(&mut self, value: &TomlValue<'_>, what: &str, help: &str) {
        self.fault(value.span(), format!("{what} is {}", kind(value)), help);
    }

    /// Reads a string.
    pub(super) fn string(&mut self, value: &TomlValue<'_>, what: &str) -> Option<String> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.mistyped(value, what, "write a string, in quotes");
        }
        text.map(str::to_owned)
    }

    /// Reads a boolean.
    pub(super) fn boolean(&mut self, value: &TomlValue<'_>, what: &str) -> Option<bool> {
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.mistyped(value, what, "write true or false, without quotes");
        }
        truth
    }

    /// Reads an integer within a range.
    pub(super) fn whole(
        &mut self,
        value: &TomlValue<'_>,
        what: &str,
        range: RangeInclusive<i64>,
        help: &str,
    ) -> Option<i64> {
        if value.get_ref().as_integer().is_none() {
            let hint = match value.get_ref().as_str() {
                Some(text) if text.parse::<i64>().is_ok() => "write the number without quotes",
                Some(text) if text.parse::<Bytes>().is_ok() => {
                    self.fault(
                        value.span(),
                        format!("{what} is a number of requests, not a size in bytes"),
                        help,
                    );
                    return None;
                }
                _ => help,
            };
            self.mistyped(value, what, hint);
            return None;
        }
        let number = integer(value).and_then(|number| i64::try_from(number).ok());
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let (low, high) = (*range.start(), *range.end());
        let message = if integer(value).is_some_and(|number| number < i128::from(low)) {
            format!("{what} must be {low} or more")
        } else {
            format!("{what} is too large: at most {}", grouped(high))
        };
        self.fault(value.span(), message, help);
        None
    }

    /// Reads a count, from 1 to `most`.
    pub(super) fn count(
        &mut self,
        value: &TomlValue<'_>,
        what: &str,
        most: i64,
        help: &str,
    ) -> Option<usize> {
        self.whole(value, what, 1..=most, help).and_then(|number| usize::try_from(number).ok())
    }

    /// Reads a finite number. An integer has at most 64 bits, as TOML requires: the writer of layouts
    /// cannot read a larger one.
    pub(super) fn number(&mut self, value: &TomlValue<'_>, what: &str, help: &str) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Integer(_) => {
                let Some(number) = integer(value).and_then(|it| i64::try_from(it).ok()) else {
                    let message = format!("{what} has more than 64 bits");
                    self.fault(value.span(), message, "write a smaller number, or one like `1e30`");
                    return None;
                };
                Some(number as f64)
            }
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => {
                self.mistyped(value, what, help);
                return None;
            }
        };
        let finite = number.filter(|number| number.is_finite());
        if finite.is_none() {
            let name = if number.is_some_and(f64::is_nan) { "not a number" } else { "infinite" };
            self.fault(value.span(), format!("{what} is {name}"), help);
        }
        finite
    }

    /// Reads a rate in requests per second.
    pub(super) fn rate(&mut self, value: &TomlValue<'_>) -> Option<f64> {
        let help = "write requests per second, above 0 up to 1,000,000, like `rate = 120.0`";
        let rate = self.number(value, "`rate`", help)?;
        if rate > 0.0 && rate <= 1e6 {
            return Some(rate);
        }
        let wrong = if rate > 0.0 { "too large" } else { "not above 0" };
        self.fault(value.span(), format!("`rate` is {wrong}"), help);
        None
    }

    /// Reads a time with its unit.
    pub(super) fn duration(&mut self, value: &TomlValue<'_>, what: &str) -> Option<Duration> {
        self.with_unit(value, what, "write a time with its unit, like \"500ms\"", parse_duration)
    }

    /// Reads a size with its unit.
    pub(super) fn bytes(&mut self, value: &TomlValue<'_>, what: &str) -> Option<Bytes> {
        self.with_unit(value, what, "write a size with its unit, like \"512MiB\"", str::parse)
    }

    fn with_unit<T>(
        &mut self,
        value: &TomlValue<'_>,
        what: &str,
        help: &str,
        read: impl Fn(&str) -> Result<T, UnitError>,
    ) -> Option<T> {
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(value, what, help);
            return None;
        };
        let wrong = match read(text) {
            Ok(read) => return Some(read),
            Err(error) => format!("{what}: {error}"),
        };
        self.fault(value.span(), wrong, help);
        None
    }

    /// Reads one of a few words.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        value: &TomlValue<'_>,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let Some(text) = value.get_ref().as_str() else {
            let help = format!("write {}, in quotes", keys::list(&names));
            self.mistyped(value, what, &help);
            return None;
        };
        let found = words.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let help = match keys::nearest(text, &names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write {}", keys::list(&names)),
            };
            self.fault(value.span(), format!("{what} cannot be \"{text}\""), help);
        }
        found
    }

    /// Reads a table.
    pub(super) fn table<'v, 't>(
        &mut self,
        value: &'v TomlValue<'t>,
        what: &str,
        help: &str,
    ) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistyped(value, what, help);
        }
        table
    }

    /// Reads the path of a file, and checks that the file is readable; `what` is for example "the
    /// model".
    pub(super) fn file(
        &mut self,
        value: &TomlValue<'_>,
        what: &str,
        written: &str,
    ) -> Option<PathBuf> {
        if written.is_empty() || written.contains('\0') {
            let help = "write the path of a file, relative to the folder of this layout";
            self.fault(
                value.span(),
                format!("the path of {what} is empty or has a null character"),
                help,
            );
            return None;
        }
        let path = origin::resolve(self.folder.as_deref(), written);
        if self.file_check == FileCheck::Skipped {
            return Some(path);
        }
        match openable(&path) {
            Ok(()) => Some(path),
            Err((message, help)) => {
                self.fault(value.span(), format!("{what} {message}"), help);
                None
            }
        }
    }
}

/// Checks that a file can be opened.
///
/// # Errors
/// The message and the advice.
fn openable(path: &Path) -> Result<(), (String, String)> {
    let shown = path.display();
    // opening a pipe would wait for its writer
    if let Some(kind) = special_file_kind(path) {
        return Err((
            format!("is {kind}"),
            format!("write the path of a regular file instead of {shown}"),
        ));
    }
    let check = fs::metadata(path).and_then(|meta| {
        if meta.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        fs::File::open(path).map(drop)
    });
    check.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => (
            "does not exist".to_owned(),
            format!("check the path {shown}; relative paths start at the folder of this layout"),
        ),
        ErrorKind::IsADirectory => {
            ("is a folder".to_owned(), format!("write the path of a file inside {shown}"))
        }
        ErrorKind::PermissionDenied => (
            "cannot be read: permission denied".to_owned(),
            format!("allow this user to read {shown}"),
        ),
        _ => (format!("cannot be read: {error}"), format!("check {shown}")),
    })
}

/// Sets a field if its value could be read.
pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_thousands() {
        for (number, want) in [(1, "1"), (1024, "1,024"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), want);
        }
    }
}
