//! `--record`: records live requests of models into files for a replay.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::args::RunArgs;
use crate::command::CommandError;
use crate::layout::Layout;
use crate::pool::{RecordingError, RecordingOptions, RunningRecording, check_recording_file};
use crate::scheduler::Scheduler;
use crate::telemetry::name_list;

/// Requests of a recording, unless the argument sets another number.
const DEFAULT_REQUESTS: usize = 1000;

/// The largest number of requests of a recording.
const MAX_REQUESTS: usize = 1_000_000;

/// One `--record M=FILE[:N]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordArg {
    model: String,
    options: RecordingOptions,
}

impl FromStr for RecordArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "give MODEL=FILE or MODEL=FILE:N, for example ocr=ocr.npz:500";
        let (model, rest) = text.split_once('=').ok_or_else(|| form.to_owned())?;
        let number = rest.rsplit_once(':').filter(|(_, number)| {
            !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
        });
        let (file, requests) = match number {
            Some((file, number)) => (file, number.parse().unwrap_or(usize::MAX)),
            None => (rest, DEFAULT_REQUESTS),
        };
        if model.is_empty() || file.is_empty() {
            return Err(form.to_owned());
        }
        if !(1..=MAX_REQUESTS).contains(&requests) {
            return Err(format!("the number of requests must be 1 to {MAX_REQUESTS}"));
        }
        let file = PathBuf::from(file);
        if file.extension().is_none_or(|extension| extension != "npz") {
            return Err(format!("{}: the file of a recording ends in .npz", file.display()));
        }
        Ok(Self { model: model.to_owned(), options: RecordingOptions { file, requests } })
    }
}

/// Checks the recordings against the layout, before anything is started.
///
/// # Errors
/// [`CommandError::BadInput`] if the layout has no such model, a model or a file is named twice, or a file
/// cannot be created.
pub(super) fn check(args: &RunArgs, layout: &Layout) -> Result<(), CommandError> {
    let bad = |arg: &RecordArg, reason: String| {
        Err(CommandError::BadInput(format!("--record {}: {reason}", arg.model)))
    };
    for (index, arg) in args.record.iter().enumerate() {
        if !layout.models.iter().any(|row| row.name == arg.model) {
            let names: Vec<&str> = layout.models.iter().map(|row| row.name.as_str()).collect();
            return bad(arg, format!("the layout has no such model, only {}", name_list(&names)));
        }
        let earlier = || args.record.iter().take(index);
        if earlier().any(|other| other.model == arg.model) {
            return bad(arg, "this model is recorded twice; leave one --record out".to_owned());
        }
        if earlier().any(|other| other.options.file == arg.options.file) {
            let file = arg.options.file.display();
            return bad(arg, format!("another model is recorded in {file}; name another file"));
        }
        if let Err(error) = check_recording_file(&arg.options.file) {
            return bad(arg, error.to_string());
        }
    }
    Ok(())
}

/// Starts the recordings.
///
/// # Errors
/// [`CommandError::Failed`] if one cannot start.
pub(super) fn start(
    args: &RunArgs,
    scheduler: &Scheduler,
) -> Result<Vec<RunningRecording>, CommandError> {
    let start = |arg: &RecordArg| {
        let client = scheduler.client(&arg.model).and_then(|client| client.current());
        let started = client.map(|client| client.record(arg.options.clone()))?;
        Some(started.map_err(|error| describe(&arg.options.file, &error)))
    };
    args.record.iter().filter_map(start).collect()
}

fn describe(file: &Path, error: &RecordingError) -> CommandError {
    CommandError::Failed(format!("--record {}: {error}", file.display()))
}

/// Ends the recordings and waits for their files. Their threads have logged the results.
pub(super) fn finish(recordings: Vec<RunningRecording>) {
    for recording in recordings {
        let _ = recording.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_has_an_optional_number() {
        let parsed = |text: &str| {
            let RecordArg { model, options } = text.parse().unwrap();
            (model, options.file.display().to_string(), options.requests)
        };
        assert_eq!(parsed("ocr=a.npz"), ("ocr".into(), "a.npz".into(), 1000));
        assert_eq!(parsed("ocr=C:/a=b.npz:25"), ("ocr".into(), "C:/a=b.npz".into(), 25));
    }

    #[test]
    fn bad_argument_says_what_to_give() {
        for (text, words) in [
            ("ocr", "give MODEL=FILE"),
            ("=a.npz", "give MODEL=FILE"),
            ("ocr=", "give MODEL=FILE"),
            ("ocr=a.npz:0", "must be 1 to"),
            ("ocr=a.npz:99999999999999999999999", "must be 1 to"),
            ("ocr=a.npy", "ends in .npz"),
        ] {
            let error = text.parse::<RecordArg>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
