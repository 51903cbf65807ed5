//! A way from a caller to a server, of which one can take away what networks take away.
//!
//! Bytes that are held back are not lost: as over TCP, they come when the way is open again. What is cut is cut for good, and an answer
//! that is lost is lost with its connection.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::traffic::{Asked, Attempt, Brought, asked, is_good, next_of_log};

/// How a way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As it should be.
    Open,
    /// Connections break, and no new ones come up.
    Cut,
    /// Nothing comes through in this direction, or in both.
    Held {
        /// To the server.
        up: bool,
        /// Back from it.
        down: bool,
    },
    /// Everything takes so much longer.
    Slow(Duration),
}

/// What builders were told that the farm has.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged(Arc<Mutex<Known>>);

/// The same, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// How much of the log of each attempt.
    pub logs: HashMap<Attempt, u64>,
    /// Which attempts have ended.
    pub ends: HashSet<Attempt>,
}

impl Acknowledged {
    /// Notes what the answer to what was brought says.
    fn note(&self, (brought, attempt): (Brought, Attempt), answer: &[u8]) {
        let mut all = self.lock();
        match brought {
            Brought::Log => {
                if let Some(next) = next_of_log(answer) {
                    let known = all.logs.entry(attempt).or_default();
                    *known = next.max(*known);
                }
            }
            Brought::End if is_good(answer) => _ = all.ends.insert(attempt),
            Brought::End => {}
        }
    }

    /// All that was acknowledged.
    pub fn all(&self) -> Known {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way.
#[derive(Debug)]
pub struct Way {
    /// Where it begins.
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    tricks: Arc<Tricks>,
}

/// What is done to single requests: so many of those that come next.
#[derive(Debug, Default)]
struct Tricks {
    lose: AtomicU32,
    double: AtomicU32,
    lost: AtomicU32,
    doubled: AtomicU32,
}

/// What all connections of a way share.
#[derive(Clone)]
struct Passage {
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    tricks: Arc<Tricks>,
    acknowledged: Acknowledged,
}

impl Way {
    /// A way from a free port of that address to that server.
    pub async fn open(from: &str, target: SocketAddr, acknowledged: &Acknowledged) -> std::io::Result<Self> {
        let listener = TcpListener::bind((from, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, mode) = watch::channel(Mode::Open);
        let tricks = Arc::new(Tricks::default());
        let passage = Passage { target, mode, tricks: Arc::clone(&tricks), acknowledged: acknowledged.clone() };
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(passage.clone().pass(caller));
            }
        });
        Ok(Self { address, mode: sender, tricks })
    }

    /// Makes it so.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Of so many requests that come next the answers get lost.
    pub fn lose_answers(&self, number: u32) {
        self.tricks.lose.store(number, Ordering::Relaxed);
    }

    /// So many requests that come next come twice.
    pub fn double_requests(&self, number: u32) {
        self.tricks.double.store(number, Ordering::Relaxed);
    }

    /// How many answers got lost, and how many requests came twice.
    pub fn tricks_done(&self) -> (u32, u32) {
        (self.tricks.lost.load(Ordering::Relaxed), self.tricks.doubled.load(Ordering::Relaxed))
    }
}

