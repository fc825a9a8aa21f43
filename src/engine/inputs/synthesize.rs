//! Synthesizes seeded inputs from a model's signature. The values are valid for the model: indices
//! stay below the lengths of its tables.

use std::collections::BTreeMap;

use fastrand::Rng;
use half::{bf16, f16};

use super::check::check_inputs;
use super::dims::Sizes;
use crate::engine::{
    ElementType, EngineError, NamedTensor, Signature, Tensor, TensorData, TensorSpec, npy,
};
use crate::layout::InputSpec;

/// Texts for string inputs.
const TEXTS: [&str; 4] = ["core", "queue", "a text of some length", "42"];

/// The rules for the synthesized inputs of a model.
#[derive(Clone, Copy, Debug)]
pub struct InputRules<'a> {
    /// The inputs.
    pub signature: &'a Signature,
    /// The lengths of the tables that integer inputs look up
    /// ([`crate::engine::Model::index_bounds`]).
    pub bounds: &'a BTreeMap<String, u64>,
    /// Sizes of open dimensions: the layout's `dims`.
    pub dims: &'a BTreeMap<String, usize>,
    /// Values by input: the layout's `inputs`. Without an entry, floats are within `[0, 1)`, and
    /// integers below their bound, or 0 and 1 if none is known.
    pub inputs: &'a BTreeMap<String, InputSpec>,
}

/// A synthesized request.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthesizedRequest {
    /// The inputs, in the model's order.
    pub tensors: Vec<NamedTensor>,
    /// Open dimensions whose size neither `dims` nor an array sets, each with the guess.
    pub guessed_dims: BTreeMap<String, usize>,
}

/// Makes one request. The same seed makes the same request.
///
/// # Errors
/// [`EngineError::Input`] and [`EngineError::Dimension`] if the rules name inputs or dimensions
/// that the model does not have, or a value does not fit its input; [`EngineError::Data`] if an
/// array cannot be read.
pub fn synthesize(rules: &InputRules<'_>, seed: u64) -> Result<SynthesizedRequest, EngineError> {
    let InputRules { signature, bounds, dims, inputs: specs } = *rules;
    let mut sizes = Sizes::new(signature, dims)?;
    for name in specs.keys() {
        if !signature.inputs.iter().any(|spec| spec.name == *name) {
            let names: Vec<&str> = signature.inputs.iter().map(|spec| spec.name.as_str()).collect();
            return Err(EngineError::Input {
                input: name.clone(),
                reason: format!("the model has no such input, only: {}", names.join(", ")).into(),
            });
        }
    }
    // Arrays come first: their shapes set open dimensions that other inputs share.
    let mut given: BTreeMap<&str, Tensor> = BTreeMap::new();
    for spec in &signature.inputs {
        if let Some(InputSpec::Npy(path)) = specs.get(&spec.name) {
            let tensor = npy::read_npy(path)?;
            sizes.pin(spec, tensor.shape()).map_err(|error| name_file(error, specs))?;
            given.insert(&spec.name, tensor);
        }
    }
    let mut rng = Rng::with_seed(seed);
    let mut inputs = Vec::with_capacity(signature.inputs.len());
    for spec in &signature.inputs {
        let tensor = if let Some(tensor) = given.remove(spec.name.as_str()) {
            tensor
        } else {
            let range = range(spec, specs.get(&spec.name), bounds.get(&spec.name))?;
            let shape = sizes.shape(spec);
            fill(spec, shape, range, &mut rng)?
        };
        inputs.push(NamedTensor { name: spec.name.clone(), tensor });
    }
    check_inputs(signature, &inputs).map_err(|error| name_file(error, specs))?;
    Ok(SynthesizedRequest { tensors: inputs, guessed_dims: sizes.guessed() })
}

/// Adds the file's name to the error of an array that does not fit.
fn name_file(error: EngineError, specs: &BTreeMap<String, InputSpec>) -> EngineError {
    match error {
        EngineError::Input { input, reason } => {
            let reason = match specs.get(&input) {
                Some(InputSpec::Npy(path)) => format!("{}: {reason}", path.display()).into(),
                _ => reason,
            };
            EngineError::Input { input, reason }
        }
        other => other,
    }
}

/// The range of synthesized values.
#[derive(Clone, Copy)]
enum Range {
    Zeros,
    Floats(f64, f64),
    /// Both ends are within.
    Whole(i128, i128),
}

