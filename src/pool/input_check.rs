//! The check of a request's inputs when it is submitted: on the caller's thread, without a lock and
//! without an instance.

use std::sync::{Arc, OnceLock};

use crate::engine::{EngineError, Model, NamedTensor, Signature, inputs};

/// The signature of a pool's model, and the check against it.
///
/// Signatures form a list of which the newest counts, so that readers need no lock. A pool gets one
/// signature; it gets another if its model could not be loaded and the file has changed since.
#[derive(Default)]
pub(super) struct InputCheck {
    first: OnceLock<Box<Accepted>>,
}

/// The inputs that a model accepts.
struct Accepted {
    signature: Arc<Signature>,
    /// True if the signature does not limit the inputs.
    any: bool,
    next: OnceLock<Box<Accepted>>,
}

impl InputCheck {
    /// Makes a model's signature the one that counts. It stays after the model is removed.
    pub(super) fn publish(&self, model: &dyn Model) {
        let any = model.accepts_any_inputs();
        if self.newest().is_some_and(|it| it.any == any && *it.signature == *model.signature()) {
            return;
        }
        let signature = Arc::new(model.signature().clone());
        let mut added = Box::new(Accepted { signature, any, next: OnceLock::new() });
        loop {
            let end = self.newest().map_or(&self.first, |newest| &newest.next);
            match end.set(added) {
                Ok(()) => return,
                // Another thread has published one meanwhile.
                Err(returned) => added = returned,
            }
        }
    }

    fn newest(&self) -> Option<&Accepted> {
        let mut newest = self.first.get()?;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        Some(newest)
    }

    /// Returns true once a model has been loaded, whose inputs are checked.
    pub(super) fn is_known(&self) -> bool {
        self.first.get().is_some()
    }

    /// Returns the model's inputs and outputs; none before a model is loaded.
    pub(super) fn signature(&self) -> Arc<Signature> {
        self.newest().map_or_else(Arc::default, |newest| newest.signature.clone())
    }

    /// Checks a request's inputs. Allocates only for an error. Before a model is loaded, all inputs
    /// pass: the instance checks them again.
    ///
    /// # Errors
    /// [`EngineError::Input`] if they do not fit the signature.
    pub(super) fn check(&self, inputs: &[NamedTensor]) -> Result<(), EngineError> {
        match self.newest() {
            Some(newest) if !newest.any => inputs::check_inputs(&newest.signature, inputs),
            _ => Ok(()),
        }
    }
}
