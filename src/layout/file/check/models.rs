//! Checks of the names in a layout that refer to the inside of a model or of a recording.

use super::CheckedRow;
use crate::layout::budget::LoadSpec;
use crate::layout::file::faults::Fault;
use crate::layout::file::keys;

/// The names in a model's files that its row can refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelNames {
    /// The model's inputs and outputs, or the reason why the model cannot be read.
    pub signature: Result<ModelSignature, String>,
    /// The arrays of the recording that the load replays, or the reason why it cannot be read;
    /// `None` if the load replays no recording.
    pub recording: Option<Result<RecordedArrays, String>>,
}

/// The inputs and outputs of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSignature {
    /// The inputs, in the model's order.
    pub inputs: Vec<ModelInput>,
    /// The names of the outputs, in the model's order.
    pub outputs: Vec<String>,
}

/// An input of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInput {
    /// The name.
    pub name: String,
    /// The names of its open dimensions, as `dims` refers to them.
    pub open_dims: Vec<String>,
}

/// The arrays of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedArrays {
    /// The one array of an `.npy` file, which has no name.
    Single,
    /// The names of the arrays of an `.npz` file.
    Named(Vec<String>),
}

/// Checks the names in the rows of a text; `models` has one entry per row, `None` skips the row.
///
/// # Errors
/// All faults: names that the model or the recording does not have.
pub(in super::super) fn check(
    text: &str,
    rows: &[CheckedRow<'_>],
    models: &[Option<ModelNames>],
) -> Result<(), Vec<Fault>> {
    let mut checker = NameChecker { text, faults: Vec::new() };
    for (row, model) in rows.iter().zip(models) {
        if let Some(model) = model {
            checker.row(*row, model);
        }
    }
    if checker.faults.is_empty() { Ok(()) } else { Err(checker.faults) }
}

struct NameChecker<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl NameChecker<'_> {
    fn row(&mut self, row: CheckedRow<'_>, model: &ModelNames) {
        match &model.signature {
            Ok(signature) => {
                self.dims(row, signature);
                self.inputs(row, signature);
                self.carry(row, signature);
                self.recording(row, signature, model.recording.as_ref());
            }
            Err(reason) => {
                let message = format!("this model cannot be read: {reason}");
                let help = "divvy cannot load it; its `dims`, `inputs` and `load` were not checked";
                self.fault(row, "path", message, help.to_owned());
            }
        }
    }

    fn dims(&mut self, row: CheckedRow<'_>, signature: &ModelSignature) {
        let mut known: Vec<&str> = Vec::new();
        for name in signature.inputs.iter().flat_map(|input| &input.open_dims) {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
        for name in row.budget.dims.keys() {
            if !known.contains(&name.as_str()) {
                let message = format!("the model has no open dimension `{name}`");
                let help = choices(name, "open dimensions", &known);
                self.fault(row, &format!("dims.{name}"), message, help);
            }
        }
    }

    fn inputs(&mut self, row: CheckedRow<'_>, signature: &ModelSignature) {
        let known = signature.input_names();
        for name in row.budget.inputs.keys() {
            if !known.contains(&name.as_str()) {
                let message = format!("the model has no input `{name}`");
                let help = choices(name, "inputs", &known);
                self.fault(row, &format!("inputs.{name}"), message, help);
            }
        }
    }

    fn carry(&mut self, row: CheckedRow<'_>, signature: &ModelSignature) {
        let Some(LoadSpec::Replay { carry, .. }) = &row.budget.load else { return };
        let inputs = signature.input_names();
        let outputs: Vec<&str> = signature.outputs.iter().map(String::as_str).collect();
        for (output, input) in carry {
            let key = format!("carry.{output}");
            if !outputs.contains(&output.as_str()) {
                let message = format!("the model has no output `{output}`");
                self.fault(row, &key, message, choices(output, "outputs", &outputs));
            }
            if !inputs.contains(&input.as_str()) {
                let message = format!("the model has no input `{input}`");
                self.fault(row, &format!("{key}="), message, choices(input, "inputs", &inputs));
            }
        }
    }

    fn recording(
        &mut self,
        row: CheckedRow<'_>,
        signature: &ModelSignature,
        recording: Option<&Result<RecordedArrays, String>>,
    ) {
        match recording {
            Some(Err(reason)) => {
                let message = format!("this recording cannot be read: {reason}");
                let help =
                    "record an .npz with one array per input, one row per request".to_owned();
                self.fault(row, "load.file", message, help);
            }
            Some(Ok(RecordedArrays::Single)) if signature.inputs.len() != 1 => {
                let inputs = signature.input_names();
                let message = format!(
                    "this recording is a single array, but the model has {} inputs",
                    inputs.len()
                );
                let help = format!("record an .npz with the arrays {}", keys::all_of(&inputs));
                self.fault(row, "load.file", message, help);
            }
            Some(Ok(RecordedArrays::Named(arrays))) => {
                let has = |input: &&ModelInput| arrays.contains(&input.name);
                for input in signature.inputs.iter().filter(|input| !has(input)) {
                    let name = &input.name;
                    let message = format!("this recording has no array for the input `{name}`");
                    let arrays: Vec<&str> = arrays.iter().map(String::as_str).collect();
                    let help = if arrays.is_empty() {
                        "it has no array; record one per input".to_owned()
                    } else {
                        format!("name the array `{name}`; it has {}", keys::all_of(&arrays))
                    };
                    self.fault(row, "load.file", message, help);
                }
            }
            None | Some(Ok(RecordedArrays::Single)) => {}
        }
    }

    fn fault(&mut self, row: CheckedRow<'_>, key: &str, message: String, help: String) {
        self.faults.push(Fault::at(self.text, row.spans.value(key), message).help(help));
    }
}

impl ModelSignature {
    fn input_names(&self) -> Vec<&str> {
        self.inputs.iter().map(|input| input.name.as_str()).collect()
    }
}

/// The advice for a wrong name: the nearest right one if there is one, and all right ones.
fn choices(written: &str, what: &str, known: &[&str]) -> String {
    match (keys::nearest(written, known), known) {
        (_, []) => format!("the model has no {what}: remove this name"),
        (Some(near), [_, _, ..]) => {
            format!("did you mean `{near}`? Its {what} are {}", keys::all_of(known))
        }
        (_, [only]) => format!("write `{only}`, the only one of its {what}"),
        (None, _) => format!("its {what} are {}", keys::all_of(known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::file::{Document, FileCheck, Origin};

    fn document(keys: &str) -> Document {
        let head = "version = 1\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\n";
        Document::parse(
            &format!("{head}{keys}\n"),
            &Origin::Embedded("test".into()),
            FileCheck::Required,
        )
        .unwrap()
    }

    fn signature() -> ModelSignature {
        let input = |name: &str, open_dims: &[&str]| ModelInput {
            name: name.into(),
            open_dims: open_dims.iter().map(|dim| (*dim).to_owned()).collect(),
        };
        ModelSignature {
            inputs: vec![input("x", &["x.0", "x.2"]), input("mask", &["batch"])],
            outputs: vec!["y".into()],
        }
    }

    fn names() -> ModelNames {
        ModelNames { signature: Ok(signature()), recording: None }
    }

    fn faults(keys: &str) -> Vec<String> {
        let faults = document(keys).check_models(&[Some(names())]).unwrap_err();
        faults.faults().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_dims_are_faults_at_their_key() {
        assert_eq!(
            faults("dims = { \"x:0\" = 1, batch = 2 }"),
            [
                "5:10: the model has no open dimension `x:0`; did you mean `x.0`? Its open dimensions \
              are `x.0`, `x.2` and `batch`"
            ]
        );
        assert_eq!(document("dims = { \"x.2\" = 1 }").check_models(&[Some(names())]), Ok(()));
    }

    #[test]
    fn unknown_inputs_are_faults() {
        assert_eq!(
            faults("inputs.ids = { zeros = true }"),
            ["5:8: the model has no input `ids`; its inputs are `x` and `mask`"]
        );
    }

    #[test]
    fn carry_names_an_output_then_an_input() {
        let replay = |carry: &str| {
            let mut document = document("");
            let file = "/r.npz".into();
            let order = crate::layout::ReplayOrder::Recorded;
            let carry = std::collections::BTreeMap::from([carry.split_once('>').unwrap()])
                .into_iter()
                .map(|(output, input)| (output.to_owned(), input.to_owned()))
                .collect();
            document.layout.models[0].load =
                Some(LoadSpec::Replay { file, order, rate: None, carry });
            let faults = document.check_models(&[Some(names())]);
            faults.err().map(|faults| faults.faults()[0].message.clone())
        };
        assert_eq!(replay("y>x"), None);
        assert_eq!(replay("z>x").as_deref(), Some("the model has no output `z`"));
        assert_eq!(replay("y>y").as_deref(), Some("the model has no input `y`"));
    }

    #[test]
    fn recording_needs_an_array_per_input() {
        let check = |recording| {
            let names = ModelNames { recording: Some(recording), ..names() };
            let faults = document("").check_models(&[Some(names)]).unwrap_err();
            faults.faults()[0].message.clone()
        };
        assert_eq!(
            check(Ok(RecordedArrays::Named(vec!["x".into(), "Mask".into()]))),
            "this recording has no array for the input `mask`"
        );
        assert_eq!(
            check(Ok(RecordedArrays::Single)),
            "this recording is a single array, but the model has 2 inputs"
        );
        assert!(check(Err("not a zip".into())).ends_with("cannot be read: not a zip"));
    }

    #[test]
    fn unreadable_model_is_a_fault() {
        let names = ModelNames { signature: Err("no ONNX file".into()), recording: None };
        let faults = document("dims = { a = 1 }").check_models(&[Some(names)]).unwrap_err();
        assert_eq!(faults.faults()[0].line, Some(4));
        assert_eq!(faults.faults()[0].message, "this model cannot be read: no ONNX file");
    }
}
