//! Memory bandwidth and cache of rows, by the kernel's `resctrl` file system.
//!
//! Source: Linux, `Documentation/filesystems/resctrl.rst`. Tested on trees of files made after it, not tried
//! on hardware.

mod group;
mod info;
mod missing;
mod monitor;
#[cfg(test)]
mod tests;

pub use group::RowMonitor;
pub use missing::ResctrlMissing;
pub use monitor::ResctrlMonitor;
