//! An instance: a handle on a session.

use std::sync::Arc;

use super::run::Runner;
use super::session::OrtSession;
use super::sessions::NarrowUse;
use crate::engine::{EngineError, Instance, NamedTensor};
use crate::machine::ThreadId;

/// A handle on a session.
pub(super) struct OrtInstance {
    pub(super) session: Arc<OrtSession>,
    /// Counts this model among the users of a shared session.
    pub(super) narrow: Option<NarrowUse>,
    pub(super) runner: Runner,
}

impl Instance for OrtInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.session.helpers()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        self.runner.run(&self.session, inputs)
    }

    fn another(&self) -> Option<Box<dyn Instance>> {
        let runner = Runner::new(self.runner.accounts.clone());
        Some(Box::new(Self {
            session: Arc::clone(&self.session),
            narrow: self.narrow.clone(),
            runner,
        }))
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}