impl Tricks {
    fn take(left: &AtomicU32, done: &AtomicU32) -> bool {
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        if taken {
            done.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

impl Passage {
    async fn pass(self, caller: TcpStream) {
        if *self.mode.borrow() == Mode::Cut {
            return;
        }
        let Ok(server) = TcpStream::connect(self.target).await else { return };
        let (from_caller, to_caller) = caller.into_split();
        let (from_server, to_server) = server.into_split();
        let question = Arc::new(Mutex::new(None));
        let mut mode = self.mode.clone();
        let up = self.clone().up(from_caller, to_server, Arc::clone(&question));
        let down = self.clone().down(from_server, to_caller, question);
        tokio::select! {
            _ = up => {}
            _ = down => {}
            _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
        }
    }

    async fn up(
        mut self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        question: Arc<Mutex<Option<Asked>>>,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            let bytes = &buffer[..read];
            if bytes.is_empty() {
                return Ok(());
            }
            self.get_through(|up, _| up).await;
            if let Some(asked) = asked(bytes) {
                if asked.is_whole && Tricks::take(&self.tricks.double, &self.tricks.doubled) {
                    tokio::spawn(once_more(self.target, bytes.to_vec()));
                }
                *question.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
            }
            to.write_all(bytes).await?;
        }
    }

    async fn down(
        mut self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        question: Arc<Mutex<Option<Asked>>>,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            let bytes = &buffer[..read];
            if bytes.is_empty() || (bytes.starts_with(b"HTTP/") && Tricks::take(&self.tricks.lose, &self.tricks.lost)) {
                return Ok(());
            }
            self.get_through(|_, down| down).await;
            to.write_all(bytes).await?;
            // An answer may come in many pieces; the first is the one that counts.
            let asked = question.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(brought) = asked.and_then(|asked| asked.brings) {
                self.acknowledged.note(brought, bytes);
            }
        }
    }

    /// Waits until bytes of a direction get through.
    async fn get_through(&mut self, holds: impl Fn(bool, bool) -> bool) {
        let now = *self.mode.borrow();
        if let Mode::Slow(pause) = now {
            tokio::time::sleep(pause).await;
        }
        let is_held = |mode: &Mode| matches!(mode, Mode::Held { up, down } if holds(*up, *down));
        // The sender lives as long as the farm.
        let _ = self.mode.wait_for(|mode| !is_held(mode)).await;
    }
}

/// Sends a request over a connection of its own, as a caller does that thinks that the first one got lost.
async fn once_more(server: SocketAddr, request: Vec<u8>) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(server).await?;
    connection.write_all(&request).await?;
    let mut answer = [0; 4096];
    // It is heard and nobody heeds it. (A long poll is left early.)
    let _ = tokio::time::timeout(Duration::from_secs(5), connection.read(&mut answer)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use farm_types::{AttemptNumber, TaskId};

    use super::*;

    /// A server that answers each request with how many came so far.
    async fn counter() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicU32::new(0));
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while caller.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let body = format!("{{\"next\":{}}}", count.fetch_add(1, Ordering::SeqCst) + 1);
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        caller.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(way: &Way) -> Option<String> {
        let mut caller = TcpStream::connect(way.address).await.ok()?;
        caller.write_all(b"PUT /hub/v1/log?start=0 HTTP/1.1\r\nfarm-lease: 7/2/x\r\n\r\n").await.ok()?;
        let mut answer = [0; 4096];
        match caller.read(&mut answer).await.ok()? {
            0 => None,
            read => Some(String::from_utf8_lossy(&answer[..read]).into_owned()),
        }
    }

    #[tokio::test]
    async fn what_is_lost_was_done_and_what_is_doubled_is_done_twice() {
        let known = Acknowledged::default();
        let way = Way::open("127.0.0.1", counter().await, &known).await.unwrap();
        let lease = (TaskId(7), AttemptNumber(2));
        way.lose_answers(1);
        assert_eq!(ask(&way).await, None);
        assert_eq!(known.all().logs.get(&lease), None);
        assert!(ask(&way).await.unwrap().ends_with("{\"next\":2}"));
        assert_eq!(known.all().logs.get(&lease), Some(&2));
        way.double_requests(1);
        ask(&way).await.unwrap();
        // The one that came twice is counted once more than was asked.
        let mut asked = 3;
        farm_testing::eventually("both requests to be counted", farm_testing::DEADLINE, async || {
            asked += 1;
            ask(&way).await?.ends_with(&format!(":{}}}", asked + 1)).then_some(())
        })
        .await;
        assert_eq!(way.tricks_done(), (1, 1));
    }

    #[tokio::test]
    async fn what_is_held_comes_later_and_what_is_cut_does_not() {
        let way = Way::open("127.0.0.1", counter().await, &Acknowledged::default()).await.unwrap();
        way.set(Mode::Held { up: false, down: true });
        let waiting = ask(&way);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        way.set(Mode::Open);
        assert!(waiting.await.is_some());
        way.set(Mode::Cut);
        assert_eq!(ask(&way).await, None);
    }
}
