//! Sizes of open dimensions: those of the layout, else guesses.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Dim, ElementType, EngineError, Signature, TensorSpec};

/// A guess for the sides of an image, in pixels.
const IMAGE: usize = 224;
/// A guess for the length of a sequence.
const SEQUENCE: usize = 128;
/// A guess for the channels of an image.
const CHANNELS: usize = 3;

/// The sizes of open dimensions by name.
pub(super) struct Sizes {
    sizes: BTreeMap<String, usize>,
    guessed: BTreeSet<String>,
}

impl Sizes {
    /// Takes the layout's sizes, after a check that the model has these names.
    pub(super) fn new(
        signature: &Signature,
        dims: &BTreeMap<String, usize>,
    ) -> Result<Self, EngineError> {
        let known = signature.open_dim_names();
        for (name, size) in dims {
            let fault = |reason: String| EngineError::Dimension { name: name.clone(), reason };
            if !known.contains(name) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(fault(format!(
                    "the model has no open dimension of this name, only: {known}"
                )));
            }
            if *size == 0 {
                return Err(fault("it is set to 0 and must be 1 or more".into()));
            }
        }
        Ok(Self { sizes: dims.clone(), guessed: BTreeSet::new() })
    }

    /// Sets the sizes of a given tensor's open dimensions, so that other inputs agree with it.
    pub(super) fn pin(&mut self, spec: &TensorSpec, shape: &[usize]) -> Result<(), EngineError> {
        for (axis, size) in shape.iter().enumerate() {
            let Some(name) = spec.open_dim_name(axis) else { continue };
            match self.sizes.get(&name) {
                Some(known) if known != size => {
                    return Err(EngineError::Input {
                        input: spec.name.clone(),
                        reason: format!(
                            "the given array makes the dimension `{name}` {size}, and elsewhere it \
                             is {known}"
                        )
                        .into(),
                    });
                }
                _ => {
                    self.sizes.insert(name, *size);
                }
            }
        }
        Ok(())
    }

    /// Returns the shape of an input. A name that was guessed once keeps its size.
    pub(super) fn shape(&mut self, spec: &TensorSpec) -> Vec<usize> {
        let Some(dims) = &spec.dims else { return vec![1] };
        let guesses: Vec<usize> = (0..dims.len()).map(|place| guess(spec, dims, place)).collect();
        dims.iter()
            .zip(guesses)
            .enumerate()
            .map(|(place, (dim, guess))| match (dim, spec.open_dim_name(place)) {
                (Dim::Fixed(size), _) => *size,
                (_, Some(name)) => {
                    if !self.sizes.contains_key(&name) {
                        self.guessed.insert(name.clone());
                    }
                    *self.sizes.entry(name).or_insert(guess)
                }
                (_, None) => guess,
            })
            .collect()
    }

    /// Returns the dimensions whose size was guessed.
    pub(super) fn guessed(&self) -> BTreeMap<String, usize> {
        let sizes = self.sizes.iter().filter(|(name, _)| self.guessed.contains(*name));
        sizes.map(|(name, size)| (name.clone(), *size)).collect()
    }
}

fn guess(spec: &TensorSpec, dims: &[Dim], place: usize) -> usize {
    let name = match dims.get(place) {
        Some(Dim::Named(name)) => name.to_lowercase(),
        _ => String::new(),
    };
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["batch", "past"]) {
        return 1;
    }
    if says(&["height", "width"]) {
        return IMAGE;
    }
    if says(&["channel"]) {
        return CHANNELS;
    }
    if place == 0 {
        return 1;
    }
    if dims.len() == 4 && !matches!(spec.element, ElementType::I64 | ElementType::String) {
        // images: channels second, or last when the last dimension says so
        let is_channels_last = matches!(dims.last(), Some(Dim::Fixed(1 | 3 | 4)));
        return if place == 1 && !is_channels_last { CHANNELS } else { IMAGE };
    }
    SEQUENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, element: ElementType, dims: Vec<Dim>) -> TensorSpec {
        TensorSpec { name: name.to_owned(), element, dims: Some(dims) }
    }

    fn named(name: &str) -> Dim {
        Dim::Named(name.to_owned())
    }

    #[test]
    fn guesses_follow_names_or_positions() {
        let (f32, i64) = (ElementType::F32, ElementType::I64);
        for (spec, want) in [
            (
                spec("x", f32, vec![named("N"), Dim::Fixed(3), Dim::Unknown, Dim::Unknown]),
                vec![1, 3, 224, 224],
            ),
            (
                spec("x", f32, vec![Dim::Unknown, Dim::Unknown, Dim::Unknown, Dim::Fixed(3)]),
                vec![1, 224, 224, 3],
            ),
            (spec("ids", i64, vec![named("batch"), named("sequence")]), vec![1, 128]),
            (
                spec("x", f32, vec![Dim::Fixed(2), named("batch_size"), Dim::Fixed(128)]),
                vec![2, 1, 128],
            ),
            (spec("rate", i64, vec![]), vec![]),
        ] {
            let signature = Signature { inputs: vec![spec.clone()], outputs: vec![] };
            let mut sizes = Sizes::new(&signature, &BTreeMap::new()).unwrap();
            assert_eq!(sizes.shape(&spec), want, "{spec:?}");
        }
    }

    #[test]
    fn unknown_dimension_lists_the_known_ones() {
        let ids = spec("ids", ElementType::I64, vec![named("batch"), Dim::Unknown]);
        let signature = Signature { inputs: vec![ids.clone()], outputs: vec![] };
        let dims = BTreeMap::from([("batch".to_owned(), 4), ("ids.1".to_owned(), 9)]);
        assert_eq!(Sizes::new(&signature, &dims).unwrap().shape(&ids), [4, 9]);
        let dims = BTreeMap::from([("seq".to_owned(), 4)]);
        let Err(error) = Sizes::new(&signature, &dims) else { panic!() };
        assert!(error.to_string().contains("only: batch, ids.1"), "{error}");
    }
}
