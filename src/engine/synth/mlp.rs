//! A perceptron that scores rows of features, like a ranker of candidates.

use super::graph::{Builder, DimSize as Dim, FLOAT};
use super::size::{Size, check_parameters, check_range};

/// The sizes of a perceptron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    /// Rows of one request, 1 to 65,536.
    pub rows: usize,
    /// Features of a row, 1 to 65,536.
    pub features: usize,
    /// Width of each hidden layer, 1 to 65,536 each.
    pub hidden: Vec<usize>,
}

impl Mlp {
    /// Returns a named size.
    pub fn of(size: Size) -> Self {
        match size {
            Size::Small => Self { rows: 512, features: 128, hidden: vec![256, 256, 64] },
            Size::Medium => Self { rows: 512, features: 256, hidden: vec![768, 768, 256] },
            Size::Large => Self { rows: 1024, features: 512, hidden: vec![2048, 2048, 512] },
        }
    }

    pub(super) fn build(&self, mut builder: Builder) -> Result<Vec<u8>, String> {
        check_range("rows", self.rows, 65_536)?;
        check_range("features", self.features, 65_536)?;
        check_range("the number of hidden layers", self.hidden.len(), 1_000)?;
        let mut parameters = 0u64;
        let mut width = self.features;
        for next in &self.hidden {
            check_range("a hidden layer's width", *next, 65_536)?;
            parameters += (width * next + next) as u64;
            width = *next;
        }
        check_parameters(parameters)?;
        let dims = [Dim::Named("batch"), Dim::Fixed(self.rows), Dim::Fixed(self.features)];
        let mut value = builder.input("features", FLOAT, &dims);
        let mut width = self.features;
        for next in &self.hidden {
            // a rectifier halves the variance: gain 2 to the half keeps it
            let sum = builder.linear(&value, width, *next, std::f32::consts::SQRT_2);
            value = builder.node("Relu", &[&sum], vec![]);
            width = *next;
        }
        let scores = builder.linear(&value, width, 1, 1.0);
        builder.node_as("Sigmoid", &[&scores], vec![], "scores");
        let dims = [Dim::Named("batch"), Dim::Fixed(self.rows), Dim::Fixed(1)];
        builder.output("scores", FLOAT, &dims);
        Ok(builder.finish("ranker"))
    }
}
