//! Parses typed text: a value of a row's key, or the path of a model. Runs on the worker thread,
//! because it accesses files.

use std::path::{Path, PathBuf};

use crate::console::state::{ParsedInput, TypedInput};
use crate::engine::onnx::read_signature;
use crate::layout::{
    Budget, Change, Edit, RequestOrigin, RowSource, budget_from_file, edits_between,
};
use crate::scheduler::Control;

/// Parses the text and plans its change after `before`. Returns `None` if nothing would change.
///
/// # Errors
/// A message if the text is invalid or the change would be refused.
pub(crate) fn read(
    control: &dyn Control,
    typed: TypedInput,
    before: Change,
) -> Result<Option<ParsedInput>, String> {
    let edits = match typed {
        TypedInput::Key { row, key, text } => {
            let new = row.with_key(&key, &text)?;
            if new.source != row.source {
                check_model(&new.source)?;
            }
            edits_between(&row, &new)
        }
        TypedInput::Model { text, taken } => {
            let is_serving = control.snapshots().borrow().server.is_some();
            let requests = if is_serving { RequestOrigin::Clients } else { RequestOrigin::BuiltIn };
            let budget = Box::new(model(&text, requests, &taken)?);
            vec![Edit::Add { budget }]
        }
    };
    if edits.is_empty() {
        return Ok(None);
    }
    let all = Change { edits: before.edits.into_iter().chain(edits.iter().cloned()).collect() };
    let plan = control.plan(&all).map_err(|refusal| refusal.to_string())?;
    Ok(Some(ParsedInput { change: Change { edits }, plan }))
}

/// Returns a row for the model at a path.
fn model(text: &str, requests: RequestOrigin, taken: &[String]) -> Result<Budget, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("type the path of an ONNX file".to_owned());
    }
    let text = &if Path::new(text).exists() { text.to_owned() } else { plain_path(text) };
    let home = text.strip_prefix("~/").zip(std::env::home_dir());
    let path = home.map_or_else(|| PathBuf::from(text), |(rest, home)| home.join(rest));
    let path = std::path::absolute(path).map_err(|error| format!("{text}: {error}"))?;
    if path.is_dir() {
        return Err(format!("{} is a folder: name an ONNX file in it", path.display()));
    }
    if !path.is_file() {
        return Err(format!("there is no file {}", path.display()));
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        return Err("this is a layout: the list of layouts loads those in its folders".to_owned());
    }
    let budget =
        budget_from_file(without_links(&path), requests, |name| taken.iter().any(|t| t == name));
    check_model(&budget.source)?;
    Ok(budget)
}

/// Returns the path without symlinks and `..` in its folder, so that a layout above the file saves it as
/// a relative path.
fn without_links(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder
        .zip(path.file_name())
        .map_or_else(|| path.to_path_buf(), |(folder, name)| folder.join(name))
}

/// Checks that a file is a model. Reads only its inputs and outputs, so it is quick for any size.
fn check_model(source: &RowSource) -> Result<(), String> {
    let Some(source) = source.model() else { return Ok(()) };
    read_signature(source).map(drop).map_err(|error| error.to_string())
}

/// Returns a path without the quotes and escapes of a shell, or of a file's URL, as file managers paste
/// it.
fn plain_path(text: &str) -> String {
    if let Some(url) = text.strip_prefix("file://") {
        return decoded(url.strip_prefix("localhost").unwrap_or(url));
    }
    let mut plain = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            // Windows separates folders with it
            ('\\', None | Some('"')) if !cfg!(windows) => plain.extend(letters.next()),
            _ => plain.push(letter),
        }
    }
    plain
}

/// Returns a URL's text with its percent codes decoded.
fn decoded(url: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = url.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ModelSource;

    #[test]
    fn pasted_paths_lose_their_quotes() {
        for text in [
            "/tmp/a b's.onnx".replace(' ', "\\ ").replace('\'', "\\'"),
            "'/tmp/a b'\\''s.onnx'".to_owned(),
            "\"/tmp/a b's.onnx\"".to_owned(),
            "file:///tmp/a%20b%27s.onnx".to_owned(),
            "file://localhost/tmp/a%20b's.onnx".to_owned(),
        ] {
            assert_eq!(plain_path(&text), "/tmp/a b's.onnx", "{text}");
        }
        assert_eq!(plain_path("100%/é%zz.onnx"), "100%/é%zz.onnx");
        assert_eq!(decoded("100%/é%zz.onnx"), "100%/é%zz.onnx");
    }

    #[cfg(unix)]
    #[test]
    fn added_path_has_no_links_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::copy("assets/models/ranker.onnx", root.join("real/x.onnx")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        for path in ["link/x.onnx", "link/../real/x.onnx"] {
            let budget =
                model(root.join(path).to_str().unwrap(), RequestOrigin::BuiltIn, &[]).unwrap();
            assert_eq!(budget.source, ModelSource::File(root.join("real/x.onnx")).into(), "{path}");
        }
    }
}
