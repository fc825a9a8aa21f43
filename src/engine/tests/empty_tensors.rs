//! Dimensions of size 0, and those that are absent, negative or symbolic, on both engines.

use std::collections::BTreeMap;

use super::*;
use crate::engine::inputs::{InputRules, synthesize};
use crate::engine::{Dim, InstanceSetup, NamedTensor};

/// Loads the model on each engine and runs one request with the sizes of `dims`. Returns the
/// signature's input dimensions and the shape of each result.
fn run(made: &HandMadeModel, dims: &[(&str, usize)]) -> (Vec<Dim>, Vec<Vec<usize>>) {
    let folder = tempfile::tempdir().unwrap();
    let source = made.write(folder.path());
    let dims: BTreeMap<String, usize> =
        dims.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    let mut input = Vec::new();
    let mut shapes = Vec::new();
    for engine in engines() {
        let model = load(&*engine, &source);
        let signature = model.signature();
        input = signature.inputs[0].dims.clone().unwrap();
        let rules = InputRules {
            signature,
            bounds: &BTreeMap::new(),
            dims: &dims,
            inputs: &BTreeMap::new(),
        };
        let request = synthesize(&rules, 1).unwrap().tensors;
        let mut instance = model.instance(InstanceSetup::cpu(1)).unwrap();
        let outputs: Vec<NamedTensor> = instance.run(&request).unwrap();
        shapes.push(outputs[0].tensor.shape().to_vec());
    }
    (input, shapes)
}

#[test]
fn fixed_empty_tensor_runs() {
    for dims in [vec![0, 4], vec![4, 0], vec![0], vec![2, 0, 3]] {
        let values: Vec<_> = dims.iter().map(|dim| size(*dim)).collect();
        let made = HandMadeModel {
            input_dims: values.clone(),
            output_dims: values,
            ..HandMadeModel::default()
        };
        let (input, shapes) = run(&made, &[]);
        let sizes: Vec<usize> = dims.iter().map(|dim| usize::try_from(*dim).unwrap()).collect();
        assert_eq!(input, sizes.iter().map(|size| Dim::Fixed(*size)).collect::<Vec<_>>());
        assert!(shapes.iter().all(|shape| *shape == sizes), "{shapes:?}");
    }
}

#[test]
fn empty_dimension_beside_a_symbolic_one_runs() {
    let dims = vec![named("N"), size(0)];
    let made =
        HandMadeModel { input_dims: dims.clone(), output_dims: dims, ..HandMadeModel::default() };
    let (input, shapes) = run(&made, &[("N", 3)]);
    assert_eq!(input, [Dim::Named("N".to_owned()), Dim::Fixed(0)]);
    assert!(shapes.iter().all(|shape| shape == &[3, 0]), "{shapes:?}");
}

#[test]
fn request_sets_absent_dimension() {
    for open in [None, size(-1)] {
        let made = HandMadeModel {
            input_dims: vec![open.clone(), size(4)],
            output_dims: vec![open, size(4)],
            ..HandMadeModel::default()
        };
        let (input, shapes) = run(&made, &[("x.0", 5)]);
        assert_eq!(input, [Dim::Unknown, Dim::Fixed(4)]);
        assert!(shapes.iter().all(|shape| shape == &[5, 4]), "{shapes:?}");
    }
}

#[test]
fn output_dimension_of_size_zero_is_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let made = HandMadeModel {
        input_dims: vec![size(0)],
        output_dims: vec![size(0)],
        ..HandMadeModel::default()
    };
    let source = made.write(folder.path());
    for engine in engines() {
        let model = load(&*engine, &source);
        assert_eq!(model.signature().outputs[0].dims, Some(vec![Dim::Fixed(0)]));
    }
}
