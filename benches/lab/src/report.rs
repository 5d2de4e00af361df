//! The report of a bench: tables, plots and bars, printed as Markdown and kept as JSON.

use std::{
    fmt::{self, Write as _},
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use serde::{Deserialize, Serialize};

use crate::{
    missed::topic,
    statistics::{is_quick, median, quantile},
};

/// The report of one bench.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub name: String,
    pub parts: Vec<Part>,
    pub bars: Vec<Bar>,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Part {
    Text(String),
    Table { head: Vec<String>, rows: Vec<Vec<String>> },
    Plot(Plot),
}

/// A plot with lines, or with one bar for each label.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plot {
    /// The name of its file, without the extension.
    pub name: String,
    pub title: String,
    pub x: String,
    pub y: String,
    /// The labels of the horizontal axis, if its points are not numbers.
    pub labels: Vec<String>,
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

/// A limit that a bench must reach.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bar {
    /// The short name of the bar. If it is missed, `missed/KEY.md` says why.
    pub key: String,
    pub what: String,
    pub expected: String,
    pub found: String,
    pub reached: bool,
}

/// What was measured for a bar, in one run or several.
#[derive(Clone, Debug)]
pub struct Found(Vec<f64>, Spread);

/// What the least and the most of what was measured are.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Runs,
    Quartiles,
}

impl Found {
    /// Of the rounds of one run: a quarter is below the first, half below the second, and a quarter above the third.
    pub fn quartiles(numbers: [f64; 3]) -> Self {
        Found(numbers.to_vec(), Spread::Quartiles)
    }

    /// Not a number, which reaches no bar, if something was not measured.
    fn median(&self) -> f64 {
        if self.0.iter().any(|number| number.is_nan()) { f64::NAN } else { median(self.0.iter().copied()) }
    }
}

impl From<f64> for Found {
    fn from(number: f64) -> Self {
        Found(vec![number], Spread::Runs)
    }
}

impl From<Vec<f64>> for Found {
    fn from(runs: Vec<f64>) -> Self {
        Found(runs, Spread::Runs)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.median())?;
        let (least, most) = (quantile(self.0.iter().copied(), 0.0), quantile(self.0.iter().copied(), 1.0));
        match self.1 {
            Spread::Quartiles => write!(f, " (quartiles {least:.2} and {most:.2})"),
            Spread::Runs if self.0.len() > 1 => write!(f, " ({least:.2} to {most:.2} in {} runs)", self.0.len()),
            Spread::Runs => Ok(()),
        }
    }
}

impl Report {
    pub fn new(name: &str) -> Self {
        Report { name: name.to_owned(), ..Report::default() }
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Text(text.into()));
    }

    pub fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        self.parts.push(Part::Table { head: head.iter().map(|&cell| cell.to_owned()).collect(), rows });
    }

    pub fn plot(&mut self, plot: Plot) {
        self.parts.push(Part::Plot(plot));
    }

    /// A bar for a number that should be small: of one measurement, or the median of several runs.
    pub fn at_most(&mut self, key: &str, what: &str, limit: f64, found: impl Into<Found>) {
        let found = found.into();
        self.bar(key, what, format!("at most {limit}"), found.to_string(), found.median() <= limit);
    }

    /// A bar for a number that should be large.
    pub fn at_least(&mut self, key: &str, what: &str, limit: f64, found: impl Into<Found>) {
        let found = found.into();
        self.bar(key, what, format!("at least {limit}"), found.to_string(), found.median() >= limit);
    }

    pub fn bar(&mut self, key: &str, what: &str, expected: impl Into<String>, found: impl Into<String>, reached: bool) {
        let (key, what) = (key.to_owned(), what.to_owned());
        self.bars.push(Bar { key, what, expected: expected.into(), found: found.into(), reached });
    }

    /// The report in Markdown, with its plots as images in `plots`.
    pub fn markdown(&self, plots: &str) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(paragraph) => text.push_str(paragraph),
                Part::Table { head, rows } => text.push_str(&table(head, rows)),
                Part::Plot(plot) => {
                    let _ = write!(text, "![{}]({plots}/{}.svg)", plot.title, plot.name);
                }
            }
            text.push_str("\n\n");
        }
        text
    }

    /// Prints the report, keeps it for `docs/PERFORMANCE.md`, and returns whether all bars were reached.
    pub fn finish(mut self) -> ExitCode {
        if let Some(load) = load() {
            let commit = commit().map(|commit| format!("Measured at commit {commit}. ")).unwrap_or_default();
            self.text(format!("{commit}Load of the machine when this ended, the bench's own included: {load}."));
        }
        println!("{}\n{}", self.markdown("plots"), bars([&self]));
        for bar in self.bars.iter().filter(|bar| !bar.reached) {
            println!("\nMissed, see benches/lab/missed/{}.md: {}", topic(&bar.key), bar.what);
        }
        let part = part();
        let path = directory().join(format!("{}{part}.json", self.name));
        let kept = serde_json::to_string_pretty(&self)
            .map_err(|error| error.to_string())
            .and_then(|json| fs::write(&path, json).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            eprintln!("the report could not be kept in {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        if self.bars.iter().all(|bar| bar.reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Reads the reports with these names, in this order.
    ///
    /// # Errors
    ///
    /// If one is missing or unreadable. Run its bench again.
    pub fn kept(names: &[&str]) -> Result<Vec<Report>, String> {
        let read = |name: &&str| {
            let path = directory().join(format!("{name}{}.json", part()));
            let json = fs::read_to_string(&path).map_err(|error| error.to_string());
            let report = json.and_then(|json| serde_json::from_str(&json).map_err(|error| error.to_string()));
            report.map_err(|error| {
                format!("no report of {name} in {}: {error}; run: benches/report.sh {name}", path.display())
            })
        };
        names.iter().map(read).collect()
    }
}

/// The bars of some reports as one table.
pub fn bars<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let rows: Vec<_> = reports
        .into_iter()
        .flat_map(|report| &report.bars)
        .map(|bar| {
            let reached = if bar.reached { "yes" } else { "**no**" };
            vec![bar.what.clone(), bar.expected.clone(), bar.found.clone(), reached.to_owned()]
        })
        .collect();
    let head = ["bar", "expected", "found", "reached"].map(str::to_owned);
    if rows.is_empty() { String::new() } else { table(&head, &rows) }
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    // The first column contains words, the others numbers.
    let line = head.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "--:" }.to_owned());
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let lines = [head.to_vec(), line.collect()].into_iter().chain(rows.iter().cloned()).map(row);
    lines.collect::<Vec<_>>().join("\n")
}

/// The load average of the last minute. A bench causes one or two; run it again if there is more.
fn load() -> Option<String> {
    Some(fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.to_owned())
}

/// The commit that was measured.
fn commit() -> Option<String> {
    let said = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = said(&["status", "--porcelain", "--", "../../crates", "../../benches", "../../examples"])?;
    let commit = said(&["rev-parse", "--short", "HEAD"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, with changes") })
}

/// A report without the peers, or of fewer rounds, is not for the document.
fn part() -> &'static str {
    match (cfg!(feature = "peers"), is_quick()) {
        (true, false) => "",
        (true, true) => "-quick",
        (false, false) => "-without-peers",
        (false, true) => "-without-peers-quick",
    }
}

fn directory() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/reports");
    // Writing a file into it will report a failure.
    let _ = fs::create_dir_all(&directory);
    directory
}
