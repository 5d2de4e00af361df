//! The printed claims, and the observation for each.

use std::{fmt::Display, io::Write};

use crate::seen::{self, Seen};

pub(crate) struct Transcript<W> {
    out: W,
    scene: String,
    claims: usize,
    missed: Vec<String>,
}

impl<W: Write> Transcript<W> {
    pub(crate) fn new(out: W) -> Self {
        Transcript { out, scene: String::new(), claims: 0, missed: Vec::new() }
    }

    pub(crate) fn line(&mut self, text: impl Display) {
        // The reader may have closed the pipe; the observations still decide the exit status.
        let _ = writeln!(self.out, "{text}");
    }

    pub(crate) fn scene(&mut self, title: &str) {
        self.line(format_args!("\n{title:<40}{}", row(&seen::COLUMNS)));
        title.clone_into(&mut self.scene);
    }

    /// Prints a claim and its observation. The claim holds if they match.
    pub(crate) fn claim(&mut self, claim: &str, seen: Seen, expected: Seen) {
        self.fact(claim, row(&seen.cells()), seen == expected);
        if seen != expected {
            self.line(format_args!("      {:<34}{}", "expected:", row(&expected.cells())));
        }
    }

    /// The same for a single observation.
    pub(crate) fn fact(&mut self, claim: &str, observed: impl Display, holds: bool) {
        self.line(format_args!("  {}  {claim:<34}{observed}", if holds { "ok" } else { "NO" }));
        self.claims += 1;
        if !holds {
            self.missed.push(format!("{}: {claim}", self.scene));
        }
    }

    /// Ends with the claims that did not hold.
    pub(crate) fn end(mut self) -> Vec<String> {
        let (claims, missed) = (self.claims, self.missed.len());
        match missed {
            0 => self.line(format_args!("\nAll {claims} claims were observed.")),
            _ => self.line(format_args!("\n{missed} of {claims} claims were not observed.")),
        }
        self.missed
    }
}

fn row(cells: &[impl Display; 4]) -> String {
    let [responses, sent, token_requests, bearers] = cells;
    format!("{responses:<16}{sent:<14}{token_requests:<16}{bearers}")
}
