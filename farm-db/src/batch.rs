//! Group commit: what many ask for at the same time is done in one transaction.
//!
//! While a batch is under way the next one collects, so a busy database is asked less often and for more at once, and an idle one is
//! asked at once. Nobody waits for a batch to fill, unless it is to gather for a time because what it does is not urgent.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use diesel::PgConnection;
use tokio::{sync::oneshot, time::timeout};

use crate::{DbError, Pool, Result};

/// A batch that waits for so long has others before it that hang: it gets a connection of its own, if there is one.
const HANGS: Duration = Duration::from_millis(100);

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Items of one batch at the most.
    pub size: usize,
    /// Batches under way at the same time; each has a connection. A second one begins when many wait or the first one hangs: two small
    /// batches cost much more than one of both.
    pub under_way: usize,
    /// Items that wait for a batch; who comes then is sent away.
    pub waiting: usize,
    /// How long a batch gathers before it begins.
    pub gather: Duration,
}

impl Bounds {
    /// So many that they are worth a batch of their own.
    fn many(self) -> usize {
        (self.size / 2).max(1)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { size: 64, under_way: 2, waiting: 4096, gather: Duration::ZERO }
    }
}

type Work<I, O> = dyn Fn(&mut PgConnection, Vec<I>) -> Result<Vec<O>> + Send + Sync;

/// Collects items and has them done together; cheap to clone.
pub struct Batch<I, O> {
    inner: Arc<Inner<I, O>>,
}

impl<I, O> Clone for Batch<I, O> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

struct Inner<I, O> {
    pool: Pool,
    bounds: Bounds,
    work: Arc<Work<I, O>>,
    queue: Mutex<Queue<I, O>>,
}

struct Queue<I, O> {
    waiting: VecDeque<Item<I, O>>,
    under_way: usize,
}

struct Item<I, O> {
    item: I,
    answer: oneshot::Sender<Result<O>>,
}

impl<I: Send + 'static, O: Send + 'static> Batch<I, O> {
    /// `work` does a batch and answers each of its items, in their order. Its error is everybody's.
    pub fn new(
        pool: Pool,
        bounds: Bounds,
        work: impl Fn(&mut PgConnection, Vec<I>) -> Result<Vec<O>> + Send + Sync + 'static,
    ) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), under_way: 0 });
        Self { inner: Arc::new(Inner { pool, bounds, work: Arc::new(work), queue }) }
    }

    /// Has an item done. Who no longer waits for the answer has it done all the same. [`DbError::Busy`]: too many wait already.
    pub async fn run(&self, item: I) -> Result<O> {
        let (answer, mut answered) = oneshot::channel();
        {
            let mut queue = self.inner.queue();
            if queue.waiting.len() >= self.inner.bounds.waiting {
                return Err(DbError::Busy);
            }
            queue.waiting.push_back(Item { item, answer });
            let many = queue.waiting.len() >= self.inner.bounds.many();
            if queue.under_way == 0 || many {
                self.begin(&mut queue);
            }
        }
        let answer = loop {
            match timeout(HANGS, &mut answered).await {
                Ok(answer) => break answer,
                Err(_) => self.begin(&mut self.inner.queue()),
            }
        };
        answer.unwrap_or_else(|_| Err(DbError::Unavailable("the process ends".to_owned())))
    }

    /// Begins one more batch, if there may be one and it would have anything to do.
    fn begin(&self, queue: &mut Queue<I, O>) {
        if queue.under_way < self.inner.bounds.under_way && !queue.waiting.is_empty() {
            queue.under_way += 1;
            tokio::spawn(Arc::clone(&self.inner).work_off());
        }
    }

    /// How many items wait for a batch.
    pub fn waiting(&self) -> usize {
        self.inner.queue().waiting.len()
    }
}

impl<I: Send + 'static, O: Send + 'static> Inner<I, O> {
    /// Does batches until nothing waits.
    async fn work_off(self: Arc<Self>) {
        loop {
            if !self.bounds.gather.is_zero() {
                tokio::time::sleep(self.bounds.gather).await;
            }
            let batch: Vec<Item<I, O>> = {
                let mut queue = self.queue();
                let size = self.bounds.size.min(queue.waiting.len());
                if size == 0 {
                    queue.under_way -= 1;
                    return;
                }
                queue.waiting.drain(..size).collect()
            };
            self.do_one(batch).await;
        }
    }

    async fn do_one(&self, batch: Vec<Item<I, O>>) {
        let (items, answers): (Vec<I>, Vec<_>) = batch.into_iter().map(|item| (item.item, item.answer)).unzip();
        let (work, expected) = (Arc::clone(&self.work), items.len());
        let done = self.pool.run(move |conn| work(conn, items)).await.and_then(|done| match done.len() {
            found if found == expected => Ok(done),
            found => Err(DbError::Data(format!("a batch of {expected} was given {found} answers"))),
        });
        // Whoever went away hears nothing.
        match done {
            Ok(done) => answers.into_iter().zip(done).for_each(|(answer, done)| _ = answer.send(Ok(done))),
            Err(error) => answers.into_iter().for_each(|answer| _ = answer.send(Err(error.again()))),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<I, O>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
