//! `divvy synth`: writes a stand-in model of a given size.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::CommandError;
use crate::engine::synth::{Conv, Encoder, Mlp, Recipe, SEED, Size};
use crate::machine::replace_file;

/// Arguments of `divvy synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// The kind of model.
    #[command(subcommand)]
    pub kind: SynthKind,
}

/// The kinds of models.
#[derive(Debug, Subcommand)]
pub enum SynthKind {
    /// A convolutional detector over images.
    Conv(ConvArgs),
    /// A perceptron over rows of features.
    Mlp(MlpArgs),
    /// A transformer encoder over token ids.
    Encoder(EncoderArgs),
}

/// Arguments of every kind.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// A named size; the other options override parts of it.
    #[arg(long, value_enum, default_value = "small")]
    pub size: Size,
    /// Seed of the weights: the same arguments give the same bytes.
    #[arg(long, default_value_t = SEED)]
    pub seed: u64,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `divvy synth conv`.
#[derive(Debug, Args)]
pub struct ConvArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// Width and height of the image in pixels.
    #[arg(long)]
    pub image: Option<usize>,
    /// Channels of each stage; each stage halves the image.
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    pub channels: Option<Vec<usize>>,
    /// Number of classes.
    #[arg(long)]
    pub classes: Option<usize>,
}

/// Arguments of `divvy synth mlp`.
#[derive(Debug, Args)]
pub struct MlpArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// Rows of one request.
    #[arg(long)]
    pub rows: Option<usize>,
    /// Features of a row.
    #[arg(long)]
    pub features: Option<usize>,
    /// Width of each hidden layer.
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    pub hidden: Option<Vec<usize>>,
}

/// Arguments of `divvy synth encoder`.
#[derive(Debug, Args)]
pub struct EncoderArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// Token ids are below this.
    #[arg(long)]
    pub vocabulary: Option<usize>,
    /// Width of a token's vector; a multiple of the heads.
    #[arg(long)]
    pub width: Option<usize>,
    /// Number of layers.
    #[arg(long)]
    pub layers: Option<usize>,
    /// Attention heads.
    #[arg(long)]
    pub heads: Option<usize>,
    /// Width of the inner layer of each feed-forward part.
    #[arg(long)]
    pub hidden: Option<usize>,
    /// The longest text in tokens.
    #[arg(long)]
    pub positions: Option<usize>,
}

/// Writes the model.
///
/// # Errors
/// [`CommandError::BadInput`] for an impossible figure, [`CommandError::Failed`] when the file
/// cannot be written.
pub fn run(args: &SynthArgs) -> Result<(), CommandError> {
    let (recipe, common) = match &args.kind {
        SynthKind::Conv(args) => (args.recipe(), &args.common),
        SynthKind::Mlp(args) => (args.recipe(), &args.common),
        SynthKind::Encoder(args) => (args.recipe(), &args.common),
    };
    let bytes = recipe.build(common.seed).map_err(CommandError::BadInput)?;
    write(&common.output, &bytes).map_err(|error| {
        CommandError::Failed(format!("cannot write {}: {error}", common.output.display()))
    })?;
    println!("{}: {} bytes", common.output.display(), bytes.len());
    Ok(())
}

impl ConvArgs {
    fn recipe(&self) -> Recipe {
        let preset = Conv::of(self.common.size);
        Recipe::Conv(Conv {
            image: self.image.unwrap_or(preset.image),
            channels: self.channels.clone().unwrap_or(preset.channels),
            classes: self.classes.unwrap_or(preset.classes),
        })
    }
}

impl MlpArgs {
    fn recipe(&self) -> Recipe {
        let preset = Mlp::of(self.common.size);
        Recipe::Mlp(Mlp {
            rows: self.rows.unwrap_or(preset.rows),
            features: self.features.unwrap_or(preset.features),
            hidden: self.hidden.clone().unwrap_or(preset.hidden),
        })
    }
}

impl EncoderArgs {
    fn recipe(&self) -> Recipe {
        let preset = Encoder::of(self.common.size);
        Recipe::Encoder(Encoder {
            vocabulary: self.vocabulary.unwrap_or(preset.vocabulary),
            width: self.width.unwrap_or(preset.width),
            layers: self.layers.unwrap_or(preset.layers),
            heads: self.heads.unwrap_or(preset.heads),
            hidden: self.hidden.unwrap_or(preset.hidden),
            positions: self.positions.unwrap_or(preset.positions),
        })
    }
}

/// Writes beside the target and renames, so that a partly written model is never loaded.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A rename would put a file in the place of a device or a pipe.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(std::io::Error::other("it is there already and is not a regular file"));
    }
    replace_file(path, bytes)
}
