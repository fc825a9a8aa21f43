//! Drags from one row to another: the dragged item, the input device and the state.

use super::gpus::{self, DeviceChoice};
use crate::layout::{CoreOwner, CoreSelection, Plan, Refusal};
use crate::machine::CpuSet;

/// The item of a drag.
#[derive(Clone, Debug, PartialEq)]
pub enum DragItem {
    /// Cores of one owner.
    Cores {
        /// Their number, or the specific cores.
        cores: CoreSelection,
        /// Their owner.
        from: CoreOwner,
    },
    /// Cores of several owners.
    Several(Vec<(CoreOwner, CpuSet)>),
    /// Instances of a model.
    Instances {
        /// Their number.
        count: usize,
        /// The model.
        from: String,
    },
    /// A device to move a model to: a GPU, or the CPU.
    Gpu {
        /// The device.
        place: DeviceChoice,
    },
    /// A model to move to another device.
    Placed {
        /// The model.
        model: String,
        /// The device under the pointer.
        onto: Option<DeviceChoice>,
    },
}

impl DragItem {
    /// Returns the owner of the item; of several owners, the first.
    pub fn donor(&self) -> CoreOwner {
        match self {
            Self::Cores { from, .. } => from.clone(),
            Self::Several(parts) => parts.first().map_or(CoreOwner::Free, |(from, _)| from.clone()),
            Self::Instances { from, .. } => CoreOwner::Model(from.clone()),
            // several models can run on one GPU, so nobody loses it
            Self::Gpu { .. } | Self::Placed { .. } => CoreOwner::Free,
        }
    }

    /// Returns true if the whole item comes from this row, which then cannot receive it.
    pub fn is_only_of(&self, row: &CoreOwner) -> bool {
        !matches!(self, Self::Several(_)) && self.donor() == *row
    }

    /// Returns true if part of the item comes from this row.
    pub fn is_of(&self, row: &CoreOwner) -> bool {
        match self {
            Self::Several(parts) => parts.iter().any(|(from, _)| from == row),
            _ => self.donor() == *row,
        }
    }

    /// Returns the specific cores of the item; empty if any cores will do.
    pub fn cores(&self) -> CpuSet {
        match self {
            Self::Cores { cores: CoreSelection::These(set), .. } => *set,
            Self::Several(parts) => {
                parts.iter().fold(CpuSet::EMPTY, |all, (_, cores)| all.union(cores))
            }
            _ => CpuSet::EMPTY,
        }
    }

    /// Returns a description: "core 3", "2 cores", "1 instance".
    pub fn title(&self) -> String {
        let plural = |count: usize, word: &str| {
            if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
        };
        match self {
            Self::Cores { cores: CoreSelection::Count(count), .. } => plural(*count, "core"),
            Self::Cores { cores: CoreSelection::These(set), .. } if set.len() == 1 => {
                format!("core {set}")
            }
            Self::Cores { cores: CoreSelection::These(set), .. } => format!("cores {set}"),
            Self::Several(_) => format!("cores {}", self.cores()),
            Self::Instances { count, .. } => plural(*count, "instance"),
            Self::Gpu { place } => gpus::title(place),
            Self::Placed { model, .. } => model.clone(),
        }
    }
}

/// The input device of a drag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DragInput {
    /// The mouse, with its button held.
    ButtonHeld {
        /// The cell where the button went down.
        origin: (u16, u16),
        /// True if the pointer has left that cell.
        moved: bool,
    },
    /// The mouse, between two clicks.
    Clicked,
    /// The keyboard.
    Keyboard,
}

/// Effect of a drop on the donor's cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// The donor loses them.
    Move,
    /// The donor keeps them too.
    Share,
}

/// The state of one drag.
#[derive(Clone, Debug, PartialEq)]
pub struct Drag {
    /// The item that is dragged.
    pub item: DragItem,
    /// The input device.
    pub input: DragInput,
    /// Column and row of the pointer; `None` for the keyboard.
    pub pointer: Option<(u16, u16)>,
    /// The row under the item, which would receive it.
    pub receiver: Option<CoreOwner>,
    /// True if the key for sharing is on: the donor keeps the cores too.
    pub share: bool,
    /// True if a held modifier reverses `share`.
    pub modifier: bool,
    /// The plan of a drop on the receiver, or its refusal; `None` until it is known.
    pub outcome: Option<Result<Plan, Refusal>>,
    /// Rows that would refuse the item, with the reasons.
    pub refusals: Vec<(CoreOwner, String)>,
    pub(super) plan_ticket: u64,
    pub(super) survey_ticket: u64,
}

impl Drag {
    /// Returns true if cores are shared instead of moved.
    pub fn shares(&self) -> bool {
        self.share != self.modifier
    }

    /// Returns the effect of a drop on the donor's cores.
    pub fn kind(&self) -> TransferKind {
        if self.shares() { TransferKind::Share } else { TransferKind::Move }
    }

    /// Records a move of the pointer to this cell.
    pub(super) fn note_move(&mut self, at: (u16, u16)) {
        if let DragInput::ButtonHeld { origin, moved } = &mut self.input {
            *moved |= *origin != at;
        }
    }

    /// Returns the reason why a row would refuse the item.
    pub fn refusal(&self, row: &CoreOwner) -> Option<&str> {
        self.refusals.iter().find(|(owner, _)| owner == row).map(|(_, reason)| reason.as_str())
    }
}
