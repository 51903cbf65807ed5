//! Whether builds can be bounded as a whole, and their system calls filtered.

use farm_builder::cgroup::{Cgroups, Kind};

use super::{finding::Finding, machine::Machine};

/// What the kernel can answer to a system call that is filtered.
const ACTIONS: &str = "/proc/sys/kernel/seccomp/actions_avail";

/// Control groups and seccomp.
pub(crate) fn check(machine: &Machine) -> Vec<Finding> {
    vec![groups(machine, Cgroups::look()), seccomp(&fs_err::read_to_string(ACTIONS).unwrap_or_default())]
}

/// The builder that is asked about is taken to be started as this command is: what systemd gives to its service is not seen from here.
fn groups(machine: &Machine, found: Result<Kind, String>) -> Finding {
    let name = "control groups";
    match found {
        Ok(Kind::V2) => Finding::ok(name, "version 2: memory and processes of a build are bounded together"),
        Ok(Kind::V1) => Finding::ok(name, "version 1: memory and processes of a build are bounded together"),
        Err(why) => {
            let start = if machine.is_root() { "systemd-run" } else { "systemd-run --user" };
            let detail = format!(
                "none for user {}, so a build's memory is bounded for each process by itself only ({why}); with \
                 deploy/systemd/farm-builder.service there are some",
                machine.user
            );
            Finding::warning(name, detail).mend(format!("{start} --scope -p Delegate=yes farm-builder"))
        }
    }
}

fn seccomp(actions: &str) -> Finding {
    let name = "seccomp";
    if actions.split_whitespace().any(|action| action == "errno") {
        return Finding::ok(name, "system calls can be filtered");
    }
    Finding::wrong(
        name,
        "the kernel cannot filter system calls, and no build starts without; it was made without CONFIG_SECCOMP_FILTER",
    )
    .mend("boot a kernel of a distribution")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{finding::Verdict, machine::Family},
        *,
    };

    #[test]
    fn who_has_no_group_is_told_how_to_get_one() {
        let machine = Machine { family: Family::Debian, user: "alice".to_owned(), uid: 1000 };
        let finding = groups(&machine, Err("not given".to_owned()));
        assert_eq!(finding.verdict, Verdict::Warning);
        assert_eq!(finding.cure.as_deref(), Some("systemd-run --user --scope -p Delegate=yes farm-builder"));
        assert_eq!(groups(&machine, Ok(Kind::V2)).verdict, Verdict::Ok);
    }

    #[test]
    fn a_kernel_that_cannot_filter_is_of_no_use() {
        assert_eq!(seccomp("kill_process kill_thread trap errno user_notif trace log allow\n").verdict, Verdict::Ok);
        assert_eq!(seccomp("").verdict, Verdict::Wrong);
    }
}
