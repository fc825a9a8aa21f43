//! An instance: a handle on a session.

use std::sync::Arc;

use super::run;
use super::session::OrtSession;
use super::sessions::NarrowUse;
use crate::engine::{EngineError, Instance, NamedTensor};
use crate::machine::ThreadId;
use crate::machine::allocation::Account;

/// A handle on a session.
pub(super) struct OrtInstance {
    pub(super) session: Arc<OrtSession>,
    /// Counts this model among the users of a shared session.
    pub(super) narrow: Option<NarrowUse>,
    pub(super) account: Arc<Account>,
}

impl Instance for OrtInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.session.helpers()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        run::run(&self.session, inputs)
    }

    fn another(&self) -> Option<Box<dyn Instance>> {
        let (session, account) = (Arc::clone(&self.session), Arc::clone(&self.account));
        Some(Box::new(Self { session, narrow: self.narrow.clone(), account }))
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        let account = Arc::clone(&self.account);
        let _entered = account.enter();
        body(self);
    }
}
