use farm_api::people::BuilderVerdict;
use farm_types::{BuilderState, TaskState, WaitReason};
use jiff::Timestamp;

use super::facts::{After, Candidate, Facts};

/// A reason, and the sentence that goes with it.
pub(super) type Told = (WaitReason, String);

fn at(time: Option<Timestamp>) -> String {
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

/// What each builder has to do with it, those that serve its platform first.
pub(super) fn verdicts(facts: &Facts) -> Vec<BuilderVerdict> {
    let mut all: Vec<_> = facts.builders.iter().map(|candidate| (!candidate.serves(), candidate)).collect();
    all.sort_by_key(|(other, _)| *other);
    let verdicts = all.into_iter().map(|(_, candidate)| {
        let (reason, summary) = candidate.told(facts);
        BuilderVerdict { builder: candidate.name.clone(), could_take_it: reason == WaitReason::Room, reason, summary }
    });
    verdicts.collect()
}

/// Why the task is where it is.
pub(super) fn of_task(facts: &Facts, verdicts: &[BuilderVerdict]) -> Told {
    let message = || facts.message.clone().filter(|text| !text.is_empty());
    match facts.state {
        TaskState::Waiting => {
            let other = || "it comes after another job".to_owned();
            (WaitReason::After, facts.after.as_ref().map_or_else(other, waits_for))
        }
        TaskState::Pending => pending(facts, verdicts),
        TaskState::Leased => {
            let builder = facts.builder.as_ref().map_or("unknown", |name| name.as_str());
            let stage = facts.stage.map(|stage| format!(", stage {stage}")).unwrap_or_default();
            (WaitReason::Building, format!("builder {builder} is at it{stage}"))
        }
        TaskState::Succeeded => (WaitReason::Built, "it was built".to_owned()),
        TaskState::Failed if facts.set_aside => {
            (WaitReason::SetAside, message().unwrap_or_else(|| "it is set aside".to_owned()))
        }
        TaskState::Failed => (WaitReason::Failed, message().unwrap_or_else(|| "it failed".to_owned())),
        TaskState::Cancelled => (WaitReason::Cancelled, message().unwrap_or_else(|| "it was cancelled".to_owned())),
    }
}

fn waits_for(after: &After) -> String {
    let title = after.title.as_ref().map(|title| format!(" (“{title}”)")).unwrap_or_default();
    let still = match after {
        After { accepted: false, .. } => "which no validator has decided on yet".to_owned(),
        After { waits_for: Some(before), .. } => format!("which waits for job {before} itself"),
        After { tasks, ended, leased, .. } => {
            let noun = if *tasks == 1 { "task" } else { "tasks" };
            let has = if *ended == 1 { "has" } else { "have" };
            let is = if *leased == 1 { "is" } else { "are" };
            format!("of whose {tasks} {noun} {ended} {has} ended and {leased} {is} being built")
        }
    };
    format!("it comes after job {}{title}, {still}; it goes on when all of them have succeeded", after.job)
}

fn pending(facts: &Facts, verdicts: &[BuilderVerdict]) -> Told {
    let platform = &facts.platform;
    if !facts.enabled {
        return (
            WaitReason::PlatformDisabled,
            format!("platform {platform} is disabled; an operator has to enable it"),
        );
    }
    if !facts.queued {
        return (WaitReason::NotQueued, "it is pending, and yet not in the queue".to_owned());
    }
    if facts.backing_off {
        let until = at(facts.not_before);
        let text = format!("its last attempt was spoilt by a fault of the farm; it is tried again after {until}");
        return (WaitReason::BackingOff, text);
    }
    if verdicts.iter().any(|verdict| verdict.could_take_it) {
        return if facts.line.as_ref().is_some_and(|line| line.ahead > 0) {
            (WaitReason::Line, "a builder has a free slot, and those ahead are given theirs first".to_owned())
        } else {
            (WaitReason::Next, "a builder has a free slot; it should begin within a second".to_owned())
        };
    }
    let any = |of: fn(&Candidate) -> bool| facts.builders.iter().any(of);
    let reason = match (any(Candidate::serves), any(Candidate::takes_tasks)) {
        (false, _) => WaitReason::NoBuilder,
        (true, false) => WaitReason::NoneTakes,
        (true, true) => WaitReason::Busy,
    };
    (reason, format!("no builder can take it now: {}", blocked(verdicts)))
}

fn blocked(verdicts: &[BuilderVerdict]) -> String {
    if verdicts.is_empty() {
        return "none is registered".to_owned();
    }
    let told: Vec<_> =
        verdicts.iter().take(3).map(|verdict| format!("{} {}", verdict.builder, verdict.summary)).collect();
    match verdicts.len() {
        n if n > 3 => format!("{}; and {} more", told.join("; "), n - 3),
        _ => told.join("; "),
    }
}

impl Candidate {
    /// Whether it would take tasks of the platform, if nothing else were in the way.
    pub(super) fn serves(&self) -> bool {
        self.arch_fits && self.allowed
    }

    /// Whether it takes tasks of the platform, as far as it has room.
    pub(super) fn takes_tasks(&self) -> bool {
        self.serves()
            && self.state == BuilderState::Enabled
            && self.alive
            && self.takes_nothing.is_none()
            && self.slots > 0
    }

    /// How many slots it can use for such tasks.
    pub(super) fn slots_for(&self, facts: &Facts) -> u32 {
        self.slots.saturating_sub(if facts.background { self.spare } else { 0 })
    }

    fn told(&self, facts: &Facts) -> Told {
        self.out_of_question(facts).unwrap_or_else(|| self.room(facts))
    }

    /// Why the task is not for it, whatever room it has.
    fn out_of_question(&self, facts: &Facts) -> Option<Told> {
        let because = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(match self.state {
            BuilderState::Disabled if self.out => (WaitReason::OutOfService, format!("is out of service{because}")),
            BuilderState::Disabled => (WaitReason::Disabled, format!("is disabled{because}")),
            BuilderState::Draining => (WaitReason::Draining, format!("is draining{because}")),
            BuilderState::Enabled if self.seen.is_none() => (WaitReason::NeverCame, "never said hello".to_owned()),
            BuilderState::Enabled if !self.arch_fits => {
                (WaitReason::OtherArch, format!("builds for {} only", self.arches.join(", ")))
            }
            BuilderState::Enabled if !self.allowed => {
                (WaitReason::NotServed, format!("does not serve {}", facts.platform))
            }
            BuilderState::Enabled if !self.alive => (WaitReason::Away, format!("was last heard of {}", at(self.seen))),
            BuilderState::Enabled => match &self.takes_nothing {
                Some(reason) => (WaitReason::TakesNothing, format!("takes nothing: {reason}")),
                None if !facts.enabled => {
                    (WaitReason::PlatformDisabled, "serves its platform, which is disabled".to_owned())
                }
                None => return None,
            },
        })
    }

    /// Whether what it has free is for such a task even while it keeps slots for another.
    fn gives_spare(&self, facts: &Facts, free: u32) -> bool {
        self.saves_for_background && !facts.background && free <= self.spare
    }

    /// Whether there is room for the task, and whether it may be given to it.
    fn room(&self, facts: &Facts) -> Told {
        let (free, takes) = (self.slots.saturating_sub(self.used), facts.weight.min(self.slots.max(1)));
        match self.saves_for {
            Some(task) if task == facts.id && free < takes => {
                let text = format!("keeps its slots for it: {free} of the {takes} that it takes are free");
                return (WaitReason::KeptForIt, text);
            }
            _ if free == 0 => return (WaitReason::Full, format!("is full: {} of {} slots", self.used, self.slots)),
            _ if free < takes => {
                let noun = if free == 1 { "slot" } else { "slots" };
                return (WaitReason::LittleRoom, format!("has {free} {noun} free, and the task takes {takes}"));
            }
            _ if facts.background && free < takes + self.spare => {
                let noun = if self.spare == 1 { "slot" } else { "slots" };
                let text = format!("leaves {} {noun} to tasks that are not background: {free} free", self.spare);
                return (WaitReason::SpareSlots, text);
            }
            Some(task) if task != facts.id && !self.before_saved && !self.gives_spare(facts, free) => {
                return (WaitReason::KeptForAnother, format!("keeps its slots for task {task}"));
            }
            _ => {}
        }
        match self.avoided_until {
            Some(_) => {
                let text = format!("spoilt it before: until {} others may take it first", at(self.avoided_until));
                (WaitReason::SpoiltIt, text)
            }
            None if facts.backing_off => {
                (WaitReason::BackingOff, format!("may take it after {}", at(facts.not_before)))
            }
            None => (WaitReason::Room, "has a free slot".to_owned()),
        }
    }
}
