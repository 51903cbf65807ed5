//! Colours. They only repeat what the words say.

use anstyle::{AnsiColor, Style};
use farm_types::{Progress, TaskState};

/// For headings.
pub const BOLD: Style = Style::new().bold();
/// For what matters less.
pub const DIM: Style = Style::new().dimmed();
const GREEN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const RED: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const YELLOW: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
const CYAN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// How a job stands, and the colour for it.
pub fn progress(progress: Progress) -> (Style, &'static str) {
    let style = match progress {
        Progress::Succeeded => GREEN,
        Progress::Failed | Progress::Rejected => RED,
        Progress::Cancelled => YELLOW,
        Progress::Running => CYAN,
        Progress::Submitted | Progress::Queued => Style::new(),
    };
    (style, progress.as_str())
}

/// How a task stands, and the colour for it. A person sees a leased task as a running one.
pub fn task_state(state: TaskState) -> (Style, &'static str) {
    let style = match state {
        TaskState::Succeeded => GREEN,
        TaskState::Failed => RED,
        TaskState::Cancelled => YELLOW,
        TaskState::Leased => return (CYAN, "running"),
        TaskState::Waiting | TaskState::Pending => Style::new(),
    };
    (style, state.as_str())
}

/// The colour of what is as it should be, or not.
pub fn outcome_style(well: bool) -> Style {
    if well { GREEN } else { RED }
}
