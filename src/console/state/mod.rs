//! What the console knows and shows: one value that `update` changes and the view reads.

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
    /// Where the memory is.
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
    /// Cores with owner and use.
    Cores,
    /// The table of models.
    #[default]
    Models,
    /// Histogram of the selected model.
    Latency,
    /// Its latencies over time.
    OverTime,
    /// The newest changes.
    Changes,
}

impl Pane {
    /// All of them in the order of the key that goes through them.
    pub const ALL: [Self; 5] =
        [Self::Models, Self::Cores, Self::Latency, Self::OverTime, Self::Changes];
}

/// The columns of the table that steps can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// Number of cores.
    #[default]
    Cores,
    /// Active instances.
    Instances,
    /// Threads of an instance.
    Threads,
    /// The queue's limit.
    Queue,
    /// The latency target's bound.
    Slo,
    /// The GPU, or the CPU.
    Gpu,
}

impl Column {
    /// All of them from left to right.
    pub const ALL: [Self; 6] =
        [Self::Cores, Self::Instances, Self::Threads, Self::Queue, Self::Slo, Self::Gpu];

    /// The word for it.
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

/// Whether gestures act at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each gesture is applied at once.
    #[default]
    Live,
    /// Gestures add up to one transaction.
    Staged,
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// For information.
    Info,
    /// Something worked.
    Good,
    /// Something was refused or failed.
    Bad,
}

/// One line about the last thing that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sentence.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// Everything that the view needs.
#[derive(Clone, Debug)]
pub struct ConsoleState {
    /// Counts the actions taken in, other than snapshots: the view compares it.
    pub revision: u64,
    /// The newest snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What was seen before.
    pub history: History,
    /// The whole journal, once it was asked for.
    pub journal: Vec<JournalEntry>,
    /// The log, as far as it was asked for.
    pub log: LogView,
    /// The screen.
    pub screen: Screen,
    /// The pane that has the keys.
    pub focus: Pane,
    /// Whether that pane has the whole screen.
    pub expanded: bool,
    /// The selected row of the table.
    pub selected: CoreOwner,
    /// The selected column.
    pub column: Column,
    /// The selected core of the cores pane.
    pub core: Option<CoreId>,
    /// The cores that are selected together; empty while it is only [`Self::core`].
    pub picked: CpuSet,
    /// The order of the table's rows.
    pub sorting: Sorting,
    /// First line shown of the screen's one pane.
    pub scroll: usize,
    /// First line shown of the newest changes.
    pub scroll_changes: usize,
    /// How far the lines of the last frame go, as its drawing has found.
    pub scroll_limits: ScrollLimits,
    /// What is carried from row to row.
    pub drag: Option<Drag>,
    /// Live or staged.
    pub mode: Mode,
    /// Staged changes, oldest first.
    pub staged: Vec<Change>,
    /// What they would do together.
    pub staged_plan: Option<Plan>,
    /// What lies over the screen.
    pub dialog: Option<Dialog>,
    /// Only models whose name contains this are shown.
    pub filter: String,
    /// The list of saved layouts.
    pub layouts: LayoutList,
    /// The name of the layout.
    pub profile: Option<String>,
    /// The rows as they were last saved or loaded, empty where they are saved nowhere; `None` until
    /// they are known.
    pub saved: Option<Vec<Budget>>,
    /// The last message.
    pub message: Option<Message>,
    /// Whether nothing may be changed.
    pub readonly: bool,
    /// Whether the mouse is captured.
    pub mouse: bool,
    /// Colours.
    pub theme: Theme,
    /// Characters.
    pub glyphs: Glyphs,
    /// Keys.
    pub keymap: Keymap,
    /// Whether nothing is to follow the pointer.
    pub reduced_motion: bool,
    /// The zone of clock times.
    pub zone: jiff::tz::TimeZone,
    /// The state after the last applied change, until a snapshot shows it.
    fresh: Option<(DesiredState, Ledger)>,
    /// Whether the console ends as soon as the layout is saved.
    leaving: bool,
    /// The layouts that an undo goes back to.
    origins: origin::Origins,
    /// A model that was added here: selected as soon as it is there.
    arriving: Option<String>,
    /// Where a range of cores begins.
    anchor: Option<CoreId>,
    tickets: u64,
    /// The question whose answer is the plan of what is staged.
    staged_ticket: u64,
    /// That question, where it was asked again since the rows had changed.
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

