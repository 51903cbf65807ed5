//! Where output goes: data to stdout, everything said in passing to stderr.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{exit::Failure, show::shown};

/// Standard output, and whether a person looks at it.
#[derive(Debug)]
pub struct Output {
    /// Whether one JSON document is wanted in place of text.
    pub json: bool,
    /// Whether lines may be redrawn: a person sits before it.
    pub live: bool,
    /// Whether stdout is a terminal.
    pub terminal: bool,
}

impl Output {
    /// The output of this process.
    pub fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        // With --json stdout is for the document, and what moves is drawn on stderr.
        let live = io::stderr().is_terminal() && (terminal || json) && !dumb;
        Self { json, live, terminal }
    }

    /// Prints text, in colours where those are wanted.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Prints bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Prints a JSON document.
    pub fn document<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints the document when JSON is wanted, else the text.
    pub fn either<T: Serialize + ?Sized>(&mut self, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { self.document(value) } else { self.text(&text()) }
    }

    /// Says something in passing: on stdout where that is for people, else on stderr.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            aside(text);
            Ok(())
        } else {
            self.text(&format!("{text}\n"))
        }
    }
}

/// Says something on stderr.
pub fn aside(text: &str) {
    // Where stderr is closed, there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Warns on stderr.
pub fn warn(text: &str) {
    let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    aside(&format!("{yellow}warning:{yellow:#} {}", shown(text)));
}
