//! farm-web on a real database, a real store and in a real browser.

mod artifacts;
mod browser;
mod chrome;
mod events;
mod farm;
mod jobs;
mod logs;
mod pages;
mod refusals;
mod uploads;
