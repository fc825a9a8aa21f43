//! Drags from one row to another: by holding the mouse button, by two clicks, or by keys. All three
//! share this code, so they produce the same change.

use super::action::{Action, Effect, PlanPurpose};
use super::gpus::{self, DeviceChoice};
use super::{ConsoleState, Pane, Tone};
use crate::layout::{Auto, Change, CoreOwner, CoreSelection, Edit, Plan, Refusal};
use crate::machine::{CoreId, CpuSet};

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
    plan_ticket: u64,
    survey_ticket: u64,
}

impl Drag {
    /// Returns true if cores are shared instead of moved.
    pub fn shares(&self) -> bool {
        self.share != self.modifier
    }

    /// Records a move of the pointer to this cell.
    pub(super) fn note_move(&mut self, at: (u16, u16)) {
        if let DragInput::ButtonHeld { origin, moved } = &mut self.input {
            *moved |= *origin != at;
        }
    }

    /// Returns the reason why a row would refuse the item.
    pub fn refusal(&self, row: &CoreOwner) -> Option<&str> {
        self.refusals.iter().find(|(party, _)| party == row).map(|(_, reason)| reason.as_str())
    }
}

impl ConsoleState {
    /// Returns the change that gives an item to a row; `None` if nothing would change.
    pub fn change_for(&self, token: &DragItem, to: &CoreOwner, share: bool) -> Option<Change> {
        if token.is_only_of(to) {
            return None;
        }
        let edit = match (token, to) {
            (DragItem::Several(parts), _) => {
                let given = parts.iter().filter(|(from, _)| from != to);
                let edits = given.map(|(from, cores)| Edit::TransferCores {
                    cores: CoreSelection::These(*cores),
                    from: from.clone(),
                    to: to.clone(),
                    share: share && *from != CoreOwner::Free && *to != CoreOwner::Free,
                });
                return Some(Change { edits: edits.collect() });
            }
            (DragItem::Gpu { place }, CoreOwner::Model(model)) => {
                return self.placing(model, place);
            }
            (DragItem::Placed { model, onto }, CoreOwner::Model(to)) if model == to => {
                return self.placing(model, onto.as_ref()?);
            }
            (DragItem::Gpu { .. } | DragItem::Placed { .. }, _) => return None,
            (DragItem::Cores { cores, from }, _) => Edit::TransferCores {
                cores: *cores,
                from: from.clone(),
                to: to.clone(),
                // free cores have no owner who could keep them
                share: share && *from != CoreOwner::Free && *to != CoreOwner::Free,
            },
            (DragItem::Instances { count, from }, CoreOwner::Model(to)) => {
                Edit::TransferConcurrency { count: *count, from: from.clone(), to: to.clone() }
            }
            (DragItem::Instances { count, from }, CoreOwner::Free) => {
                let left =
                    self.row(from)?.concurrency.checked_sub(*count).filter(|left| *left > 0)?;
                Edit::SetConcurrency { model: from.clone(), concurrency: Auto::Exactly(left) }
            }
        };
        Some(edit.into())
    }

    /// Starts a drag.
    pub(super) fn grab(&mut self, token: DragItem, means: DragInput) -> Vec<Effect> {
        if self.readonly {
            self.say(Tone::Bad, "read-only: nothing can be changed here");
            return Vec::new();
        }
        self.message = None;
        let at = match means {
            DragInput::ButtonHeld { origin, .. } => Some(origin),
            DragInput::Clicked | DragInput::Keyboard => None,
        };
        self.drag = Some(Drag {
            item: token,
            input: means,
            pointer: at,
            receiver: None,
            share: false,
            modifier: false,
            outcome: None,
            refusals: Vec::new(),
            plan_ticket: 0,
            survey_ticket: 0,
        });
        self.survey()
    }

    /// Starts a drag by key: of the selected cores in the cores pane, else of one unit of the
    /// selected row.
    pub(super) fn lift(&mut self) -> Vec<Effect> {
        if self.drag.is_some() {
            return self.drop_on(None);
        }
        let token = if self.focus == Pane::Cores && !self.picked.is_empty() {
            self.picked_token()
        } else if self.focus == Pane::Cores {
            self.core.and_then(|core| self.core_token(core))
        } else if self.column == super::Column::Instances {
            match &self.selected {
                CoreOwner::Model(name) => {
                    Some(DragItem::Instances { count: 1, from: name.clone() })
                }
                CoreOwner::Free => None,
            }
        } else if self.column == super::Column::Gpu {
            self.place_token()
        } else {
            self.row_token(&self.selected.clone())
        };
        let Some(token) = token else {
            self.say(Tone::Bad, "nothing to lift here: this row has no core");
            return Vec::new();
        };
        self.grab(token, DragInput::Keyboard)
    }

