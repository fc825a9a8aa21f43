//! The home screen: cores, models, latency, changes and resources at a glance.

mod changes;
mod clients;
mod cores;
mod cpu_over_time;
mod first_change;
mod gpus;
mod heights;
mod latency;
mod models;
mod over_time;
mod panes;
mod resources;

pub(super) use cores::CoreOwners;
pub(super) use panes::draw;
