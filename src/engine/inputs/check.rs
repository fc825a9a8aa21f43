//! Checks tensors against a signature.

use std::collections::BTreeMap;

use crate::engine::{Dim, EngineError, InputFault, NamedTensor, Signature, Tensor, TensorSpec};

/// Checks that each input is given exactly once, with the right type and a shape that fits. Does not
/// allocate if they do.
///
/// # Errors
/// [`EngineError::Input`] with the input's name, its actual and its expected type or shape.
pub fn check_inputs(signature: &Signature, inputs: &[NamedTensor]) -> Result<(), EngineError> {
    if !is_in_order(signature, inputs) {
        check_names(signature, inputs)?;
    }
    for (index, spec) in signature.inputs.iter().enumerate() {
        let tensor = find(spec, index, inputs).ok_or_else(|| EngineError::Input {
            input: spec.name.clone(),
            reason: InputFault::Missing(spec.clone()),
        })?;
        fits(spec, tensor)?;
    }
    Ok(())
}

/// As [`check_inputs`]. Returns the tensors with their specifications, in the signature's order.
///
/// # Errors
/// As [`check_inputs`].
pub fn arrange<'a>(
    signature: &'a Signature,
    inputs: &'a [NamedTensor],
) -> Result<impl Iterator<Item = (&'a TensorSpec, &'a Tensor)>, EngineError> {
    check_inputs(signature, inputs)?;
    let specs = signature.inputs.iter().enumerate();
    Ok(specs.filter_map(move |(index, spec)| Some((spec, find(spec, index, inputs)?))))
}

/// Returns true if the inputs have the names of the signature's, in its order.
fn is_in_order(signature: &Signature, inputs: &[NamedTensor]) -> bool {
    let specs = &signature.inputs;
    specs.len() == inputs.len()
        && specs.iter().zip(inputs).all(|(spec, given)| spec.name == given.name)
}

/// Checks that the model has an input of each name, and that no name is given twice.
fn check_names(signature: &Signature, inputs: &[NamedTensor]) -> Result<(), EngineError> {
    for (index, given) in inputs.iter().enumerate() {
        let fault = |reason: String| EngineError::Input {
            input: given.name.clone(),
            reason: reason.into(),
        };
        if !signature.inputs.iter().any(|spec| spec.name == given.name) {
            return Err(fault(format!("the model has no such input, only {}", names(signature))));
        }
        if inputs.iter().skip(index + 1).any(|other| other.name == given.name) {
            return Err(fault("it is given twice".to_owned()));
        }
    }
    Ok(())
}

/// Returns the tensor of one input. Looks first where it is if the inputs are in the signature's order.
fn find<'a>(spec: &TensorSpec, index: usize, inputs: &'a [NamedTensor]) -> Option<&'a Tensor> {
    let is_it = |given: &&NamedTensor| given.name == spec.name;
    let found = inputs.get(index).filter(is_it).or_else(|| inputs.iter().find(is_it));
    found.map(|given| &given.tensor)
}

/// Returns the error of a run that failed: [`EngineError::Input`] if two dimensions of one name differ
/// in the request, otherwise `error`.
///
/// Only a failure makes such a difference a fault. Many models declare one name for dimensions that
/// may well differ, and run such requests.
pub(crate) fn explain_failure(
    signature: &Signature,
    inputs: &[NamedTensor],
    error: EngineError,
) -> EngineError {
    find_unequal_dims(signature, inputs).unwrap_or(error)
}

/// Returns the error of the first named dimension that has two sizes.
fn find_unequal_dims(signature: &Signature, inputs: &[NamedTensor]) -> Option<EngineError> {
    let mut sizes: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for spec in &signature.inputs {
        let given = inputs.iter().find(|given| given.name == spec.name)?;
        for (dim, size) in spec.dims.iter().flatten().zip(given.tensor.shape()) {
            let Dim::Named(name) = dim else { continue };
            let (first, input) = *sizes.entry(name).or_insert((*size, &spec.name));
            if first != *size {
                return Some(EngineError::Input {
                    input: spec.name.clone(),
                    reason: format!(
                        "its dimension `{name}` is {size}, where that of `{input}` is {first}"
                    )
                    .into(),
                });
            }
        }
    }
    None
}

