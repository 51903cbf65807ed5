//! The table that the bench prints.

/// What was measured, with what was asked for.
pub struct Table {
    notes: Vec<String>,
    rows: Vec<Row>,
    has_mock: bool,
}

/// One line.
pub struct Row {
    what: String,
    value: f64,
    limit: f64,
    unit: &'static str,
    is_least: bool,
    mock: Option<f64>,
}

impl Row {
    /// A time, in milliseconds, and the longest it may be.
    pub fn ms(what: &str, value: f64, limit: f64) -> Self {
        Self { what: what.to_owned(), value, limit, unit: "ms", is_least: false, mock: None }
    }

    /// Memory, in MiB, and the most it may be.
    pub fn mib(what: &str, value: f64, limit: f64) -> Self {
        Self { unit: "MiB", ..Self::ms(what, value, limit) }
    }

    /// A ratio, and the least it may be.
    pub fn at_least(what: String, value: f64, limit: f64) -> Self {
        Self { what, value, limit, unit: "x", is_least: true, mock: None }
    }

    /// With mock's time for the same.
    pub fn beside(self, mock: Option<f64>) -> Self {
        Self { mock, ..self }
    }
}

impl Table {
    pub const fn new(has_mock: bool) -> Self {
        Self { notes: Vec::new(), rows: Vec::new(), has_mock }
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn print(&self) {
        for note in &self.notes {
            println!("{note}");
        }
        for row in &self.rows {
            let digits = if row.unit == "x" { 2 } else { 0 };
            let (sign, good) =
                if row.is_least { ("≥", row.value >= row.limit) } else { ("≤", row.value <= row.limit) };
            let verdict = if good { "met" } else { "MISSED" };
            let mock = match row.mock {
                _ if !self.has_mock => String::new(),
                Some(mock) => format!("   mock {mock:>7.0} {}", row.unit),
                None => "   mock       -".to_owned(),
            };
            println!(
                "{:<48} {:>8.digits$} {:<3}  wanted {sign} {:>7.digits$} {:<3} {verdict}{mock}",
                row.what, row.value, row.unit, row.limit, row.unit
            );
        }
    }
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_owned();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
