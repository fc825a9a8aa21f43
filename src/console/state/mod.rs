//! The console's state: one value that `update` changes and the view reads.

mod action;
mod command;
mod core_order;
mod dialog;
mod drag;
mod editor;
pub mod gpus;
mod history;
mod hits;
mod layouts;
mod log;
mod navigation;
mod origin;
mod row_editor;
mod selection;
mod sorting;
mod steps;
mod update;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::glyphs::Glyphs;
use super::input::Keymap;
use super::options::ConsoleOptions;
use super::theme::Theme;
use crate::layout::{Budget, Change, CoreOwner, DesiredState, Ledger, Plan, Row};
use crate::machine::{CoreId, CpuSet};
use crate::telemetry::{JournalEntry, ModelView, Snapshot};

pub use action::{Action, AppliedKind, Effect, ParsedInput, PlanPurpose, TypedInput};
pub use command::Command;
pub use dialog::{ConfirmedAction, Dialog, matching};
pub use drag::{Drag, DragInput, DragItem};
pub use editor::TextField;
pub use history::{GpuHistoryPoint, HISTORY_BINS, History, HistoryPoint};
pub use hits::{HitMap, ScrollArea, ScrollLimits, Target};
pub use layouts::LayoutList;
pub use log::LogView;
pub use row_editor::{InputPrompt, RowEditor};
pub use sorting::{SortKey, Sorting};
pub use update::update;

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
    /// All changes.
    Journal,
    /// The newest lines of the log.
    Log,
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

/// Everything that the view needs.
#[derive(Clone, Debug)]
pub struct ConsoleState {
    /// Counts the actions taken in, other than snapshots: the view compares it.
    pub revision: u64,
    /// The newest snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The history of earlier snapshots.
    pub history: History,
    /// The journal; empty until it was read.
    pub journal: Vec<Arc<JournalEntry>>,
    /// The log lines read so far.
    pub log: LogView,
    /// The screen.
    pub screen: Screen,
    /// The focused pane.
    pub focus: Pane,
    /// True if the focused pane fills the screen.
    pub expanded: bool,
    /// The selected row of the table.
    pub selected: CoreOwner,
    /// The selected column.
    pub column: Column,
    /// The selected core of the cores pane.
    pub core: Option<CoreId>,
    /// The cores of a multiple selection; empty if at most [`Self::core`] is selected.
    pub picked: CpuSet,
    /// The order of the table's rows.
    pub sorting: Sorting,
    /// The first shown line of a screen with one pane, from 0.
    pub scroll: usize,
    /// The first shown line of the newest changes, from 0.
    pub scroll_changes: usize,
    /// The scroll limits of the last frame.
    pub scroll_limits: ScrollLimits,
    /// The current drag.
    pub drag: Option<Drag>,
    /// Live or staged.
    pub mode: Mode,
    /// Staged changes, oldest first.
    pub staged: Vec<Change>,
    /// The plan of all staged changes.
    pub staged_plan: Option<Plan>,
    /// The open dialog.
    pub dialog: Option<Dialog>,
    /// The filter: only models whose name contains it are shown.
    pub filter: String,
    /// The list of saved layouts.
    pub layouts: LayoutList,
    /// The name of the layout.
    pub profile: Option<String>,
    /// The rows as they were last saved or loaded; empty if they are saved nowhere, `None` until they
    /// are known.
    pub saved: Option<Vec<Budget>>,
    /// The last message.
    pub message: Option<Message>,
    /// True if nothing may be changed.
    pub readonly: bool,
    /// True if the mouse is captured.
    pub mouse: bool,
    /// Colours.
    pub theme: Theme,
    /// Characters.
    pub glyphs: Glyphs,
    /// Keys.
    pub keymap: Keymap,
    /// True if nothing may follow the pointer.
    pub reduced_motion: bool,
    /// The zone of clock times.
    pub zone: jiff::tz::TimeZone,
    /// The state after the last applied change, until a snapshot shows it.
    fresh: Option<(DesiredState, Ledger)>,
    /// True if the console quits as soon as the layout is saved.
    leaving: bool,
    /// The layouts that an undo returns to.
    origins: origin::Origins,
    /// An added or renamed model, to be selected once a snapshot shows it.
    arriving: Option<String>,
    /// The first core of a range.
    anchor: Option<CoreId>,
    tickets: u64,
    /// The newest request for the plan of the staged changes.
    staged_ticket: u64,
    /// That request, if it was repeated because the rows had changed.
    planned_anew: u64,
}

