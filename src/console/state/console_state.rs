//! The state of the console, and queries of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::action::Effect;
use super::attachment::Attachment;
use super::connection_order::ConnectionOrder;
use super::core_order;
use super::dialog::Dialog;
use super::drag::Drag;
use super::history::MetricHistory;
use super::hits::{HitMap, ScrollLimits};
use super::journal::JournalView;
use super::layouts::LayoutList;
use super::log::LogView;
use super::message_change::MessageChange;
use super::origin::Origins;
use super::screen::{Column, Message, Mode, Pane, Screen, Tone};
use super::sorting::Sorting;
use super::staged_changes::StagedChanges;
use crate::console::glyphs::Glyphs;
use crate::console::input::Keymap;
use crate::console::options::ConsoleOptions;
use crate::console::theme::Theme;
use crate::layout::{Budget, Change, CoreOwner, DesiredState, Ledger, Plan, Row, RowKey};
use crate::machine::{CoreId, CpuSet};
use crate::telemetry::{ModelView, Snapshot, StateVersion};

/// The answer that cancels quitting.
const STAY: (&str, &str, &str) = ("n", "stay", "stay");

/// Everything that the view needs.
#[derive(Clone, Debug)]
pub struct ConsoleState {
    /// Counts the actions taken in, other than snapshots: the view compares it.
    pub revision: u64,
    /// The newest snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The history of earlier snapshots.
    pub history: MetricHistory,
    /// The journal, and the change that is selected there.
    pub journal: JournalView,
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
    /// True if the line of other processes, below the rows, is selected instead.
    pub on_others: bool,
    /// The selected column.
    pub column: Column,
    /// The selected core of the cores pane.
    pub core: Option<CoreId>,
    /// The cores of a multiple selection; empty if at most [`Self::core`] is selected.
    pub picked: CpuSet,
    /// The order of the table's rows.
    pub sorting: Sorting,
    /// The order of the connections.
    pub connection_order: ConnectionOrder,
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
    /// The staged changes.
    pub staged: StagedChanges,
    /// The plan of all staged changes.
    pub staged_plan: Option<Plan>,
    /// The open dialog.
    pub dialog: Option<Dialog>,
    /// A dialog that returns when the open one closes.
    pub(super) covered: Option<Dialog>,
    /// True if the last frame was too small for the console.
    pub too_small: bool,
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
    /// The change that the message is about.
    pub(super) message_change: Option<MessageChange>,
    /// True if nothing may be changed.
    pub readonly: bool,
    /// The run to which the console is attached; `None` if the models are in this process.
    pub attached: Option<Attachment>,
    /// The process of that run that was connected last.
    pub(super) attached_pid: Option<u32>,
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
    pub(super) fresh: Option<(DesiredState, Ledger)>,
    /// True if the console quits as soon as the layout is saved, or the staged changes are applied.
    pub(super) leaving: bool,
    /// The names of the layouts whose files this run has opened or saved, and may write.
    pub(super) opened: BTreeSet<String>,
    /// The layouts that an undo returns to.
    pub(super) origins: Origins,
    /// The uptime from which on it is read again which saved layout is live, in microseconds.
    pub(super) current_due_us: Option<u64>,
    /// An added or renamed model, to be selected once a snapshot shows it.
    pub(super) arriving: Option<String>,
    /// The first core of a range.
    pub(super) anchor: Option<CoreId>,
    pub(super) tickets: u64,
    /// The newest request for the plan of the staged changes.
    pub(super) staged_ticket: u64,
    /// That request, if it was repeated because the rows had changed.
    pub(super) planned_anew: u64,
    /// The version of the last change that added, removed or renamed rows.
    pub(super) awaited_version: StateVersion,
}

