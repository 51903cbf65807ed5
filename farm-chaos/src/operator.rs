//! What an administrator does meanwhile: looks at what the farm took out of service and set aside, and puts it back.

use std::{sync::Arc, time::Duration};

use farm_db::operator;
use farm_types::{BuilderState, TaskId};
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use crate::{
    database::Database,
    farm::{Farm, us},
    questions,
};

/// How often to look.
const LOOK: Duration = Duration::from_secs(3);

/// What was put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Builders that had been taken out of service.
    pub builders: usize,
    /// Tasks that had been set aside.
    pub tasks: usize,
}

/// The administrator at work.
#[derive(Debug)]
pub struct Operator {
    database: Database,
    done: Arc<watch::Sender<PutBack>>,
    at_work: JoinHandle<()>,
}

impl Operator {
    /// Goes to work.
    pub fn start(farm: &Farm) -> Self {
        let (done, database) = (Arc::new(watch::Sender::new(PutBack::default())), farm.database.clone());
        let at_work = tokio::spawn({
            let (done, database) = (Arc::clone(&done), database.clone());
            async move {
                loop {
                    sleep(LOOK).await;
                    // The database may be away.
                    let _ = put_back(database.clone(), &done).await;
                }
            }
        });
        Self { database, done, at_work }
    }

    /// Looks now. Answers whether anything was to be put back.
    pub async fn look(&self) -> anyhow::Result<bool> {
        Ok(put_back(self.database.clone(), &self.done).await? != PutBack::default())
    }

    /// What was put back so far.
    pub fn done(&self) -> PutBack {
        *self.done.borrow()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.at_work.abort();
    }
}

async fn put_back(database: Database, done: &watch::Sender<PutBack>) -> anyhow::Result<PutBack> {
    let now = spawn_blocking(move || put_back_now(&database)).await??;
    done.send_modify(|done| {
        done.builders += now.builders;
        done.tasks += now.tasks;
    });
    Ok(now)
}

fn put_back_now(database: &Database) -> anyhow::Result<PutBack> {
    let conn = &mut database.connect()?;
    let mut done = PutBack::default();
    for (builder, _) in questions::out_of_service(conn)? {
        operator::set_builder_state(conn, &us(), &builder.parse()?, BuilderState::Enabled, None)?;
        done.builders += 1;
    }
    for (_, task) in questions::set_aside(conn)? {
        operator::put_back(conn, &us(), TaskId(task))?;
        done.tasks += 1;
    }
    Ok(done)
}
