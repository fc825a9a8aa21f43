//! The state that all connections of a server share.

use std::sync::Arc;

use super::access::Access;
use super::activity::Activity;
use super::awake_wait::AwakeWait;
use super::drain::Drain;
use super::in_flight::InFlight;
use super::limits::LiveLimits;
use super::monitor::ServerMonitor;
use super::serve_error::{ErrorKind, ServeError};
use crate::layout::{Budget, ServerLimits};
use crate::pool::Client;
use crate::scheduler::{ModelDirectory, Scheduler};
use crate::telemetry::ModelState;

/// The options of a server.
#[derive(Clone, Default)]
pub struct ServerOptions {
    /// The limits on what it accepts from clients.
    pub limits: ServerLimits,
    /// The clients that may use it.
    pub access: Access,
    /// Shows the server to the scheduler's observer. Pass a clone to
    /// [`crate::scheduler::Options::server`], and one monitor to one server.
    pub monitor: Arc<ServerMonitor>,
}

/// The state that all connections of a server share.
pub struct ServerState {
    /// The models by name.
    pub models: ModelDirectory,
    limits: LiveLimits,
    pub(super) awake_wait: AwakeWait,
    /// The clients that may use it.
    pub access: Access,
    /// Bytes of requests and answers.
    pub in_flight: Arc<InFlight>,
    /// Connections and counters.
    pub activity: Arc<Activity>,
    /// The drain at the end.
    pub drain: Drain,
    /// Shows the server to the scheduler's observer.
    pub monitor: Arc<ServerMonitor>,
}

impl ServerState {
    /// Returns the state of a new server for the models of a scheduler.
    pub fn new(scheduler: &Scheduler, options: ServerOptions) -> Arc<Self> {
        let monitor = options.monitor;
        monitor.set_limits(&options.limits);
        Arc::new(Self {
            models: scheduler.models(),
            limits: LiveLimits::new(options.limits),
            awake_wait: AwakeWait::default(),
            access: options.access,
            in_flight: monitor.in_flight.clone(),
            activity: monitor.activity.clone(),
            drain: monitor.drain.clone(),
            monitor,
        })
    }

    /// Returns the limits in force.
    pub fn limits(&self) -> ServerLimits {
        self.limits.get()
    }

    /// Changes the limits; they apply to requests and connections from now on.
    pub fn set_limits(&self, limits: ServerLimits) {
        self.limits.set(limits);
        self.monitor.set_limits(&limits);
    }

    /// Returns the client of the model of a name and version; without a version, the one that is served.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchModel`] if there is none.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Client, ServeError> {
        let client = self.models.get(name).ok_or_else(|| ServeError::no_such_model(name))?;
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            let served = self.version(name);
            if version != served {
                return Err(ServeError::new(
                    ErrorKind::NoSuchModel,
                    format!("model `{name}` has no version `{version}`; its version is `{served}`"),
                ));
            }
        }
        Ok(client)
    }

    /// Returns the error for bytes that do not fit beside those in flight.
    pub(super) fn server_full(&self, bytes: u64) -> ServeError {
        ServeError::server_full(bytes, self.in_flight.limit())
    }

    /// Returns the version that a model is served under.
    pub fn version(&self, name: &str) -> String {
        self.models.version(name).unwrap_or_else(|| Budget::DEFAULT_VERSION.to_owned())
    }

    /// Returns true if a model accepts requests now and runs them.
    pub fn is_model_ready(&self, name: &str) -> bool {
        if self.drain.has_started() {
            return false;
        }
        let snapshot = self.models.snapshot();
        let mut models = snapshot.served_models();
        let model = models.find(|model| model.row.budget.name == name);
        let state = model.map(|model| &model.state);
        matches!(state, Some(ModelState::Running | ModelState::Warming { .. }))
    }

    /// Returns true if the server accepts requests and all models of the layout are ready, apart from
    /// paused ones.
    pub fn is_ready(&self) -> bool {
        let snapshot = self.models.snapshot();
        let is_ready =
            |state: &ModelState| !matches!(state, ModelState::Loading | ModelState::Failed { .. });
        !self.drain.has_started()
            && snapshot.version != 0
            && snapshot.served_models().all(|model| is_ready(&model.state))
    }
}
