//! Arrays that `NumPy` wrote, as tensors.
//!
//! Two uses, two shapes:
//! - **one value** (`inputs.NAME = { npy = "file.npy" }`, [`read_npy`]): the array is the input as
//!   it is;
//! - **a recording** (`load = { kind = "replay", file = "file.npz" }`, [`read_requests`]): one
//!   array for each input of the model, under the input's exact name, each with one more dimension
//!   in front: the requests. `x` of shape `[1, 3, 224, 224]` recorded 50 times is an array `x` of
//!   shape `[50, 1, 3, 224, 224]`; a scalar input is an array of shape `[50]`. An array
//!   `arrival_us` (whole numbers, not falling) gives the requests' arrival times in microseconds
//!   from the first one on. Requests of other shapes are further groups of arrays, `shapes/2/x` with
//!   `shapes/2/arrival_us` and so on; their times count from the same start. An `.npy` file serves for a model of one input. Inputs that a replay
//!   carries over from the last outputs are recorded too: their first value starts the stream.
//!
//! Element types must be the model's own; `NumPy`'s `U` and `S` are texts.

mod array;
mod requests;
#[cfg(test)]
mod tests;
mod write;

pub use array::read_npy;
pub use requests::{ARRIVALS, Recording, array_names, read_requests};
pub use write::encode_requests;
