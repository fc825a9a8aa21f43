//! Records live requests of models into files for a replay: `--record`, and the console's key.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::args::RunArgs;
use crate::command::CommandError;
use crate::layout::Layout;
use crate::pool::{RecordingOptions, RunningRecording, check_recording_file};
use crate::scheduler::{RequestRecordings, Scheduler};
use crate::telemetry::name_list;

/// Requests of a recording, unless the argument sets another number.
const DEFAULT_REQUESTS: usize = 1000;

/// The largest number of requests of a recording.
const MAX_REQUESTS: usize = 1_000_000;

/// The most recordings of a model in the folder of the console's recordings.
const MAX_FILES: u32 = 10_000;

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
        let models = || layout.models.iter().filter(|row| !row.is_process());
        if !models().any(|row| row.name == arg.model) {
            let names: Vec<&str> = models().map(|row| row.name.as_str()).collect();
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

/// The recordings of a run: those of `--record`, and those that the console starts.
pub(super) struct RunRecordings {
    scheduler: Weak<Scheduler>,
    /// The folder for the console's recordings.
    folder: PathBuf,
    running: Mutex<BTreeMap<String, RunningRecording>>,
}

impl RunRecordings {
    /// Starts the recordings of the arguments. Those of the console go into `folder`.
    ///
    /// # Errors
    /// [`CommandError::Failed`] if one cannot start.
    pub(super) fn start(
        args: &RunArgs,
        scheduler: &Arc<Scheduler>,
        folder: PathBuf,
    ) -> Result<Self, CommandError> {
        let scheduler = Arc::downgrade(scheduler);
        let recordings = Self { scheduler, folder, running: Mutex::default() };
        for RecordArg { model, options } in &args.record {
            let started = recordings.record(&mut recordings.running(), model, options.clone());
            started
                .map_err(|reason| CommandError::Failed(format!("--record {model}: {reason}")))?;
        }
        Ok(recordings)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, RunningRecording>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(
        &self,
        running: &mut BTreeMap<String, RunningRecording>,
        model: &str,
        options: RecordingOptions,
    ) -> Result<(), String> {
        let scheduler = self.scheduler.upgrade();
        let client = scheduler.and_then(|scheduler| scheduler.client(model)?.current());
        let client = client.ok_or_else(|| format!("divvy runs no model {model}"))?;
        let recording = client.record(options).map_err(|error| error.to_string())?;
        running.insert(model.to_owned(), recording);
        Ok(())
    }

    /// Ends all recordings and waits for their files. Their threads log the results.
    pub(super) fn finish(&self) {
        for (_, recording) in std::mem::take(&mut *self.running()) {
            let _ = recording.stop();
        }
    }

    /// Returns a new file for a model, in a folder that exists.
    fn new_file(&self, model: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join("recordings");
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let plain = |letter: char| if letter.is_alphanumeric() { letter } else { '-' };
        let name: String = model.chars().map(plain).take(60).collect();
        let mut files = (1..=MAX_FILES).map(|number| folder.join(format!("{name}-{number}.npz")));
        let full = || format!("{} has {MAX_FILES} recordings of {model}", folder.display());
        files.find(|file| !file.exists()).ok_or_else(full)
    }
}

impl RequestRecordings for RunRecordings {
    fn toggle(&self, model: &str) -> Result<String, String> {
        let mut running = self.running();
        if let Some(recording) = running.remove(model)
            && !recording.has_ended()
        {
            return recording.stop().map(|report| report.to_string()).map_err(|e| e.to_string());
        }
        let (file, requests) = (self.new_file(model)?, DEFAULT_REQUESTS);
        self.record(&mut running, model, RecordingOptions { file: file.clone(), requests })?;
        Ok(format!("recording {requests} requests of {model} in {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engines;
    use crate::layout::{Budget, EngineChoice, ModelSource};
    use crate::machine::SimulatedMachine;
    use crate::scheduler::{EngineLoader, Options};

    #[test]
    fn console_starts_or_stops_a_recording() {
        let folder = tempfile::tempdir().unwrap();
        let loader = EngineLoader::new(Arc::new(Engines::new(EngineChoice::Rten, None)));
        let options = Options::new(Arc::new(SimulatedMachine::uniform(1)), Arc::new(loader));
        let source = ModelSource::Embedded("embedder.onnx".to_owned());
        let models = vec![Budget::new("a/b", source)];
        let layout = Layout { description: String::new(), models };
        let scheduler = Arc::new(Scheduler::start(&layout, options).unwrap());
        let recordings = RunRecordings {
            scheduler: Arc::downgrade(&scheduler),
            folder: folder.path().to_owned(),
            running: Mutex::default(),
        };
        let file = folder.path().join("recordings/a-b-1.npz");
        let started = recordings.toggle("a/b").unwrap();
        assert_eq!(started, format!("recording 1000 requests of a/b in {}", file.display()));
        let stopped = recordings.toggle("a/b").unwrap_err();
        assert!(stopped.starts_with("no request came"), "{stopped}");
        assert_eq!(recordings.toggle("c").unwrap_err(), "divvy runs no model c");
        assert!(recordings.toggle("a/b").is_ok(), "it can start again");
    }

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
