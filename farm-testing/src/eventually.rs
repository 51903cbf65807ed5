//! Waiting for what gives no sign of itself.
//!
//! Asking again and again is slow and hides races. Wherever there is an event (a line, an exit, a notification), wait for
//! that. This is for the rest: a row that another process writes, a file that it makes.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer. `what` completes the sentence “… did not happen within …”.
pub async fn eventually<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        give_up_after(end, what, deadline);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for tests that are not async.
pub fn eventually_blocking<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        give_up_after(end, what, deadline);
        thread::sleep(PAUSE);
    }
}

fn give_up_after(end: Instant, what: &str, deadline: Duration) {
    assert!(Instant::now() < end, "{what} did not happen within {deadline:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_given_as_soon_as_there_is_one() {
        let mut answers = [None, None, Some(3)].into_iter();
        assert_eq!(eventually_blocking("three", Duration::from_secs(60), || answers.next().flatten()), 3);
    }

    #[test]
    #[should_panic(expected = "the end of the world did not happen within 30ms")]
    fn the_wait_ends_with_what_was_waited_for() {
        eventually_blocking("the end of the world", Duration::from_millis(30), || None::<()>);
    }
}