impl ConsoleState {
    /// The state before the first snapshot.
    pub fn new(options: &ConsoleOptions) -> Self {
        let writable = options.opened.as_ref().is_some_and(|opened| !opened.read_only);
        let opened = options.profile.iter().filter(|_| writable);
        Self {
            revision: 0,
            snapshot: Arc::default(),
            history: MetricHistory::default(),
            journal: JournalView::default(),
            log: LogView::default(),
            screen: Screen::default(),
            focus: Pane::default(),
            expanded: false,
            selected: CoreOwner::Free,
            on_others: false,
            column: Column::default(),
            core: None,
            picked: CpuSet::EMPTY,
            sorting: Sorting::default(),
            connection_order: ConnectionOrder::default(),
            scroll: 0,
            scroll_changes: 0,
            scroll_limits: ScrollLimits::default(),
            drag: None,
            mode: options.mode,
            staged: StagedChanges::default(),
            staged_plan: None,
            dialog: None,
            covered: None,
            too_small: false,
            filter: String::new(),
            layouts: LayoutList::new(options.last_layout.clone()),
            profile: options.profile.clone(),
            saved: None,
            message: options.greeting.clone().map(|text| Message { text, tone: Tone::Info }),
            message_change: None,
            readonly: options.readonly,
            attached_pid: options.attached.as_ref().and_then(|run| run.connection.borrow().pid()),
            attached: options.attached.as_ref().map(|run| Attachment {
                name: run.name.clone(),
                connection: run.connection.borrow().clone(),
                lost_s: 0,
                asks_at_quit: run.asks_at_quit,
            }),
            mouse: options.mouse,
            theme: Theme::new(options.theme),
            glyphs: Glyphs::new(options.glyphs),
            keymap: options.keymap.clone(),
            reduced_motion: options.reduced_motion,
            zone: options.zone.clone(),
            fresh: None,
            leaving: false,
            opened: opened.cloned().collect(),
            origins: Origins::default(),
            current_due_us: None,
            arriving: None,
            anchor: None,
            tickets: 0,
            staged_ticket: 0,
            planned_anew: 0,
            awaited_version: StateVersion::default(),
        }
    }

    /// Notes the frame that further input refers to.
    pub fn note_frame(&mut self, hits: &HitMap) {
        self.scroll_limits = hits.scroll_limits;
        self.too_small = hits.too_small;
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

    /// Returns the number of lines of the table: the rows, and the line of other processes.
    pub fn table_lines(&self) -> usize {
        self.rows().len() + usize::from(self.snapshot.others.is_some())
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

    pub(super) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        if tone == Tone::Bad && text.contains('\n') && self.dialog.is_none() {
            // the message has room for a line or two
            self.dialog = Some(Dialog::Report { text: text.clone(), scroll: 0 });
        }
        self.message = Some(Message { text, tone });
        self.message_change = None;
    }

    pub(super) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Returns the staged changes followed by this one.
    pub(super) fn on_top(&self, change: &Change) -> Change {
        let staged = self.staged.iter().flat_map(|staged| staged.edits.iter());
        Change { edits: staged.chain(&change.edits).cloned().collect() }
    }
    /// Returns the keys of a model's row with the staged changes applied; empty if it was removed.
    pub fn row_keys(&self, model: &str) -> Vec<RowKey> {
        let keys = self.row(model).map(|row| row.budget.row_keys());
        // a path that is not UTF-8 (set through the API) cannot be written to a layout file
        keys.and_then(Result::ok).unwrap_or_default()
    }

    /// Returns the answers of the question before quitting: key, description, and a single word for
    /// it.
    pub fn ways_out(&self) -> [(&'static str, &'static str, &'static str); 3] {
        if self.staged.is_empty() && self.run_to_leave().is_some() {
            let leave = ("d", "leave it running", "leave it");
            [leave, ("s", "stop it and its models", "stop it"), STAY]
        } else if self.staged.is_empty() {
            [("s", "save and leave", "save, leave"), ("d", "leave without saving", "leave"), STAY]
        } else {
            [
                ("enter", "apply and leave", "apply, leave"),
                ("d", "leave without applying", "leave"),
                STAY,
            ]
        }
    }

    /// Requests newer lines if the log is shown.
    pub(super) fn follow_log(&self) -> Vec<Effect> {
        let shown = self.screen == Screen::Log;
        shown.then(|| self.log.ask()).into_iter().collect()
    }

    /// Returns the groups of cores with the same node and last-level cache, as indices in the
    /// snapshot, ordered by their first core.
    pub fn core_groups(&self) -> Vec<Vec<usize>> {
        core_order::groups(&self.snapshot.cores)
    }
}