fn limits(element: ElementType) -> Option<(i128, i128)> {
    Some(match element {
        ElementType::I8 => (i8::MIN.into(), i8::MAX.into()),
        ElementType::I16 => (i16::MIN.into(), i16::MAX.into()),
        ElementType::I32 => (i32::MIN.into(), i32::MAX.into()),
        ElementType::I64 => (i64::MIN.into(), i64::MAX.into()),
        ElementType::U8 => (0, u8::MAX.into()),
        ElementType::U16 => (0, u16::MAX.into()),
        ElementType::U32 => (0, u32::MAX.into()),
        ElementType::U64 => (0, u64::MAX.into()),
        ElementType::Bool => (0, 1),
        _ => return None,
    })
}

fn range(
    spec: &TensorSpec,
    wanted: Option<&InputSpec>,
    bound: Option<&u64>,
) -> Result<Range, EngineError> {
    let fault =
        |reason: String| EngineError::Input { input: spec.name.clone(), reason: reason.into() };
    let limits = limits(spec.element);
    match wanted {
        Some(InputSpec::Zeros) => Ok(Range::Zeros),
        Some(InputSpec::Range(low, high)) => {
            if spec.element == ElementType::String {
                return Err(fault("it takes texts, so it cannot have a range".to_owned()));
            }
            if !(low.is_finite() && high.is_finite() && low < high) {
                return Err(fault(format!("the range [{low}, {high}) is empty")));
            }
            let Some((least, most)) = limits else { return Ok(Range::Floats(*low, *high)) };
            let (first, last) = (low.ceil() as i128, high.ceil() as i128 - 1);
            if first > last {
                return Err(fault(format!("no whole number is in the range [{low}, {high})")));
            }
            if first < least || last > most {
                return Err(fault(format!(
                    "the range [{low}, {high}) leaves that of {}, {least} to {most}",
                    spec.element
                )));
            }
            Ok(Range::Whole(first, last))
        }
        Some(InputSpec::Npy(_)) | None => Ok(match (limits, bound) {
            (None, _) => Range::Floats(0.0, 1.0),
            (Some((_, most)), Some(bound)) if *bound > 0 => {
                Range::Whole(0, i128::from(bound - 1).min(most))
            }
            (Some(_), _) => Range::Whole(0, 1),
        }),
    }
}