impl ConsoleState {
    /// The state before the first snapshot.
    pub fn new(options: &ConsoleOptions) -> Self {
        Self {
            revision: 0,
            snapshot: Arc::default(),
            history: History::default(),
            journal: Vec::new(),
            log: LogView::default(),
            screen: Screen::default(),
            focus: Pane::default(),
            expanded: false,
            selected: CoreOwner::Free,
            column: Column::default(),
            core: None,
            picked: CpuSet::EMPTY,
            sorting: Sorting::default(),
            scroll: 0,
            scroll_changes: 0,
            scroll_limits: ScrollLimits::default(),
            drag: None,
            mode: options.mode,
            staged: Vec::new(),
            staged_plan: None,
            dialog: None,
            filter: String::new(),
            layouts: LayoutList::new(options.last_layout.clone()),
            profile: options.profile.clone(),
            saved: None,
            message: options.greeting.clone().map(|text| Message { text, tone: Tone::Info }),
            readonly: options.readonly,
            mouse: options.mouse,
            theme: Theme::new(options.theme),
            glyphs: Glyphs::new(options.glyphs),
            keymap: options.keymap.clone(),
            reduced_motion: options.reduced_motion,
            zone: options.zone.clone(),
            fresh: None,
            leaving: false,
            origins: origin::Origins::default(),
            arriving: None,
            anchor: None,
            tickets: 0,
            staged_ticket: 0,
            planned_anew: 0,
        }
    }

    /// Returns a model's row with the staged changes applied.
    pub fn row(&self, model: &str) -> Option<&Row> {
        self.staged_plan
            .as_ref()
            .and_then(|plan| plan.after.row(model))
            .or_else(|| self.live(model))
    }

    /// Returns a model's row without staged changes, from the snapshot or the last applied change,
    /// whichever is newer.
    pub fn live(&self, model: &str) -> Option<&Row> {
        let shown = self.snapshot.model(model).map(|view| &view.row);
        let fresh = self.fresh.as_ref().and_then(|(desired, _)| desired.row(model));
        match (shown, fresh) {
            (Some(shown), Some(fresh)) if fresh.generation > shown.generation => Some(fresh),
            (shown, _) => shown,
        }
    }

    /// Returns the core and memory ledger with the staged changes applied.
    pub fn ledger(&self) -> &Ledger {
        match (&self.staged_plan, &self.fresh) {
            (Some(plan), _) => &plan.ledger,
            (None, Some((_, ledger))) => ledger,
            (None, None) => &self.snapshot.ledger,
        }
    }

    /// Returns the rows of the table: the models that match the filter, then the free cores.
    pub fn rows(&self) -> Vec<CoreOwner> {
        let wanted = self.filter.to_lowercase();
        let models = self.snapshot.models.iter();
        let mut names: Vec<&String> = models
            .map(|model| &model.row.budget.name)
            .filter(|name| wanted.is_empty() || name.to_lowercase().contains(&wanted))
            .collect();
        self.sorting.arrange(&mut names);
        names
            .into_iter()
            .map(|name| CoreOwner::Model(name.clone()))
            .chain(std::iter::once(CoreOwner::Free))
            .collect()
    }

    /// Returns a model's index in the layout.
    pub fn index(&self, model: &str) -> Option<usize> {
        self.snapshot.models.iter().position(|view| view.row.budget.name == model)
    }

    /// Returns the selected model; `None` if the row of free cores is selected.
    pub fn selected_model(&self) -> Option<&ModelView> {
        match &self.selected {
            CoreOwner::Model(name) => self.snapshot.model(name),
            CoreOwner::Free => None,
        }
    }

    /// Like [`Self::row`], but skips the lookup by name if nothing is staged or newly applied.
    pub(crate) fn row_of<'a>(&'a self, view: &'a ModelView) -> &'a Row {
        let name = &view.row.budget.name;
        if let Some(row) = self.staged_plan.as_ref().and_then(|plan| plan.after.row(name)) {
            return row;
        }
        let fresh = self.fresh.as_ref().and_then(|(desired, _)| desired.row(name));
        fresh.filter(|fresh| fresh.generation > view.row.generation).unwrap_or(&view.row)
    }

    /// Returns the models that own a core with the staged changes applied, as indices in the layout.
    pub fn owners(&self, core: CoreId) -> Vec<usize> {
        let models = self.snapshot.models.iter().enumerate();
        models
            .filter(|(_, view)| self.row_of(view).cores.contains(core))
            .map(|(index, _)| index)
            .collect()
    }

    /// Returns true if the layout differs from the one last saved or loaded.
    pub fn modified(&self) -> bool {
        let fresh = self.fresh.as_ref().map(|(desired, _)| desired);
        let Some(saved) = &self.saved else { return false };
        if self.snapshot.uptime_us == 0 && fresh.is_none() {
            // before the first snapshot there is nothing to compare
            return false;
        }
        let count = fresh.map_or(self.snapshot.models.len(), |desired| desired.rows.len());
        // the snapshot does not have a new row yet
        let row = |name: &str| self.live(name).or_else(|| fresh?.row(name));
        saved.len() != count
            || saved.iter().any(|budget| row(&budget.name).is_none_or(|row| row.budget != *budget))
    }

    /// Returns the name of the layout for the header.
    pub fn profile_name(&self) -> &str {
        self.profile.as_deref().unwrap_or("unnamed")
    }

    fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), tone });
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Returns the staged changes followed by this one.
    fn on_top(&self, change: &Change) -> Change {
        let staged = self.staged.iter().flat_map(|staged| staged.edits.iter());
        Change { edits: staged.chain(&change.edits).cloned().collect() }
    }
}
