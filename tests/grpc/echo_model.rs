//! A model that answers its input, and waits or fails as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use divvy::engine::{
    Dim, ElementType, EngineError, EngineKind, EngineMemory, Instance, InstanceSetup, Model,
    NamedTensor, Signature, TensorSpec,
};
use divvy::machine::ThreadId;
use divvy::scheduler::{LoadRequest, LoadedModel, Loader, PreparedRequests};

/// The behaviour of all models of a test.
#[derive(Default)]
pub(crate) struct EchoControl {
    /// True while running requests must wait.
    pub blocked: AtomicBool,
    /// True if requests fail.
    pub fails: AtomicBool,
    /// Instances built so far.
    pub built: AtomicUsize,
    /// Requests that have started.
    pub started: AtomicUsize,
}

/// Loads echo models: `texts` takes strings, other rows take 32-bit floats.
pub(crate) struct EchoLoader(pub Arc<EchoControl>);

struct EchoModel {
    control: Arc<EchoControl>,
    signature: Signature,
}

struct EchoInstance(Arc<EchoControl>);

impl Loader for EchoLoader {
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let is_text = request.budget.name == "texts";
        let element = if is_text { ElementType::String } else { ElementType::F32 };
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            element,
            dims: Some(vec![Dim::Named("n".to_owned())]),
        };
        let signature = Signature { inputs: vec![spec("x")], outputs: vec![spec("y")] };
        Ok(LoadedModel {
            model: Arc::new(EchoModel { control: self.0.clone(), signature }),
            engine: EngineKind::Synthetic,
            title: "echo".to_owned(),
            requests: PreparedRequests {
                untried: Some("clients know its inputs".to_owned()),
                ..PreparedRequests::default()
            },
        })
    }
}

impl Model for EchoModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn instance(&self, _: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        self.control.built.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(EchoInstance(self.control.clone())))
    }

    fn memory(&self) -> EngineMemory {
        EngineMemory::default()
    }
}

impl Instance for EchoInstance {
    fn threads(&self) -> Vec<ThreadId> {
        Vec::new()
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        while self.0.blocked.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.0.fails.load(Ordering::SeqCst) {
            let reason = "the test says so".to_owned().into();
            return Err(EngineError::Run { engine: "echo", reason });
        }
        let answer = |input: &NamedTensor| NamedTensor {
            name: "y".to_owned(),
            tensor: input.tensor.clone(),
        };
        Ok(inputs.iter().map(answer).collect())
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}