fn fill(
    spec: &TensorSpec,
    shape: Vec<usize>,
    range: Range,
    rng: &mut Rng,
) -> Result<Tensor, EngineError> {
    let fault =
        |reason: String| EngineError::Input { input: spec.name.clone(), reason: reason.into() };
    let count = shape
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size))
        .filter(|count| *count <= 1 << 32)
        .ok_or_else(|| fault(format!("the shape {shape:?} has too many elements")))?;
    let mut float = || match range {
        Range::Floats(low, high) => low + rng.f64() * (high - low),
        Range::Whole(low, high) => rng.i128(low..=high) as f64,
        Range::Zeros => 0.0,
    };
    macro_rules! floats {
        ($variant:ident, $convert:expr) => {
            TensorData::$variant((0..count).map(|_| $convert(float())).collect())
        };
    }
    macro_rules! whole {
        ($variant:ident, $type:ty) => {
            TensorData::$variant(
                (0..count)
                    .map(|_| match range {
                        // limits were checked, so the conversion cannot fail
                        Range::Whole(low, high) => {
                            <$type>::try_from(rng.i128(low..=high)).unwrap_or_default()
                        }
                        _ => <$type>::default(),
                    })
                    .collect(),
            )
        };
    }
    let data = match spec.element {
        ElementType::F16 => floats!(F16, f16::from_f64),
        ElementType::BF16 => floats!(BF16, bf16::from_f64),
        ElementType::F32 => floats!(F32, |value: f64| value as f32),
        ElementType::F64 => floats!(F64, |value: f64| value),
        ElementType::I8 => whole!(I8, i8),
        ElementType::I16 => whole!(I16, i16),
        ElementType::I32 => whole!(I32, i32),
        ElementType::I64 => whole!(I64, i64),
        ElementType::U8 => whole!(U8, u8),
        ElementType::U16 => whole!(U16, u16),
        ElementType::U32 => whole!(U32, u32),
        ElementType::U64 => whole!(U64, u64),
        ElementType::Bool => TensorData::Bool(
            (0..count)
                .map(|_| match range {
                    Range::Whole(low, high) => rng.i128(low..=high) != 0,
                    _ => false,
                })
                .collect(),
        ),
        ElementType::String => TensorData::String(
            (0..count)
                .map(|_| match range {
                    Range::Zeros => String::new(),
                    _ => TEXTS.get(rng.usize(..TEXTS.len())).copied().unwrap_or("").to_owned(),
                })
                .collect(),
        ),
    };
    Tensor::new(shape, data).ok_or_else(|| fault("it does not fill its shape".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Dim;

    fn signature(element: ElementType) -> Signature {
        let spec = |name: &str, dims| TensorSpec { name: name.to_owned(), element, dims };
        Signature {
            inputs: vec![
                spec("ids", Some(vec![Dim::Named("batch".into()), Dim::Named("seq".into())])),
                spec("mask", Some(vec![Dim::Named("batch".into()), Dim::Named("seq".into())])),
            ],
            outputs: vec![],
        }
    }

    fn make(
        element: ElementType,
        bounds: &[(&str, u64)],
        specs: &[(&str, InputSpec)],
        seed: u64,
    ) -> Result<Vec<NamedTensor>, EngineError> {
        let bounds = bounds.iter().map(|(name, bound)| ((*name).to_owned(), *bound)).collect();
        let specs = specs.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())).collect();
        let rules = InputRules {
            signature: &signature(element),
            bounds: &bounds,
            dims: &BTreeMap::new(),
            inputs: &specs,
        };
        synthesize(&rules, seed).map(|request| request.tensors)
    }

    #[test]
    fn guessed_dims_leave_out_given_sizes() {
        let rules = InputRules {
            signature: &signature(ElementType::I64),
            bounds: &BTreeMap::new(),
            dims: &BTreeMap::from([("batch".to_owned(), 3)]),
            inputs: &BTreeMap::new(),
        };
        let request = synthesize(&rules, 1).unwrap();
        assert_eq!(request.tensors[0].tensor.shape(), [3, 128]);
        assert_eq!(request.guessed_dims, BTreeMap::from([("seq".to_owned(), 128)]));
    }

    #[test]
    fn empty_tensors_are_synthesized_for_every_type() {
        for element in ElementType::ALL {
            let dims = Some(vec![Dim::Fixed(0), Dim::Named("n".to_owned())]);
            let spec = TensorSpec { name: "x".to_owned(), element, dims };
            let rules = InputRules {
                signature: &Signature { inputs: vec![spec], outputs: Vec::new() },
                bounds: &BTreeMap::new(),
                dims: &BTreeMap::new(),
                inputs: &BTreeMap::new(),
            };
            let request = synthesize(&rules, 1).unwrap();
            assert_eq!(request.tensors[0].tensor.shape(), [0, 128]);
        }
    }

    fn longs(tensor: &NamedTensor) -> Vec<i64> {
        let TensorData::I64(values) = tensor.tensor.data() else { panic!() };
        values.clone()
    }

    #[test]
    fn indices_stay_below_their_table() {
        let inputs = make(ElementType::I64, &[("ids", 50)], &[], 3).unwrap();
        let ids = longs(&inputs[0]);
        assert_eq!(inputs[0].tensor.shape(), [1, 128]);
        assert!(ids.iter().all(|id| (0..50).contains(id)) && ids.iter().any(|id| *id > 1));
        assert!(longs(&inputs[1]).iter().all(|value| (0..=1).contains(value)));
    }

    #[test]
    fn same_seed_gives_same_values() {
        let with = |seed| make(ElementType::F32, &[], &[], seed).unwrap();
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn input_specs_apply_to_every_element_type() {
        for element in ElementType::ALL {
            let zeros = make(element, &[], &[("ids", InputSpec::Zeros)], 1).unwrap();
            assert_eq!(zeros[0].tensor.element(), element);
            if element == ElementType::I64 {
                assert!(longs(&zeros[0]).iter().all(|value| *value == 0));
            }
        }
        let five = InputSpec::Range(5.0, 7.0);
        let inputs = make(ElementType::I64, &[("ids", 3)], &[("ids", five)], 1).unwrap();
        assert!(longs(&inputs[0]).iter().all(|value| (5..7).contains(value)));
    }

    #[test]
    fn impossible_specs_are_refused() {
        let range = InputSpec::Range;
        for (element, name, spec, words) in [
            (ElementType::U8, "ids", range(-1.0, 5.0), "leaves that of uint8"),
            (ElementType::I64, "ids", range(0.2, 0.8), "no whole number"),
            (ElementType::F32, "ids", range(2.0, 2.0), "empty"),
            (ElementType::F32, "ids", range(f64::NAN, 2.0), "empty"),
            (ElementType::String, "ids", range(0.0, 2.0), "texts"),
            (ElementType::F32, "idz", InputSpec::Zeros, "only: ids, mask"),
        ] {
            let error = make(element, &[], &[(name, spec)], 1).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
