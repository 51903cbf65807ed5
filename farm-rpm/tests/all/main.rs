//! The tests of the crate as its users see it, in one program.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

mod hostile;
mod memory;
mod real_packages;
mod support;
mod verdicts;

/// Knows how much memory was in use at most.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
