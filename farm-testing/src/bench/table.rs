//! What was measured beside what is wanted.

/// What is wanted of a number.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// So much, or more.
    AtLeast(f64),
    /// So much, or less.
    AtMost(f64),
    /// Only told.
    Nothing,
}

/// The lines, in the order in which they were measured.
#[derive(Default)]
pub struct Table {
    lines: Vec<(String, f64, &'static str, Wanted)>,
}

impl Table {
    /// Adds a number, of that unit.
    pub fn add(&mut self, what: impl Into<String>, measured: f64, unit: &'static str, wanted: Wanted) {
        let what = what.into();
        // Seen as it comes: a bench takes its time, and may break off.
        println!("{what}: {measured:.2}{unit}");
        self.lines.push((what, measured, unit, wanted));
    }

    /// Prints all lines.
    pub fn print(&self) {
        println!("\n| what | measured | wanted | |\n|---|---|---|---|");
        for (what, measured, unit, wanted) in &self.lines {
            let (wanted, met) = match *wanted {
                Wanted::AtLeast(least) => (format!("≥ {least}{unit}"), word(*measured >= least)),
                Wanted::AtMost(most) => (format!("≤ {most}{unit}"), word(*measured <= most)),
                Wanted::Nothing => (String::new(), ""),
            };
            let digits = if *measured >= 100.0 { 0 } else { 2 };
            println!("| {what} | {measured:.digits$}{unit} | {wanted} | {met} |");
        }
    }
}

fn word(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// The one in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    assert!(!numbers.is_empty(), "nothing was measured");
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
