//! Frames outside the terminal: as SVG, as text for snapshot tests, and drawn from recorded snapshots.

#[cfg(test)]
pub(crate) mod dump;
mod offscreen;
mod recorded;
mod svg;

pub use offscreen::picture;
pub use svg::svg;
