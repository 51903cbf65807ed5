//! How an attempt ended, why, and where.

use crate::label::label_enum;

label_enum! {
    /// How an attempt ended.
    Outcome, "outcome" {
        /// The packages are there.
        Succeeded = "succeeded",
        /// The package's own fault: final, never retried.
        Failed = "failed",
        /// The farm's fault: retried, on another builder where there is one.
        FarmFault = "farm_fault",
        /// Somebody withdrew the task.
        Cancelled = "cancelled",
        /// The builder went silent and its lease ran out: retried like a fault of the farm.
        Lost = "lost",
        /// The builder gave the task back (it is shutting down): retried, and not counted against the task.
        Released = "released",
    }
}

label_enum! {
    /// Why an attempt did not succeed.
    Cause, "cause" {
        /// The source package cannot be unpacked or parsed on this platform.
        SourceInvalid = "source_invalid",
        /// A BuildRequires cannot be had.
        Dependencies = "dependencies",
        /// The chroot could not be made.
        Chroot = "chroot",
        /// `%prep` failed.
        Prep = "prep",
        /// `%build` failed.
        Build = "build",
        /// `%install` or the packaging of the files failed.
        Install = "install",
        /// `%check` failed.
        Check = "check",
        /// The build took longer than it may.
        Timeout = "timeout",
        /// The build printed nothing for longer than it may.
        Silent = "silent",
        /// The build wanted more memory than it may have.
        OutOfMemory = "out_of_memory",
        /// The build filled its disk.
        DiskFull = "disk_full",
        /// Log or packages grew larger than they may.
        OutputTooLarge = "output_too_large",
        /// The results could not be delivered.
        Upload = "upload",
        /// The builder went silent.
        BuilderLost = "builder_lost",
        /// Somebody withdrew the task.
        Cancelled = "cancelled",
        /// Something else in the farm went wrong.
        Internal = "internal",
    }
}

label_enum! {
    /// What an attempt is doing; stages follow each other in this order.
    Stage, "stage" {
        /// Getting the sources, digests verified.
        Fetch = "fetch",
        /// Making the chroot.
        Chroot = "chroot",
        /// Installing the SRPM and rebuilding it with the platform's macros.
        Source = "source",
        /// Installing the BuildRequires.
        Dependencies = "dependencies",
        /// `%prep`.
        Prep = "prep",
        /// `%build`.
        Build = "build",
        /// `%install`.
        Install = "install",
        /// `%check`, and writing the packages.
        Check = "check",
        /// Picking the results out of the dead chroot.
        Collect = "collect",
        /// Delivering the results.
        Upload = "upload",
    }
}
