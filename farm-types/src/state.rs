//! States: each is one enum, and each is a type of the same labels in the database.

use crate::label::label_enum;

label_enum! {
    /// What intake decided about a job. How its tasks fare is derived from them, see [`Progress`].
    JobState, "job state" {
        /// Handed in; no validator has decided yet.
        Submitted = "submitted",
        /// Tasks were made for all its platforms.
        Accepted = "accepted",
        /// Refused, with every reason.
        Rejected = "rejected",
        /// Withdrawn before it was accepted.
        Cancelled = "cancelled",
    }
}

label_enum! {
    /// Where a task stands.
    TaskState, "task state" {
        /// The job it comes after has not ended.
        Waiting = "waiting",
        /// Ready to be claimed, at once or after a backoff.
        Pending = "pending",
        /// A builder holds a lease on it.
        Leased = "leased",
        /// Built.
        Succeeded = "succeeded",
        /// Not built, for a reason that is final.
        Failed = "failed",
        /// Withdrawn.
        Cancelled = "cancelled",
    }
}

impl TaskState {
    /// Whether nothing can happen to the task any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

label_enum! {
    /// What a person sees of a job: its state, or, once accepted, what its tasks add up to.
    Progress, "progress" {
        /// Waiting for a validator.
        Submitted = "submitted",
        /// Refused.
        Rejected = "rejected",
        /// Accepted; no task has begun.
        Queued = "queued",
        /// Some task has begun, and not all have ended.
        Running = "running",
        /// Every task succeeded.
        Succeeded = "succeeded",
        /// All tasks have ended and at least one failed.
        Failed = "failed",
        /// All tasks have ended, none failed, and at least one was cancelled.
        Cancelled = "cancelled",
    }
}

impl Progress {
    /// Whether the job has come to its end.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Rejected | Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

label_enum! {
    /// Who goes first: every urgent task before every normal one, and so on.
    Class, "class" {
        /// Before everything else.
        Urgent = "urgent",
        /// What people submit.
        Normal = "normal",
        /// Mass rebuilds: when nothing else is there to do.
        Background = "background",
    }
}

label_enum! {
    /// Whether a builder is given tasks.
    BuilderState, "builder state" {
        /// It is.
        Enabled = "enabled",
        /// It finishes what it has and takes no more.
        Draining = "draining",
        /// It is given nothing.
        Disabled = "disabled",
    }
}

label_enum! {
    /// What a file is that an attempt produced.
    ArtifactKind, "artifact kind" {
        /// A binary package.
        Rpm = "rpm",
        /// A source package, as rebuilt on the platform.
        Srpm = "srpm",
        /// The whole log, gzip compressed.
        Log = "log",
        /// What the build was made with.
        Manifest = "manifest",
    }
}
