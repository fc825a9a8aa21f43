//! Plain values of the console: screens, panes, columns, modes and messages.

use serde::{Deserialize, Serialize};

/// Which screen is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Screen {
    /// Everything at a glance.
    #[default]
    Board,
    /// One model with its instances and threads.
    Detail,
    /// Sockets, nodes, caches, cores.
    Machine,
    /// Memory use.
    Memory,
    /// Saved layouts.
    Layouts,
    /// The clients of the server.
    Connections,
    /// All changes.
    Journal,
    /// The newest lines of the log.
    Log,
    /// All alerts.
    Alerts,
}

/// The panes of the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Cores with their owners and utilisation.
    Cores,
    /// The table of models.
    #[default]
    Models,
    /// The selected model's latency histogram.
    Latency,
    /// The selected model's latencies over time.
    OverTime,
    /// The newest changes.
    Changes,
}

impl Pane {
    /// All panes in the order of the key that focuses the next one.
    pub const ALL: [Self; 5] =
        [Self::Models, Self::Cores, Self::Latency, Self::OverTime, Self::Changes];
}

/// The columns of the table whose values keys and wheel can step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// Number of cores.
    #[default]
    Cores,
    /// Active instances.
    Instances,
    /// Threads per instance.
    Threads,
    /// The queue limit, in requests.
    Queue,
    /// The bound of the latency target.
    Slo,
    /// The GPU, or the CPU.
    Gpu,
}

impl Column {
    /// All columns from left to right.
    pub const ALL: [Self; 6] =
        [Self::Cores, Self::Instances, Self::Threads, Self::Queue, Self::Slo, Self::Gpu];

    /// Returns the column's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::Instances => "instances",
            Self::Threads => "threads",
            Self::Queue => "queue limit",
            Self::Slo => "SLO",
            Self::Gpu => "GPU",
        }
    }
}

/// When changes are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each change is applied at once.
    #[default]
    Live,
    /// Changes wait and are applied as one transaction.
    Staged,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// For information.
    Info,
    /// Something worked.
    Good,
    /// Something was refused or failed.
    Bad,
}

/// The result of the last command, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The text.
    pub text: String,
    /// Its kind.
    pub tone: Tone,
}
