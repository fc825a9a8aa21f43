//! The engine's name and version.

/// The engine's name in messages.
pub(super) const NAME: &str = "rten";

/// The version of rten that is built in.
pub(super) const VERSION: &str = "0.27";
