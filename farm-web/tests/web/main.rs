//! farm-web on a real database and a real store.

mod artifacts;
mod events;
mod farm;
mod jobs;
mod logs;
mod refusals;
mod uploads;