    /// Returns the item for any one core of a row; `None` if the row has no cores.
    pub fn row_token(&self, row: &CoreOwner) -> Option<DragItem> {
        let has = match row {
            CoreOwner::Model(name) => !self.row(name)?.cores.is_empty(),
            CoreOwner::Free => !self.ledger().free.is_empty(),
        };
        has.then(|| DragItem::Cores { cores: CoreSelection::Count(1), from: row.clone() })
    }

    /// Returns the item for one core. Of several owners, it comes from the selected one, else from
    /// the first.
    pub fn core_token(&self, core: CoreId) -> Option<DragItem> {
        let from = self.core_party(core)?;
        Some(DragItem::Cores { cores: CoreSelection::These(CpuSet::single(core)), from })
    }

    /// Returns the owner of a core; `None` for a core that this process may not use.
    pub fn core_party(&self, core: CoreId) -> Option<CoreOwner> {
        let owners = self.owners(core);
        let names: Vec<&String> = owners
            .iter()
            .filter_map(|index| self.snapshot.models.get(*index))
            .map(|view| &view.row.budget.name)
            .collect();
        if let CoreOwner::Model(selected) = &self.selected
            && names.contains(&selected)
        {
            return Some(self.selected.clone());
        }
        match names.first() {
            Some(name) => Some(CoreOwner::Model((*name).clone())),
            None => self.snapshot.ledger.allowed.contains(core).then_some(CoreOwner::Free),
        }
    }

    /// Sets the receiver of the drag.
    pub(super) fn hover(&mut self, over: Option<CoreOwner>) -> Vec<Effect> {
        let Some(drag) = &mut self.drag else {
            return Vec::new();
        };
        let over = over.filter(|party| !drag.item.is_only_of(party));
        if drag.receiver == over {
            return Vec::new();
        }
        drag.receiver = over;
        self.ask()
    }

    /// Requests the plan of a drop on the receiver.
    fn ask(&mut self) -> Vec<Effect> {
        let ticket = self.ticket();
        let Some(drag) = &mut self.drag else {
            return Vec::new();
        };
        drag.plan_ticket = ticket;
        drag.outcome = None;
        let Some(change) = self.drag_change() else {
            return Vec::new();
        };
        vec![Effect::Plan { ticket, question: PlanPurpose::Drag, change: self.on_top(&change) }]
    }

    /// Returns the change that a drop on the current receiver would make.
    pub fn drag_change(&self) -> Option<Change> {
        let drag = self.drag.as_ref()?;
        self.change_for(&drag.item, drag.receiver.as_ref()?, drag.shares())
    }

    /// Requests the list of rows that would refuse the item.
    fn survey(&mut self) -> Vec<Effect> {
        let ticket = self.ticket();
        let Some(drag) = &mut self.drag else {
            return Vec::new();
        };
        drag.survey_ticket = ticket;
        let (token, share) = (drag.item.clone(), drag.shares());
        let candidates = self
            .rows()
            .into_iter()
            .filter_map(|party| {
                let change = self.change_for(&token, &party, share)?;
                Some((party, self.on_top(&change)))
            })
            .collect();
        vec![Effect::Survey { ticket, candidates }]
    }

    pub(super) fn surveyed(&mut self, ticket: u64, refusals: Vec<(CoreOwner, String)>) {
        if let Some(drag) = self.drag.as_mut().filter(|drag| drag.survey_ticket == ticket) {
            drag.refusals = refusals;
        }
    }

    pub(super) fn consequence(&mut self, ticket: u64, result: Result<Plan, Refusal>) {
        if let Some(drag) = self.drag.as_mut().filter(|drag| drag.plan_ticket == ticket) {
            drag.outcome = Some(result);
        }
    }

    /// Switches between sharing and moving cores.
    pub(super) fn toggle_share(&mut self) -> Vec<Effect> {
        let Some(drag) = &mut self.drag else {
            self.say(Tone::Info, "sharing works during a drag: lift a core first");
            return Vec::new();
        };
        drag.share = !drag.share;
        self.again()
    }

