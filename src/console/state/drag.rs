//! What is carried from one row to another. Mouse drag, two clicks and the keyboard all end here,
//! so that the three give the same change.

use super::action::{Action, Effect, PlanPurpose};
use super::gpus::{self, DeviceChoice};
use super::{ConsoleState, Pane, Tone};
use crate::layout::{Auto, Change, CoreOwner, CoreSelection, Edit, Plan, Refusal};
use crate::machine::{CoreId, CpuSet};

/// The thing that is carried.
#[derive(Clone, Debug, PartialEq)]
pub enum DragItem {
    /// Cores of a party.
    Cores {
        /// How many, or which.
        cores: CoreSelection,
        /// Whose they are.
        from: CoreOwner,
    },
    /// Cores of several parties, each with what it gives.
    Several(Vec<(CoreOwner, CpuSet)>),
    /// Instances of a model.
    Instances {
        /// How many.
        count: usize,
        /// The model.
        from: String,
    },
    /// A place where models run: a card, or the CPU.
    Gpu {
        /// Which.
        place: DeviceChoice,
    },
    /// A model that looks for another place.
    Placed {
        /// The model.
        model: String,
        /// The place that the pointer is over.
        onto: Option<DeviceChoice>,
    },
}

impl DragItem {
    /// Who gives; of several the first.
    pub fn donor(&self) -> CoreOwner {
        match self {
            Self::Cores { from, .. } => from.clone(),
            Self::Several(parts) => parts.first().map_or(CoreOwner::Free, |(from, _)| from.clone()),
            Self::Instances { from, .. } => CoreOwner::Model(from.clone()),
            // nobody loses a card: several models can run on one
            Self::Gpu { .. } | Self::Placed { .. } => CoreOwner::Free,
        }
    }

    /// Whether a row gives all of it, and so can't be its receiver.
    pub fn is_only_of(&self, row: &CoreOwner) -> bool {
        !matches!(self, Self::Several(_)) && self.donor() == *row
    }

    /// Whether a row gives some of it.
    pub fn is_of(&self, row: &CoreOwner) -> bool {
        match self {
            Self::Several(parts) => parts.iter().any(|(from, _)| from == row),
            _ => self.donor() == *row,
        }
    }

    /// The certain cores that it is made of; empty where any will do.
    pub fn cores(&self) -> CpuSet {
        match self {
            Self::Cores { cores: CoreSelection::These(set), .. } => *set,
            Self::Several(parts) => {
                parts.iter().fold(CpuSet::EMPTY, |all, (_, cores)| all.union(cores))
            }
            _ => CpuSet::EMPTY,
        }
    }

    /// What it is, in words: "core 3", "2 cores", "1 instance".
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

/// By what it is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DragInput {
    /// The mouse, its button down since this place.
    ButtonHeld {
        /// Where it went down.
        origin: (u16, u16),
        /// Whether it has left that place since.
        moved: bool,
    },
    /// The mouse, between two clicks.
    Clicked,
    /// The keyboard.
    Keyboard,
}

/// A token on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Drag {
    /// What.
    pub item: DragItem,
    /// By what.
    pub input: DragInput,
    /// Where the pointer is; `None` for the keyboard.
    pub pointer: Option<(u16, u16)>,
    /// The row that would get it.
    pub receiver: Option<CoreOwner>,
    /// Whether the donor keeps the cores too, by key.
    pub share: bool,
    /// Whether a held modifier turns that around.
    pub modifier: bool,
    /// What dropping it here would do.
    pub outcome: Option<Result<Plan, Refusal>>,
    /// Rows that cannot take it, and why.
    pub refusals: Vec<(CoreOwner, String)>,
    plan_ticket: u64,
    survey_ticket: u64,
}

impl Drag {
    /// Whether cores are shared instead of moved.
    pub fn shares(&self) -> bool {
        self.share != self.modifier
    }

    /// Notes that the pointer is here now.
    pub(super) fn note_move(&mut self, at: (u16, u16)) {
        if let DragInput::ButtonHeld { origin, moved } = &mut self.input {
            *moved |= *origin != at;
        }
    }

    /// Why a row cannot take it.
    pub fn refusal(&self, row: &CoreOwner) -> Option<&str> {
        self.refusals.iter().find(|(party, _)| party == row).map(|(_, reason)| reason.as_str())
    }
}

impl ConsoleState {
    /// The change that giving the token to a row means; `None` where that means nothing.
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

    /// Takes a token up.
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

    /// Lifts by key: the selected core in the cores pane, else a unit of the selected row.
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

    /// The token of one core of a row; `None` where the row has none.
    pub fn row_token(&self, row: &CoreOwner) -> Option<DragItem> {
        let has = match row {
            CoreOwner::Model(name) => !self.row(name)?.cores.is_empty(),
            CoreOwner::Free => !self.ledger().free.is_empty(),
        };
        has.then(|| DragItem::Cores { cores: CoreSelection::Count(1), from: row.clone() })
    }

    /// The token of a certain core. Of several owners the selected one gives, else the first.
    pub fn core_token(&self, core: CoreId) -> Option<DragItem> {
        let from = self.core_party(core)?;
        Some(DragItem::Cores { cores: CoreSelection::These(CpuSet::single(core)), from })
    }

    /// Whose a core is; `None` for a core that this process may not use.
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

    /// Moves it over a row, by pointer or key.
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

    /// Asks what dropping it here would do.
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

    /// The change that a drop here and now would make.
    pub fn drag_change(&self) -> Option<Change> {
        let drag = self.drag.as_ref()?;
        self.change_for(&drag.item, drag.receiver.as_ref()?, drag.shares())
    }

    /// Asks which rows could take it.
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

    /// Shares instead of moving, or back.
    pub(super) fn toggle_share(&mut self) -> Vec<Effect> {
        let Some(drag) = &mut self.drag else {
            self.say(Tone::Info, "share works while a core is carried: lift one first");
            return Vec::new();
        };
        drag.share = !drag.share;
        self.again()
    }

    /// Asks all questions again, since what is carried has changed.
    fn again(&mut self) -> Vec<Effect> {
        let mut effects = self.survey();
        effects.extend(self.ask());
        effects
    }

    /// Carries more or fewer of the donor's units.
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
            // what was selected one by one has no next one
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

    /// Drops it: on `over` where the pointer says so, else on the row chosen by key.
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
            self.say(Tone::Info, format!("{title} put back: nothing was changed"));
            return Vec::new();
        };
        self.commit(change)
    }

    /// Puts it back.
    pub(super) fn cancel_drag(&mut self, why: &str) {
        if let Some(drag) = self.drag.take() {
            self.say(Tone::Info, format!("{} put back: {why}", drag.item.title()));
        }
    }

    /// The pointer's part of the actions.
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
