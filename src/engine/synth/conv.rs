//! A convolutional detector: halving stages with one residual block each, then a head that outputs
//! class scores and boxes for every cell of the last grid.

use super::graph::{self, Builder, DimSize as Dim, FLOAT, ints};
use super::size::{Size, check_parameters, check_range};

/// The sizes of a detector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Width and height of the image in pixels: 8 to 4,096, a multiple of 2 per stage.
    pub image: usize,
    /// Channels of each stage; each halves the image. 1 to 4,096 each.
    pub channels: Vec<usize>,
    /// Number of classes, 1 to 10,000.
    pub classes: usize,
}

impl Conv {
    /// Returns a named size.
    pub fn of(size: Size) -> Self {
        match size {
            Size::Small => Self { image: 192, channels: vec![24, 48, 64], classes: 20 },
            Size::Medium => Self { image: 320, channels: vec![24, 48, 96, 192], classes: 80 },
            Size::Large => Self { image: 640, channels: vec![32, 64, 128, 256], classes: 80 },
        }
    }

    pub(super) fn build(&self, mut builder: Builder) -> Result<Vec<u8>, String> {
        self.check()?;
        let image =
            [Dim::Named("batch"), Dim::Fixed(3), Dim::Fixed(self.image), Dim::Fixed(self.image)];
        let mut value = builder.input("image", FLOAT, &image);
        let mut width = 3;
        for channels in &self.channels {
            let down = convolution(&mut builder, &value, (width, *channels), 3, 2);
            let down = builder.node("Relu", &[&down], vec![]);
            let block = convolution(&mut builder, &down, (*channels, *channels), 3, 1);
            let block = builder.node("Relu", &[&block], vec![]);
            value = builder.node("Add", &[&down, &block], vec![]);
            width = *channels;
        }
        let grid = self.image >> self.channels.len();
        let scores = convolution(&mut builder, &value, (width, self.classes), 1, 1);
        builder.node_as("Sigmoid", &[&scores], vec![], "scores");
        let boxes = convolution(&mut builder, &value, (width, 4), 1, 1);
        builder.node_as("Tanh", &[&boxes], vec![], "boxes");
        for (name, channels) in [("scores", self.classes), ("boxes", 4)] {
            let dims =
                [Dim::Named("batch"), Dim::Fixed(channels), Dim::Fixed(grid), Dim::Fixed(grid)];
            builder.output(name, FLOAT, &dims);
        }
        Ok(builder.finish("detector"))
    }

    fn check(&self) -> Result<(), String> {
        check_range("the number of stages", self.channels.len(), 8)?;
        check_range("classes", self.classes, 10_000)?;
        let step = 1usize << self.channels.len();
        if !(8..=4096).contains(&self.image) || !self.image.is_multiple_of(step) {
            return Err(format!(
                "image is {}; with {} stages it may be a multiple of {step} from 8 to 4096",
                self.image,
                self.channels.len()
            ));
        }
        let mut parameters = 0u64;
        let mut width = 3;
        for channels in &self.channels {
            check_range("a stage's channels", *channels, 4096)?;
            parameters += (9 * channels * (width + channels)) as u64;
            width = *channels;
        }
        check_parameters(parameters)
    }
}

/// A square convolution that keeps the image's size, or divides it by the stride.
fn convolution(
    builder: &mut Builder,
    input: &str,
    (from, to): (usize, usize),
    kernel: usize,
    stride: i64,
) -> String {
    // a rectifier halves the variance, and the residual sum adds some: gain 1.2 keeps it level
    let weights = builder.weight(&[to, from, kernel, kernel], from * kernel * kernel, 1.2);
    let bias = builder.weight(&[to], 1, 0.01);
    let (size, pad) = (graph::long(kernel), graph::long(kernel / 2));
    builder.node(
        "Conv",
        &[input, &weights, &bias],
        vec![
            ints("kernel_shape", &[size, size]),
            ints("pads", &[pad, pad, pad, pad]),
            ints("strides", &[stride, stride]),
        ],
    )
}
