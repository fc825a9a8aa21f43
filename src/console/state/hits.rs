//! The hit map: which target lies under each cell of the frame. Drawing fills it; the pointer reads it.

use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

use super::command::Command;
use super::gpus::DeviceChoice;
use super::{Column, ConnectionKey, Pane, SortKey};
use crate::layout::CoreOwner;
use crate::machine::CoreId;

/// A target of the mouse.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A core in the cores pane.
    Core(CoreId),
    /// A core cell of a row, which stands for any of the row's cores.
    RowCore(CoreOwner),
    /// An instance of a model.
    Instance(String),
    /// A field of a model's row.
    Field(String, Column),
    /// A GPU, one of its MIG devices, or the CPU, in the list of GPUs.
    Gpu(DeviceChoice),
    /// The rest of a row.
    Row(CoreOwner),
    /// The line of other processes, below the rows.
    Others,
    /// A pane's title.
    Pane(Pane),
    /// The title of a column, which sorts the rows.
    Title(SortKey),
    /// The title of a column of the connections, which sorts them.
    ConnectionTitle(ConnectionKey),
    /// A command in the footer or in a dialog.
    Command(Command),
    /// The key of an answer in a dialog; a click presses it.
    Press(KeyCode),
    /// An entry of the list on the screen.
    Item(usize),
    /// A change in the journal.
    Change(u64),
    /// An area that the wheel scrolls.
    Lines(ScrollArea),
    /// An area that ignores clicks, such as a dialog's background.
    Nothing,
}

/// A scrollable area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrollArea {
    /// The screen's one pane.
    Screen,
    /// The newest changes.
    Changes,
    /// The preview of a saved layout, or the selected change of the journal.
    Preview,
}

/// The scroll limits of a frame: for each area, the highest first line that still fills it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrollLimits {
    /// Of the screen's one pane.
    pub screen: usize,
    /// Of the newest changes.
    pub changes: usize,
    /// Of a saved layout's changes, or of the selected change of the journal.
    pub preview: usize,
    /// Of the open dialog.
    pub dialog: usize,
    /// The number of log lines that fill the screen, counted from the oldest.
    pub log: usize,
}

/// The targets of one frame. Targets drawn later cover earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HitMap {
    places: Vec<(Rect, Target)>,
    /// The targets of the frame's parts, in the order of drawing. They cover `places`.
    parts: Vec<Arc<[(Rect, Target)]>>,
    /// The scroll limits.
    pub scroll_limits: ScrollLimits,
    /// True if the frame is too small for the console.
    pub too_small: bool,
}

impl HitMap {
    /// Adds a target.
    pub fn add(&mut self, place: Rect, target: Target) {
        if !place.is_empty() {
            self.places.push((place, target));
        }
    }

    /// Returns the target at a cell.
    pub fn at(&self, column: u16, row: u16) -> Option<&Target> {
        let position = Position::new(column, row);
        let parts = self.parts.iter().rev().flat_map(|part| part.iter().rev());
        let mut all = parts.chain(self.places.iter().rev());
        all.find(|(place, _)| place.contains(position)).map(|(_, what)| what)
    }

    /// Adds the targets of a part of the frame, over all earlier ones.
    pub(crate) fn add_part(&mut self, targets: Arc<[(Rect, Target)]>) {
        self.parts.push(targets);
    }

    /// Returns the places outside parts, without the scroll limits.
    pub(crate) fn into_places(self) -> Vec<(Rect, Target)> {
        self.places
    }

    /// Returns the first area of a target.
    pub fn find(&self, target: &Target) -> Option<Rect> {
        self.iter().find(|(_, what)| what == target).map(|(place, _)| *place)
    }

    /// Returns all areas in the order of drawing.
    pub fn iter(&self) -> impl Iterator<Item = &(Rect, Target)> {
        self.places.iter().chain(self.parts.iter().flat_map(|part| part.iter()))
    }
}
