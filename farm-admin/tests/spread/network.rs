//! Hosts: network namespaces of this process on a switch of its own. They go with it, however it ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::Command,
    sync::mpsc,
    thread,
};

use nix::sched::{CloneFlags, unshare};

/// The network in which all hosts are; nobody else is.
const NETWORK: &str = "10.77.0.";

type Work = Box<dyn FnOnce() + Send>;

/// A host: a thread in a network namespace of its own. What it starts, threads and processes, is there too.
pub struct Host {
    /// Its address.
    pub address: String,
    name: &'static str,
    thread_id: i32,
    work: mpsc::Sender<Work>,
}

impl Host {
    fn new(name: &'static str, number: u8) -> Self {
        let (work, to_do) = mpsc::channel::<Work>();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            to_do.into_iter().for_each(|work| work());
        });
        let thread_id = told.recv().unwrap();
        Self { address: format!("{NETWORK}{number}"), name, thread_id, work }
    }

    /// Does something on this host.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        let work = move || tell.send(catch_unwind(AssertUnwindSafe(work))).unwrap();
        self.work.send(Box::new(work)).unwrap();
        told.recv().unwrap().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs async code on this host.
    pub fn run<T: Send + 'static>(&self, work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
        self.inside(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(work())
        })
    }

    fn ip(&self, arguments: String) {
        self.inside(move || {
            let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
            assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        });
    }
}

/// The switch that all hosts hang on.
pub struct Network(Host);

impl Network {
    pub fn new() -> Self {
        let switch = Host::new("switch", 254);
        switch.ip("link add bridge type bridge".to_owned());
        switch.ip("link set bridge up".to_owned());
        Self(switch)
    }

    pub fn host(&self, name: &'static str, number: u8) -> Host {
        let host = Host::new(name, number);
        self.0.ip(format!("link add {name} type veth peer name eth0 netns {}", host.thread_id));
        self.0.ip(format!("link set {name} master bridge up"));
        host.ip(format!("address add {}/24 dev eth0", host.address));
        host.ip("link set eth0 up".to_owned());
        host.ip("link set lo up".to_owned());
        host
    }

    /// Pulls the cable of a host.
    pub fn cut(&self, host: &Host) {
        self.0.ip(format!("link set {} down", host.name));
    }

    /// Plugs it in again.
    pub fn mend(&self, host: &Host) {
        self.0.ip(format!("link set {} up", host.name));
    }
}

/// Whether this process may make hosts.
pub fn can_make_hosts() -> bool {
    nix::unistd::Uid::effective().is_root()
}
