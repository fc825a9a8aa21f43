//! What was drawn where: the map from a place on the screen to what a click there means. Drawing
//! fills it, the pointer reads it.

use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

use super::command::Command;
use super::gpus::DeviceChoice;
use super::{Column, Pane, SortKey};
use crate::layout::CoreOwner;
use crate::machine::CoreId;

/// What lies at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A core in the cores pane.
    Core(CoreId),
    /// A core cell of a row; which of the row's cores it is does not matter.
    RowCore(CoreOwner),
    /// An instance of a model.
    Instance(String),
    /// A field of a model's row.
    Field(String, Column),
    /// A card, a part of one, or the CPU, where the GPUs are drawn.
    Gpu(DeviceChoice),
    /// Elsewhere in a row.
    Row(CoreOwner),
    /// A pane's title.
    Pane(Pane),
    /// The title of a column by which rows can be ordered.
    Title(SortKey),
    /// A command in the footer or in a dialog.
    Command(Command),
    /// The key of an answer in a dialog.
    Press(KeyCode),
    /// An entry of the list on the screen.
    Item(usize),
    /// Lines that the wheel moves.
    Lines(ScrollArea),
    /// A part of the screen that swallows clicks, such as a dialog's ground.
    Nothing,
}

/// What has more lines than room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrollArea {
    /// The screen's one pane.
    Screen,
    /// The newest changes.
    Changes,
    /// What a saved layout would change.
    Preview,
}

/// How far a frame's lines go: the first line of the last full view of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrollLimits {
    /// Of the screen's one pane.
    pub screen: usize,
    /// Of the newest changes.
    pub changes: usize,
    /// Of a saved layout's changes.
    pub preview: usize,
    /// How many lines of the log fill the screen from its beginning.
    pub log: usize,
}

/// All places of one frame. What was drawn later lies above.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HitMap {
    places: Vec<(Rect, Target)>,
    /// How far its lines go.
    pub scroll_limits: ScrollLimits,
}

impl HitMap {
    /// Notes a place.
    pub fn add(&mut self, place: Rect, target: Target) {
        if !place.is_empty() {
            self.places.push((place, target));
        }
    }

    /// What lies at a place.
    pub fn at(&self, column: u16, row: u16) -> Option<&Target> {
        let position = Position::new(column, row);
        self.places.iter().rev().find(|(place, _)| place.contains(position)).map(|(_, what)| what)
    }

    /// Returns the places without the scroll limits.
    pub(crate) fn into_places(self) -> Vec<(Rect, Target)> {
        self.places
    }

    /// The first place of a target.
    pub fn find(&self, target: &Target) -> Option<Rect> {
        self.places.iter().find(|(_, what)| what == target).map(|(place, _)| *place)
    }

    /// All places in the order of drawing.
    pub fn iter(&self) -> impl Iterator<Item = &(Rect, Target)> {
        self.places.iter()
    }
}