    /// Requests all plans again after the item has changed.
    fn again(&mut self) -> Vec<Effect> {
        let mut effects = self.survey();
        effects.extend(self.ask());
        effects
    }

    /// Drags more or fewer of the donor's cores or instances.
    pub(super) fn amount(&mut self, by: i32) -> Vec<Effect> {
        let Some(drag) = &self.drag else {
            return Vec::new();
        };
        let donor = drag.item.donor();
        let owned = match &donor {
            CoreOwner::Model(name) => self.row(name).map_or(CpuSet::EMPTY, |row| row.cores),
            CoreOwner::Free => self.ledger().free,
        };
        let step = |count: usize, most: usize| {
            count.saturating_add_signed(by as isize).clamp(1, most.max(1))
        };
        let token = match drag.item.clone() {
            DragItem::Cores { cores: CoreSelection::Count(count), from } => {
                DragItem::Cores { cores: CoreSelection::Count(step(count, owned.len())), from }
            }
            DragItem::Cores { cores: CoreSelection::These(mut set), from } => {
                let highest = set.iter().last();
                let next = owned.iter().find(|core| highest.is_some_and(|high| *core > high));
                match (by > 0, next, highest) {
                    (true, Some(core), _) => set.insert(core),
                    (false, _, Some(core)) if set.len() > 1 => set.remove(core),
                    _ => return Vec::new(),
                }
                DragItem::Cores { cores: CoreSelection::These(set), from }
            }
            // cores selected one by one have no defined next core
            DragItem::Several(_) | DragItem::Gpu { .. } | DragItem::Placed { .. } => {
                return Vec::new();
            }
            DragItem::Instances { count, from } => {
                let most = self.row(&from).map_or(1, |row| row.concurrency);
                DragItem::Instances { count: step(count, most), from }
            }
        };
        if let Some(drag) = &mut self.drag {
            drag.item = token;
        }
        self.again()
    }

    /// Drops the item: on `over` if given, else on the receiver chosen by key.
    pub(super) fn drop_on(&mut self, over: Option<CoreOwner>) -> Vec<Effect> {
        if over.is_some()
            && let Some(drag) = &mut self.drag
        {
            drag.receiver = over;
        }
        let change = self.drag_change();
        let Some(drag) = self.drag.take() else {
            return Vec::new();
        };
        self.leave_cores();
        let Some(change) = change else {
            let title = drag.item.title();
            self.say(Tone::Info, format!("drag of {title} cancelled: nothing was changed"));
            return Vec::new();
        };
        self.commit(change)
    }

    /// Cancels the drag, for the given reason.
    pub(super) fn cancel_drag(&mut self, why: &str) {
        if let Some(drag) = self.drag.take() {
            self.say(Tone::Info, format!("drag of {} cancelled: {why}", drag.item.title()));
        }
    }

    /// Performs the actions of a drag by pointer.
    pub(super) fn drag_action(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Grab { token, at } => {
                self.grab(token, DragInput::ButtonHeld { origin: at, moved: false })
            }
            Action::Hover { over, at, modifier } => {
                let Some(drag) = &mut self.drag else {
                    return Vec::new();
                };
                drag.note_move(at);
                drag.pointer = Some(at);
                let turned = drag.modifier != modifier;
                drag.modifier = modifier;
                let mut effects = self.hover(over);
                if turned {
                    effects = self.again();
                }
                effects
            }
            Action::Pick => {
                if let Some(drag) = &mut self.drag {
                    drag.input = DragInput::Clicked;
                    if drag.item.cores() != self.picked {
                        self.leave_cores();
                    }
                }
                Vec::new()
            }
            Action::PickCore { core, range } => {
                self.drag = None;
                if range {
                    self.pick_to(core);
                } else {
                    self.pick_too(core);
                }
                Vec::new()
            }
            Action::Drop { over, modifier } => {
                if let Some(drag) = &mut self.drag {
                    drag.modifier = modifier;
                    drag.receiver = None;
                }
                self.drop_on(over)
            }
            Action::CancelDrag(why) => {
                self.cancel_drag(why);
                Vec::new()
            }
            Action::Aim { place, at, drop } => self.aim(place, at, drop),
            Action::Amount(by) => self.amount(by),
            _ => Vec::new(),
        }
    }
}
