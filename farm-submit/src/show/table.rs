//! Aligned columns.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{BOLD, shown};

/// Rows of cells under a heading.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with these headings; one that begins with `>` has its column aligned to the right.
    pub fn new(head: impl Into<Vec<&'static str>>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    /// Adds a row of cells without colour. Whatever they hold is made fit for a terminal.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.styled(cells.map(|cell| (Style::new(), cell)));
    }

    /// Adds a row.
    pub fn styled<const N: usize>(&mut self, cells: [(Style, String); N]) {
        let safe = cells.into_iter().map(|(style, text)| (style, shown(&text).into_owned()));
        self.rows.push(safe.collect());
    }

    /// The table as text. The last column is not padded.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.width(column)).collect();
        let head = self.head.iter().map(|name| (BOLD, name.trim_start_matches('>').to_owned())).collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let cells = row.iter().enumerate().map(|(column, (style, cell))| {
                let pad = " ".repeat(widths[column].saturating_sub(cell.width()));
                if self.head[column].starts_with('>') {
                    format!("{pad}{style}{cell}{style:#}")
                } else if column + 1 == row.len() {
                    format!("{style}{cell}{style:#}")
                } else {
                    format!("{style}{cell}{style:#}{pad}")
                }
            });
            // Cells at the end may be empty.
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|(_, cell)| cell.width());
        cells.chain([self.head[column].trim_start_matches('>').width()]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_on_the_screen() {
        let mut table = Table::new([">JOB", "WHO", "TITLE"]);
        table.row(["7".into(), "文字".into(), "a\u{1b}b".into()]);
        table.row(["1042".into(), "al".into(), "c".into()]);
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(plain, " JOB  WHO   TITLE\n   7  文字  a\\u{1b}b\n1042  al    c\n");
    }
}
