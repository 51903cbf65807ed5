//! What machine a step is told to be on.

use anyhow::Context as _;
use nix::sys::personality::{self, Persona};

/// `PER_LINUX32`: uname and rpm's look at it say i686 on an x86_64.
const LINUX32: i32 = 8;

/// From here on this process and all that it starts are told that this is a 32-bit machine: so dnf takes packages of that
/// architecture, and configure scripts build for it.
pub fn narrow() -> anyhow::Result<()> {
    personality::set(Persona::from_bits_retain(LINUX32))
        .context("the kernel cannot pass for one of a 32-bit machine")?;
    Ok(())
}