    /// The row of a model as it would be with what is staged, else as it is desired now.
    pub fn row(&self, model: &str) -> Option<&Row> {
        self.staged_plan
            .as_ref()
            .and_then(|plan| plan.after.row(model))
            .or_else(|| self.live(model))
    }

    /// The row of a model as it is desired now: the newer of the snapshot's and the last answer's.
    pub fn live(&self, model: &str) -> Option<&Row> {
        let shown = self.snapshot.model(model).map(|view| &view.row);
        let fresh = self.fresh.as_ref().and_then(|(desired, _)| desired.row(model));
        match (shown, fresh) {
            (Some(shown), Some(fresh)) if fresh.generation > shown.generation => Some(fresh),
            (shown, _) => shown,
        }
    }

    /// The machine's account, with what is staged.
    pub fn ledger(&self) -> &Ledger {
        match (&self.staged_plan, &self.fresh) {
            (Some(plan), _) => &plan.ledger,
            (None, Some((_, ledger))) => ledger,
            (None, None) => &self.snapshot.ledger,
        }
    }

    /// The rows of the table: the models that the filter lets through, then the free cores.
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

    /// The place of a model in the layout.
    pub fn index(&self, model: &str) -> Option<usize> {
        self.snapshot.models.iter().position(|view| view.row.budget.name == model)
    }

    /// The selected model; `None` while the row of free cores is selected.
    pub fn selected_model(&self) -> Option<&ModelView> {
        match &self.selected {
            CoreOwner::Model(name) => self.snapshot.model(name),
            CoreOwner::Free => None,
        }
    }

    /// [`Self::row`] of a model that is at hand: no name is looked up while nothing is under way.
    pub(crate) fn row_of<'a>(&'a self, view: &'a ModelView) -> &'a Row {
        let name = &view.row.budget.name;
        if let Some(row) = self.staged_plan.as_ref().and_then(|plan| plan.after.row(name)) {
            return row;
        }
        let fresh = self.fresh.as_ref().and_then(|(desired, _)| desired.row(name));
        fresh.filter(|fresh| fresh.generation > view.row.generation).unwrap_or(&view.row)
    }

    /// The models that have a core, with what is staged, as places in the layout.
    pub fn owners(&self, core: CoreId) -> Vec<usize> {
        let models = self.snapshot.models.iter().enumerate();
        models
            .filter(|(_, view)| self.row_of(view).cores.contains(core))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether the layout differs from what was last saved or loaded.
    pub fn modified(&self) -> bool {
        let fresh = self.fresh.as_ref().map(|(desired, _)| desired);
        let Some(saved) = &self.saved else { return false };
        if self.snapshot.uptime_us == 0 && fresh.is_none() {
            // before the first figures there is nothing to compare
            return false;
        }
        let count = fresh.map_or(self.snapshot.models.len(), |desired| desired.rows.len());
        // a row that has just come is not in the figures yet
        let row = |name: &str| self.live(name).or_else(|| fresh?.row(name));
        saved.len() != count
            || saved.iter().any(|budget| row(&budget.name).is_none_or(|row| row.budget != *budget))
    }

    /// The name of the layout for the header.
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

    /// A change on top of what is staged.
    fn on_top(&self, change: &Change) -> Change {
        let staged = self.staged.iter().flat_map(|staged| staged.edits.iter());
        Change { edits: staged.chain(&change.edits).cloned().collect() }
    }
}
