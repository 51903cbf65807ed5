//! A host with a network of its own: a namespace, and a cable between it and us. Takes root.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

use crate::disk::run;

/// A host on a cable.
#[derive(Debug)]
pub struct Host {
    /// Keeps the namespace there, and ends with our end of the pipe.
    holder: Child,
    number: u8,
    /// Whether the kernel can hold packets up.
    can_be_slow: bool,
}

impl Host {
    /// Makes the host of that number: 10.77.N.2, and we are 10.77.N.1 to it.
    pub fn new(number: u8) -> anyhow::Result<Self> {
        let holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run unshare")?;
        let mut host = Self { holder, number, can_be_slow: false };
        let (near, far) = (host.cable(), format!("far{number}"));
        host.until_there()?;
        let pid = host.holder.id().to_string();
        ip(&format!("link add {near} type veth peer name {far} netns {pid}"))?;
        ip(&format!("addr add {}/24 dev {near}", host.our_address()))?;
        ip(&format!("link set {near} up"))?;
        host.inside(&format!("addr add 10.77.{number}.2/24 dev {far}"))?;
        host.inside("link set lo up")?;
        host.inside(&format!("link set {far} up"))?;
        host.can_be_slow = host.slow_down(Some(Duration::ZERO)).and_then(|()| host.slow_down(None)).is_ok();
        Ok(host)
    }

    /// `unshare` has a moment of its own before it is in the namespace.
    fn until_there(&self) -> anyhow::Result<()> {
        let ours = fs_err::read_link("/proc/self/ns/net")?;
        let theirs = format!("/proc/{}/ns/net", self.holder.id());
        for _ in 0..500 {
            if fs_err::read_link(&theirs)? != ours {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("a network namespace does not come up")
    }

    /// What we are to it.
    pub fn our_address(&self) -> String {
        format!("10.77.{}.1", self.number)
    }

    /// What a command is put behind to be run there.
    pub fn within(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.holder.id()), "--".to_owned()]
    }

    /// Pulls the cable out, or plugs it in.
    pub fn plug(&self, plugged: bool) -> anyhow::Result<()> {
        ip(&format!("link set {} {}", self.cable(), if plugged { "up" } else { "down" }))
    }

    /// Lets what it sends come to us and nothing of ours to it; or, `false`, both again.
    pub fn deafen(&self, deaf: bool) -> anyhow::Result<()> {
        let what = if deaf { "add" } else { "del" };
        ip(&format!("route {what} blackhole 10.77.{}.2/32", self.number))
    }

    /// Whether [`slow_down`](Self::slow_down) works here: not every kernel has sch_netem.
    pub fn can_be_slow(&self) -> bool {
        self.can_be_slow
    }

    /// Holds up for so long what we send to it; or, `None`, not any more.
    pub fn slow_down(&self, by: Option<Duration>) -> anyhow::Result<()> {
        let (verb, how) = match by {
            Some(by) => ("add", format!(" netem delay {}ms", by.as_millis())),
            None => ("del", String::new()),
        };
        let words = format!("qdisc {verb} dev {} root{how}", self.cable());
        run(Command::new("tc").args(words.split(' ')))
    }

    fn cable(&self) -> String {
        format!("near{}", self.number)
    }

    fn inside(&self, words: &str) -> anyhow::Result<()> {
        let within = self.within();
        run(Command::new(&within[0]).args(&within[1..]).arg("ip").args(words.split(' ')))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn ip(words: &str) -> anyhow::Result<()> {
    run(Command::new("ip").args(words.split(' ')))
}
