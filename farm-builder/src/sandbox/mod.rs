//! The helper: a process of its own for each step that touches a chroot.
//!
//! It is root of a user namespace whose ids belong to nobody on the host, and process 1 of its own process namespace; so
//! whatever its step starts, scriptlets of packages included, has no right on the host and ends when it ends, mounts and all.
//! Its standard input is its own executable (see `native/helper.rs`), its standard error the log, and its standard output a
//! socket: one line with the [`Errand`] comes in, one line with the [`Reply`] goes out, and as long as the socket is open the daemon
//! is alive and wants the step.
//!
//! The steps of one build are carried out in the user and mount namespaces of one helper that stays, [`Order::Hold`]: so a file
//! system that holds the build's files lives as long as the build.

mod collect;
mod commands;
mod dnf;
mod doors;
mod fetched;
mod hold;
mod layer;
mod machine;
mod names;
mod order;
mod removal;
mod scene;
mod seccomp;
mod steps;
mod usage;

use std::{
    io::{BufRead, BufReader, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
};

use anyhow::Context as _;
use nix::{
    mount::{MsFlags, mount},
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::Signal,
    },
};

pub(crate) use collect::collect_from;
pub(crate) use doors::send as send_doors;
pub use order::{
    Answer, Bounds, Chroot, Collect, Collection, Dnf, Errand, LayerOrder, Layered, Order, Reply, Scratch, Script, Use,
};

/// What programs that embed the builder are started with to become its helper: their first and only argument.
pub const ARGUMENT: &str = "sandbox";

/// The longest order.
const ORDER_BYTES: u64 = 16 << 20;

/// If the program was started as a helper, does that work and answers the exit code. Call it first, while the process is single
/// threaded.
pub fn main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(first), None) if first == ARGUMENT => {}
        _ => return None,
    }
    match serve() {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("[farm] the helper failed: {error:#}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn serve() -> anyhow::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot ask to die with the daemon")?;
    anyhow::ensure!(
        std::process::id() == 1,
        "this is an inner part of the builder: the builder starts it, not a person"
    );
    // What the daemon was started with (a terminal, a pipe of its parent's) is not for builds.
    close_fds::set_fds_cloexec(3, &[]);
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core files")?;
    let socket = UnixStream::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    // So that whoever is in our namespaces already sees what is mounted for a build.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SHARED, None::<&str>)
        .context("cannot share mounts with helpers in the same namespaces")?;
    // The daemon waits for this before it locks us in and says what to do.
    (&socket).write_all(b"\n").context("cannot greet the daemon")?;
    if !doors::enter(&socket).context("cannot go into the control group of the build")? {
        // It was started ahead and is not needed.
        return Ok(());
    }
    let Errand { order, bounds } = read_errand(&socket)?;
    if let Order::Hold { folder, scratch, build } = order {
        return hold::hold(&socket, &folder, scratch, build.as_deref());
    }
    keep_to_leash(socket.try_clone()?);
    let answer = match bounds.apply().and_then(|()| steps::carry_out(order, &bounds)) {
        Ok(answer) => answer,
        Err(error) => Answer::Broken(format!("{error:#}")),
    };
    tell(&socket, &Reply { answer, usage: usage::of_programs() })
}

fn tell(mut socket: &UnixStream, words: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    socket.write_all(&line).context("cannot answer the daemon")
}

fn read_errand(socket: &UnixStream) -> anyhow::Result<Errand> {
    let mut line = Vec::new();
    BufReader::new(std::io::Read::take(socket, ORDER_BYTES))
        .read_until(b'\n', &mut line)
        .context("cannot read the order")?;
    serde_json::from_slice(&line).context("cannot understand the order")
}

/// Ends this process, and with it all of its namespace, as soon as the daemon closes the socket or is gone.
fn keep_to_leash(socket: UnixStream) {
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        while matches!(std::io::Read::read(&mut &socket, &mut rest), Ok(1..)) {}
        std::process::exit(1);
    });
}