fn fits(spec: &TensorSpec, tensor: &Tensor) -> Result<(), EngineError> {
    let fault = |reason| EngineError::Input { input: spec.name.clone(), reason };
    if tensor.element() != spec.element {
        return Err(fault(InputFault::Element(tensor.element(), spec.clone())));
    }
    let Some(dims) = &spec.dims else { return Ok(()) };
    let shape = tensor.shape();
    let fit = dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(dim, size)| match dim {
            Dim::Fixed(want) => want == size,
            Dim::Named(_) | Dim::Unknown => true,
        });
    if fit {
        return Ok(());
    }
    Err(fault(InputFault::Shape(shape.to_vec(), spec.clone())))
}

fn names(signature: &Signature) -> String {
    let names: Vec<String> =
        signature.inputs.iter().map(|spec| format!("`{}`", spec.name)).collect();
    if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ElementType, TensorData};

    fn signature() -> Signature {
        let spec = |name: &str, element, dims| TensorSpec { name: name.to_owned(), element, dims };
        Signature {
            inputs: vec![
                spec("x", ElementType::F32, Some(vec![Dim::Named("n".into()), Dim::Fixed(2)])),
                spec("rate", ElementType::I64, Some(vec![])),
            ],
            outputs: vec![],
        }
    }

    fn x(shape: &[usize]) -> NamedTensor {
        let data = TensorData::F32(vec![0.0; shape.iter().product()]);
        NamedTensor { name: "x".into(), tensor: Tensor::new(shape.to_vec(), data).unwrap() }
    }

    fn rate() -> NamedTensor {
        let tensor = Tensor::new(vec![], TensorData::I64(vec![16_000])).unwrap();
        NamedTensor { name: "rate".into(), tensor }
    }

    #[test]
    fn unequal_named_dims_explain_a_failure() {
        let mut signature = signature();
        let dims = Some(vec![Dim::Named("n".into())]);
        signature.inputs[1] = TensorSpec { name: "y".into(), element: ElementType::F32, dims };
        let y = |size: usize| {
            let tensor = Tensor::new(vec![size], TensorData::F32(vec![0.0; size])).unwrap();
            NamedTensor { name: "y".into(), tensor }
        };
        let reason = || "no".to_owned().into();
        let explain = |size| {
            let error = EngineError::Run { engine: "engine", reason: reason() };
            explain_failure(&signature, &[y(size), x(&[5, 2])], error).to_string()
        };
        assert_eq!(explain(3), "input `y`: its dimension `n` is 3, where that of `x` is 5");
        assert!(explain(5).contains("failed in engine"));
    }

    #[test]
    fn inputs_are_arranged_in_the_models_order() {
        let given = [rate(), x(&[5, 2])];
        let signature = signature();
        let arranged: Vec<&Tensor> =
            arrange(&signature, &given).unwrap().map(|(_, tensor)| tensor).collect();
        assert_eq!(arranged, [&given[1].tensor, &given[0].tensor]);
    }

    #[test]
    fn mismatch_names_input_with_expected_type() {
        let wrong_type = NamedTensor { name: "x".into(), tensor: rate().tensor };
        let mut stranger = rate();
        stranger.name = "speed".into();
        for (given, name, words) in [
            (vec![x(&[5, 3]), rate()], "x", "[5, 3], where the model wants float32 [n, 2]"),
            (vec![x(&[2]), rate()], "x", "[2], where"),
            (vec![wrong_type, rate()], "x", "its elements are int64"),
            (vec![x(&[1, 2])], "rate", "missing; give int64 scalar"),
            (vec![x(&[1, 2]), rate(), rate()], "rate", "twice"),
            (vec![x(&[1, 2]), stranger], "speed", "only `x`, `rate`"),
        ] {
            match check_inputs(&signature(), &given) {
                Err(EngineError::Input { input, reason }) => {
                    assert_eq!(input, name);
                    assert!(reason.to_string().contains(words), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
