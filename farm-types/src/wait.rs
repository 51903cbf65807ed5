//! Why a task is where it is, and why a builder does not take it.

use crate::label::label_enum;

label_enum! {
    /// Why a task is where it is, or why a builder does not take it. There is no other reason. docs/CLI.md has them as a table, with what
    /// can be done.
    WaitReason, "wait reason" {
        /// Of a task: it comes after another job.
        After = "after",
        /// Of a task: its platform is disabled. Of a builder: it serves the platform, but for that.
        PlatformDisabled = "platform_disabled",
        /// Of a task: its last attempt was spoilt, and the next one is put off. Of a builder: it could take it then.
        BackingOff = "backing_off",
        /// Of a task: no builder serves its platform.
        NoBuilder = "no_builder",
        /// Of a task: builders serve its platform, but none takes tasks now.
        NoneTakes = "none_takes",
        /// Of a task: all builders that take tasks have no room for it.
        Busy = "busy",
        /// Of a task: a builder has room, and others go first.
        Line = "line",
        /// Of a task: a builder has room, and nobody goes first.
        Next = "next",
        /// Of a task: it is pending, but not in the queue.
        NotQueued = "not_queued",
        /// Of a task: a builder is at it.
        Building = "building",
        /// Of a task: it was built.
        Built = "built",
        /// Of a task: it failed.
        Failed = "failed",
        /// Of a task: it was cancelled.
        Cancelled = "cancelled",
        /// Of a task: it took three builders with it.
        SetAside = "set_aside",
        /// Of a builder: it has room.
        Room = "room",
        /// Of a builder: an operator disabled it.
        Disabled = "disabled",
        /// Of a builder: an operator lets it finish what it has.
        Draining = "draining",
        /// Of a builder: the farm took it out of service.
        OutOfService = "out_of_service",
        /// Of a builder: it is registered and never came.
        NeverCame = "never_came",
        /// Of a builder: it has not been heard of for two minutes.
        Away = "away",
        /// Of a builder: its machine cannot build for the platform's architecture.
        OtherArch = "other_arch",
        /// Of a builder: an operator said what it serves, and the platform is not among it.
        NotServed = "not_served",
        /// Of a builder: its machine is short of something, or something is wrong with it; it says what.
        TakesNothing = "takes_nothing",
        /// Of a builder: all its slots are used.
        Full = "full",
        /// Of a builder: the task takes more slots than are free.
        LittleRoom = "little_room",
        /// Of a builder: it leaves the slots that are free to tasks that are not background.
        SpareSlots = "spare_slots",
        /// Of a builder: it keeps its slots for this task until enough are free.
        KeptForIt = "kept_for_it",
        /// Of a builder: it keeps its slots for another task, which takes many.
        KeptForAnother = "kept_for_another",
        /// Of a builder: it spoilt an attempt at this task, so others may take it first.
        SpoiltIt = "spoilt_it",
    }
}

impl WaitReason {
    /// What can be done about it, in one sentence.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::After => "nothing: it goes on when that job is built, and is cancelled if that job fails",
            Self::PlatformDisabled => "an operator enables it: `farm-admin platform enable NAME`",
            Self::BackingOff => "nothing: it is tried again by itself",
            Self::NoBuilder => "an operator adds a builder for it: `farm-admin builder add`",
            Self::NoneTakes => "see what each builder says below, and help the one that can be helped",
            Self::Busy => "wait, or start more builders",
            Self::Line => "wait: who has had less goes first",
            Self::Next => {
                "nothing: it begins at once; if it does not, see whether the hubs are there (`farm-admin doctor`)"
            }
            Self::NotQueued => "an operator runs `farm-admin check`: this is a fault of the farm",
            Self::Building => "follow it: `farm logs -f`",
            Self::Built => "nothing: `farm download` gets what was built",
            Self::Failed => "mend the package, or `farm retry` where it was not its fault",
            Self::Cancelled => "`farm retry` builds it after all",
            Self::SetAside => "an administrator looks into it: `farm-admin set-aside put-back TASK`",
            Self::Room => "nothing",
            Self::Disabled | Self::Draining => "an operator puts it back: `farm-admin builder enable NAME`",
            Self::OutOfService => "an operator mends it and puts it back: `farm-admin builder enable NAME`",
            Self::NeverCame => "an operator starts farm-builder there",
            Self::Away => "an operator sees after its machine and its network",
            Self::OtherArch => "it takes a builder of that architecture",
            Self::NotServed => {
                "an operator adds the platform to what it serves: `farm-admin builder add NAME --platforms …`"
            }
            Self::TakesNothing => "it goes on by itself when that is over; an operator makes room on its machine",
            Self::Full => "wait until it has finished one",
            Self::LittleRoom => "wait until it has finished some; after that it keeps its slots for the task",
            Self::SpareSlots => {
                "wait until it has finished some; an operator sets how many are spare: `farm-admin builder spare NAME SLOTS`"
            }
            Self::KeptForIt => "wait until it has finished some: the task is next there",
            Self::KeptForAnother => "wait until that one has begun",
            Self::SpoiltIt => "nothing: after two minutes it may take it, too",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_people_has_each_reason_and_what_can_be_done_about_it() {
        let table: Vec<_> = include_str!("../../docs/CLI.md")
            .lines()
            .skip_while(|line| *line != "| reason | what it means | what can be done |")
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.split(" | ").collect::<Vec<_>>())
            .collect();
        let told: Vec<_> = table.iter().map(|row| (row[0], row[2].trim_end_matches(" |"))).collect();
        let labels: Vec<_> = WaitReason::ALL.iter().map(|reason| format!("| `{reason}`")).collect();
        let known: Vec<_> =
            WaitReason::ALL.iter().zip(&labels).map(|(reason, label)| (&label[..], reason.remedy())).collect();
        assert_eq!(told, known);
    }
}
