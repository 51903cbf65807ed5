//! One fault after the other, several at a time, for as long as is said.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    farm::Farm,
    fault::{Kind, Plan, Strike, Target},
    settings::Settings,
};

/// How long what happens at the end may last.
const DYING_DOWN: Duration = Duration::from_secs(5);

/// Lets happen what can happen here. Each kind comes once before any comes again. Answers what happened.
pub async fn storm(farm: &Arc<Farm>, settings: &Settings) -> anyhow::Result<Vec<Strike>> {
    let mut rng = StdRng::seed_from_u64(settings.seed.wrapping_add(77));
    let end = Instant::now() + settings.time;
    let busy = Arc::new(Mutex::new(HashSet::new()));
    let (mut deck, mut strikes, mut under_way) = (Vec::new(), Vec::new(), JoinSet::new());
    while Instant::now() < end {
        if deck.is_empty() {
            deck = Kind::ALL.into_iter().filter(|kind| kind.lacks(farm).is_none()).collect();
            // What happens most often to a process is that it dies.
            deck.extend([Kind::Killed; 4]);
            deck.shuffle(&mut rng);
        }
        if let Some(plan) = deck.pop().and_then(|kind| Plan::draw(kind, farm, &mut rng)) {
            under_way.spawn(strike(Arc::clone(farm), Arc::clone(&busy), plan, end));
        }
        let pause = Duration::from_secs_f64(rng.random_range(settings.pause.clone()));
        sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
        while let Some(done) = under_way.try_join_next() {
            strikes.extend(done??);
        }
    }
    while let Some(done) = under_way.join_next().await {
        strikes.extend(done??);
    }
    strikes.sort_by_key(|strike| strike.began);
    Ok(strikes)
}

/// Waits until nothing else happens to the target; not beyond the end.
async fn strike(
    farm: Arc<Farm>,
    busy: Arc<Mutex<HashSet<Target>>>,
    mut plan: Plan,
    end: Instant,
) -> anyhow::Result<Option<Strike>> {
    let lock = || busy.lock().unwrap_or_else(PoisonError::into_inner);
    let target = plan.target;
    while !lock().insert(target) {
        sleep(Duration::from_millis(100)).await;
        if Instant::now() > end {
            return Ok(None);
        }
    }
    plan.time = plan.time.min(end.saturating_duration_since(Instant::now()) + DYING_DOWN);
    let strike = plan.strike(&farm).await;
    lock().remove(&target);
    strike
}
