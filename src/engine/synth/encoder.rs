//! A transformer encoder over token ids: returns one unit vector per text, like an embedder.

use super::graph::{Builder, DimSize as Dim, FLOAT, INT64, float, int, ints, long};
use super::size::{Size, check_parameters, check_range};

/// The sizes of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// Size of the vocabulary, 1 to 1,000,000. Token ids are below it.
    pub vocabulary: usize,
    /// Width of a token's vector, 1 to 8,192, a multiple of `heads`.
    pub width: usize,
    /// Layers, 1 to 200.
    pub layers: usize,
    /// Attention heads, 1 to 256.
    pub heads: usize,
    /// Width of the inner layer of each feed-forward part, 1 to 65,536.
    pub hidden: usize,
    /// The longest text in tokens, 1 to 65,536.
    pub positions: usize,
}

impl Encoder {
    /// Returns a named size.
    pub fn of(size: Size) -> Self {
        let of = |vocabulary, width, layers, heads, hidden| Self {
            vocabulary,
            width,
            layers,
            heads,
            hidden,
            positions: 512,
        };
        match size {
            Size::Small => of(768, 96, 3, 4, 384),
            Size::Medium => of(8192, 256, 6, 8, 1024),
            Size::Large => of(30_000, 512, 12, 8, 2048),
        }
    }

    pub(super) fn build(&self, mut builder: Builder) -> Result<Vec<u8>, String> {
        self.check()?;
        let tokens = builder.input("tokens", INT64, &[Dim::Named("batch"), Dim::Named("seq")]);
        let table = builder.weight(&[self.vocabulary, self.width], 1, 0.5);
        let words = builder.node("Gather", &[&table, &tokens], vec![int("axis", 0)]);
        let places = self.places(&mut builder, &tokens);
        let sum = builder.node("Add", &[&words, &places], vec![]);
        let mut value = self.normalised(&mut builder, &sum);
        for _ in 0..self.layers {
            let attended = self.attention(&mut builder, &value);
            let sum = builder.node("Add", &[&value, &attended], vec![]);
            value = self.normalised(&mut builder, &sum);
            let fed = self.feed_forward(&mut builder, &value);
            let sum = builder.node("Add", &[&value, &fed], vec![]);
            value = self.normalised(&mut builder, &sum);
        }
        let mean =
            builder.node("ReduceMean", &[&value], vec![ints("axes", &[1]), int("keepdims", 0)]);
        let length =
            builder.node("ReduceL2", &[&mean], vec![ints("axes", &[-1]), int("keepdims", 1)]);
        builder.node_as("Div", &[&mean, &length], vec![], "embedding");
        builder.output("embedding", FLOAT, &[Dim::Named("batch"), Dim::Fixed(self.width)]);
        Ok(builder.finish("embedder"))
    }

    fn check(&self) -> Result<(), String> {
        check_range("vocabulary", self.vocabulary, 1_000_000)?;
        check_range("width", self.width, 8192)?;
        check_range("layers", self.layers, 200)?;
        check_range("heads", self.heads, 256)?;
        check_range("hidden", self.hidden, 65_536)?;
        check_range("positions", self.positions, 65_536)?;
        if !self.width.is_multiple_of(self.heads) {
            return Err(format!(
                "heads is {}, which does not divide the width {}",
                self.heads, self.width
            ));
        }
        let layer = self.width * (4 * self.width + 2 * self.hidden);
        check_parameters(
            ((self.vocabulary + self.positions) * self.width) as u64
                + (layer as u64) * (self.layers as u64),
        )
    }

    /// Adds the vectors of the first `seq` positions.
    fn places(&self, builder: &mut Builder, tokens: &str) -> String {
        let table = builder.weight(&[self.positions, self.width], 1, 0.5);
        let shape = builder.node("Shape", &[tokens], vec![]);
        let second = builder.integers(&[1]);
        let count = builder.node("Gather", &[&shape, &second], vec![int("axis", 0)]);
        let start = builder.integers(&[0]);
        let axis = builder.integers(&[0]);
        builder.node("Slice", &[&table, &start, &count, &axis], vec![])
    }

    fn normalised(&self, builder: &mut Builder, input: &str) -> String {
        let scale = builder.floats(&[self.width], &vec![1.0; self.width]);
        let bias = builder.weight(&[self.width], 1, 0.01);
        builder.node(
            "LayerNormalization",
            &[input, &scale, &bias],
            vec![int("axis", -1), float("epsilon", 1e-5)],
        )
    }

    fn attention(&self, builder: &mut Builder, input: &str) -> String {
        let size = self.width / self.heads;
        let query = self.head(builder, input, &[0, 2, 1, 3]);
        let key = self.head(builder, input, &[0, 2, 3, 1]);
        let values = self.head(builder, input, &[0, 2, 1, 3]);
        let scale = builder.floats(&[], &[1.0 / (size as f32).sqrt()]);
        let product = builder.node("MatMul", &[&query, &key], vec![]);
        let scaled = builder.node("Mul", &[&product, &scale], vec![]);
        let share = builder.node("Softmax", &[&scaled], vec![int("axis", -1)]);
        let mixed = builder.node("MatMul", &[&share, &values], vec![]);
        let mixed = builder.node("Transpose", &[&mixed], vec![ints("perm", &[0, 2, 1, 3])]);
        let shape = builder.integers(&[0, -1, long(self.width)]);
        let joined = builder.node("Reshape", &[&mixed, &shape], vec![]);
        builder.linear(&joined, self.width, self.width, 1.0)
    }

    /// Adds a projection, split by head: [batch, seq, width] to four dimensions in this order.
    fn head(&self, builder: &mut Builder, input: &str, order: &[i64]) -> String {
        let projected = builder.linear(input, self.width, self.width, 1.0);
        let shape = builder.integers(&[0, -1, long(self.heads), long(self.width / self.heads)]);
        let split = builder.node("Reshape", &[&projected, &shape], vec![]);
        builder.node("Transpose", &[&split], vec![ints("perm", order)])
    }

    /// Adds two layers with the exact GELU between them: `x * (1 + erf(x / sqrt 2)) / 2`.
    fn feed_forward(&self, builder: &mut Builder, input: &str) -> String {
        let inner = builder.linear(input, self.width, self.hidden, 1.0);
        let root = builder.floats(&[], &[std::f32::consts::SQRT_2]);
        let one = builder.floats(&[], &[1.0]);
        let half = builder.floats(&[], &[0.5]);
        let scaled = builder.node("Div", &[&inner, &root], vec![]);
        let error = builder.node("Erf", &[&scaled], vec![]);
        let shifted = builder.node("Add", &[&error, &one], vec![]);
        let gated = builder.node("Mul", &[&inner, &shifted], vec![]);
        let active = builder.node("Mul", &[&gated, &half], vec![]);
        builder.linear(&active, self.hidden, self.width, 1.0)
    }
}
