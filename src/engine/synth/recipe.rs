//! Recipes: the kind and sizes of a synthetic model.

use super::conv::Conv;
use super::encoder::Encoder;
use super::graph::Builder;
use super::mlp::Mlp;
use super::size::Size;

/// The seed of the models that divvy ships.
pub const SEED: u64 = 1;

/// The kind and sizes of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// A convolutional detector over images.
    Conv(Conv),
    /// A perceptron over rows of features.
    Mlp(Mlp),
    /// A transformer encoder over token ids.
    Encoder(Encoder),
}

/// The models that divvy ships: file name and recipe, to be built with [`SEED`].
pub fn embedded_recipes() -> [(&'static str, Recipe); 3] {
    [
        ("detector.onnx", Recipe::Conv(Conv::of(Size::Small))),
        ("embedder.onnx", Recipe::Encoder(Encoder::of(Size::Small))),
        ("ranker.onnx", Recipe::Mlp(Mlp::of(Size::Small))),
    ]
}

impl Recipe {
    /// Returns the bytes of the ONNX file.
    ///
    /// # Errors
    /// A message with the invalid value of the recipe and its valid range.
    pub fn build(&self, seed: u64) -> Result<Vec<u8>, String> {
        let builder = Builder::new(seed);
        match self {
            Self::Conv(recipe) => recipe.build(builder),
            Self::Mlp(recipe) => recipe.build(builder),
            Self::Encoder(recipe) => recipe.build(builder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::embedded;

    #[test]
    fn shipped_models_match_their_recipes() {
        let mut total = 0;
        for (name, recipe) in embedded_recipes() {
            let built = recipe.build(SEED).unwrap();
            total += built.len();
            assert!(
                embedded::bytes(name) == Some(built.as_slice()),
                "assets/models/{name} is out of date: write it again with `divvy synth`"
            );
        }
        assert!(total < 3 << 20, "{total} bytes");
    }

    #[test]
    fn seed_determines_every_byte() {
        let recipe = Recipe::Mlp(Mlp { rows: 2, features: 8, hidden: vec![4] });
        assert_eq!(recipe.build(7), recipe.build(7));
        assert_ne!(recipe.build(7), recipe.build(8));
    }

    #[test]
    fn impossible_sizes_are_refused_by_name() {
        let small = Encoder::of(Size::Small);
        for (recipe, words) in [
            (Recipe::Mlp(Mlp { rows: 1, features: 0, hidden: vec![4] }), "features"),
            (Recipe::Mlp(Mlp { rows: 1, features: 50_000, hidden: vec![50_000] }), "weights"),
            (Recipe::Encoder(Encoder { heads: 5, ..small }), "heads"),
            (Recipe::Conv(Conv { image: 4, channels: vec![8, 8, 8], classes: 2 }), "image"),
        ] {
            let error = recipe.build(SEED).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
