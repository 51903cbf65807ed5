//! The filter of system calls under which everything runs that is not ours: what no build needs and attacks on the kernel begin
//! with. It is not what keeps a build in (namespaces and ids do that); it keeps the kernel's rarely used doors shut.

use std::{fs::File, io::Seek as _};

use anyhow::Context as _;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::{errno::Errno, sched::CloneFlags};
use rustix::fs::{MemfdFlags, memfd_create};

/// System calls that are answered with EPERM.
const DENIED: &[&str] = &[
    // Keys of the kernel belong to users, not to namespaces.
    "add_key",
    "keyctl",
    "request_key",
    // Programs in the kernel, and looking into it.
    "bpf",
    "lookup_dcookie",
    "perf_event_open",
    "syslog",
    "userfaultfd",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    // Parts of the kernel.
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "query_module",
    "kexec_file_load",
    "kexec_load",
    // Mounts and namespaces. (For new namespaces see below.)
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setns",
    "umount",
    "umount2",
    // The machine: clocks, swap, quotas, accounting, ports, power.
    "acct",
    "adjtimex",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "ioperm",
    "iopl",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "vhangup",
    // Files by handle, past the folders that lead to them; and watching whole file systems.
    "fanotify_init",
    "open_by_handle_at",
    "nfsservctl",
    "uselib",
    "vm86",
    "vm86old",
];

/// `ioctl` that puts bytes into a terminal as if they were typed.
const TIOCSTI: u64 = 0x5412;
/// `ioctl` that pastes into a console.
const TIOCLINUX: u64 = 0x541c;

/// The filter as a program for the kernel, in a file that the next program inherits.
pub fn filter() -> anyhow::Result<File> {
    // Inherited by bubblewrap, which reads and closes it. Nothing else is started while it is open.
    let mut file = File::from(memfd_create("seccomp", MemfdFlags::empty()).context("cannot make a file in memory")?);
    rules().context("cannot make the filter of system calls")?.export_bpf(&file)?;
    file.rewind()?;
    Ok(file)
}

fn rules() -> Result<ScmpFilterContext, libseccomp::error::SeccompError> {
    let refuse = ScmpAction::Errno(Errno::EPERM as i32);
    let absent = ScmpAction::Errno(Errno::ENOSYS as i32);
    let mut rules = ScmpFilterContext::new(ScmpAction::Allow)?;
    // Ways of calling the kernel that are not named here do not exist: x32 is the one that would be forgotten.
    rules.set_act_badarch(absent)?;
    for arch in also() {
        rules.add_arch(*arch)?;
    }
    for name in DENIED {
        rules.add_rule(refuse, ScmpSyscall::from_name(name)?)?;
    }
    // Its flags lie in memory, where no filter can see them. Every libc uses `clone` then.
    rules.add_rule(absent, ScmpSyscall::from_name("clone3")?)?;
    // All that an ordinary user can make begin with a user namespace.
    let user = CloneFlags::CLONE_NEWUSER.bits() as u64;
    let new_user = |argument| ScmpArgCompare::new(argument, ScmpCompareOp::MaskedEqual(user), user);
    let flags = if cfg!(target_arch = "s390x") { 1 } else { 0 };
    rules.add_rule_conditional(refuse, ScmpSyscall::from_name("clone")?, &[new_user(flags)])?;
    rules.add_rule_conditional(refuse, ScmpSyscall::from_name("unshare")?, &[new_user(0)])?;
    for request in [TIOCSTI, TIOCLINUX] {
        // The kernel looks at 32 bits of it.
        let is = ScmpArgCompare::new(1, ScmpCompareOp::MaskedEqual(u32::MAX.into()), request);
        rules.add_rule_conditional(refuse, ScmpSyscall::from_name("ioctl")?, &[is])?;
    }
    Ok(rules)
}

/// Ways of calling the kernel beside the machine's own: programs of 32 bits.
const fn also() -> &'static [ScmpArch] {
    if cfg!(target_arch = "x86_64") {
        &[ScmpArch::X86]
    } else if cfg!(target_arch = "aarch64") {
        &[ScmpArch::Arm]
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_filter_is_a_program_of_whole_instructions_from_the_files_beginning() {
        let mut program = Vec::new();
        filter().unwrap().read_to_end(&mut program).unwrap();
        assert!(program.len() > 8 * DENIED.len() && program.len() % 8 == 0, "{}", program.len());
    }
}
