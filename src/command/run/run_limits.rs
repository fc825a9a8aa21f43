//! The limits of the server in force: those of the flags, over those of the layout that is open.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::serve_args::ServeArgs;
use crate::command::CommandError;
use crate::layout::{ServerKeys, ServerLimits};
use crate::server::ServerState;
use crate::telemetry::Conditions;

/// The name of the condition that is raised when the limits of a layout cannot be used.
const CONDITION: &str = "server limits";

/// The limits of a run's server. Without a server, it only keeps those of the layout, for saves.
pub(super) struct RunLimits {
    conditions: Conditions,
    layout: Mutex<LayoutLimits>,
    server: OnceLock<LimitedServer>,
}

/// The limits that layouts set.
#[derive(Default)]
struct LayoutLimits {
    /// Those of the layout that is open.
    open: ServerKeys,
    /// Those at the start, with the title of their layout.
    start: (String, ServerKeys),
}

/// The server, and the flags that win over a layout.
struct LimitedServer {
    state: Arc<ServerState>,
    flags: ServerKeys,
}

impl RunLimits {
    /// Creates the limits of a run without a layout and a server. Limits that cannot be used become an alert in
    /// `conditions`.
    pub(super) fn new(conditions: Conditions) -> Self {
        Self { conditions, layout: Mutex::default(), server: OnceLock::new() }
    }

    /// Sets the limits of the layout with which the run starts.
    pub(super) fn open(&self, title: &str, keys: &ServerKeys) {
        *self.layout() = LayoutLimits { open: *keys, start: (title.to_owned(), *keys) };
    }

    /// Returns the limits for the server of these arguments.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] if the flags and the layout contradict each other.
    pub(super) fn for_server(&self, args: &ServeArgs) -> Result<ServerLimits, CommandError> {
        let layout = self.layout();
        args.limits_with(&layout.open).map_err(|fault| {
            let title = &layout.start.0;
            CommandError::BadInput(format!(
                "the limits of the server, by the options and the layout {title}: {fault}"
            ))
        })
    }

    /// Applies the limits of later layouts to this server.
    pub(super) fn follow(&self, state: Arc<ServerState>, args: &ServeArgs) {
        // a run has one server
        let _ = self.server.set(LimitedServer { state, flags: args.limits() });
    }

    /// Returns the limits that the open layout sets.
    pub(super) fn of_layout(&self) -> ServerKeys {
        self.layout().open
    }

    /// Returns the limits of the layout with which the run started, if it has this title.
    pub(super) fn of_start(&self, title: &str) -> Option<ServerKeys> {
        let start = &self.layout().start;
        (start.0 == title).then_some(start.1)
    }

    /// Sets the limits of a layout that is open now, and logs them if they change those in force. If they
    /// contradict the flags, those in force stay, with an alert.
    pub(super) fn switch(&self, title: &str, keys: &ServerKeys) {
        let mut layout = self.layout();
        if layout.open == *keys {
            return;
        }
        layout.open = *keys;
        let Some(LimitedServer { state, flags }) = self.server.get() else { return };
        let merged = flags.or(keys);
        if let Err(fault) = merged.check() {
            let message =
                format!("the server keeps its limits, because with those of {title} {fault}");
            tracing::warn!("{message}");
            self.conditions.raise(CONDITION, message);
            return;
        }
        self.conditions.clear(CONDITION);
        let limits = merged.limits();
        if state.limits() != limits {
            state.set_limits(limits);
            tracing::info!("the server has the limits of {title}: {}", describe(&merged));
        }
    }

    fn layout(&self) -> MutexGuard<'_, LayoutLimits> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the limits that are set, for the log.
fn describe(keys: &ServerKeys) -> String {
    let set = keys.texts();
    let set: Vec<String> = set.into_iter().map(|(key, value)| format!("{key} {value}")).collect();
    if set.is_empty() {
        return "the defaults".to_owned();
    }
    format!("{}, otherwise the defaults", set.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::engine::Engines;
    use crate::layout::{Bytes, EngineChoice, Layout};
    use crate::machine::SimulatedMachine;
    use crate::scheduler::{EngineLoader, Options, Scheduler};
    use crate::server::ServerOptions;

    #[derive(Parser)]
    struct TestArgs {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn parse(arguments: &[&str]) -> ServeArgs {
        TestArgs::parse_from([&["divvy"], arguments].concat()).serve
    }

    fn max_body(mebibytes: u64) -> ServerKeys {
        ServerKeys { max_body: Some(Bytes(mebibytes << 20)), ..ServerKeys::default() }
    }

    fn server(limits: ServerLimits) -> Arc<ServerState> {
        let loader = EngineLoader::new(Arc::new(Engines::new(EngineChoice::Rten, None)));
        let options = Options::new(Arc::new(SimulatedMachine::uniform(1)), Arc::new(loader));
        let scheduler = Scheduler::start(&Layout::default(), options).unwrap();
        ServerState::new(&scheduler, ServerOptions { limits, ..ServerOptions::default() })
    }

    #[test]
    fn another_layout_changes_the_limits() {
        let live = RunLimits::new(Conditions::default());
        let args = parse(&["--max-header", "8KiB"]);
        live.open("day", &max_body(1));
        let state = server(live.for_server(&args).unwrap());
        live.follow(state.clone(), &args);
        let sizes = || (state.limits().body >> 20, state.limits().header >> 10);
        assert_eq!(sizes(), (1, 8));
        let night = ServerKeys { max_header: Some(Bytes(4096)), ..max_body(2) };
        live.switch("night", &night);
        assert_eq!(sizes(), (2, 8), "the flag wins");
        live.switch("plain", &ServerKeys::default());
        assert_eq!(sizes(), (64, 8));
        assert_eq!(live.of_layout(), ServerKeys::default());
        assert_eq!(live.of_start("day"), Some(max_body(1)));
        assert_eq!(live.of_start("night"), None);
    }

    #[test]
    fn contradictory_limits_are_refused() {
        let conditions = Conditions::default();
        let live = RunLimits::new(conditions.clone());
        let args = parse(&["--max-in-flight", "70MiB"]);
        let state = server(live.for_server(&args).unwrap());
        live.follow(state.clone(), &args);
        let before = state.limits();
        live.switch("large", &max_body(71));
        assert_eq!(state.limits(), before);
        let alert = conditions.alerts().remove(0).text;
        assert!(alert.contains("large") && alert.contains("70MiB"), "{alert}");
        live.switch("small", &max_body(1));
        assert_eq!((state.limits().body, conditions.alerts().len()), (1 << 20, 0));
        live.open("large", &max_body(71));
        let error = live.for_server(&args).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("the layout large"), "{error}");
    }
}
