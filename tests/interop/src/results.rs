//! What a run found, and the matrix that is written from it.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The results of one server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Results {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    /// What users read, one for each distinct message.
    pub(crate) errors: Vec<ShownError>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) table: Table,
    pub(crate) case: String,
    pub(crate) cell: String,
}

/// A table of the matrix.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Table {
    Flows,
    Failures,
    Tower,
    Reqwest,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct ShownError {
    pub(crate) case: String,
    pub(crate) kind: String,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
}

/// The beginning of the cell of a case for which there was no time.
pub(crate) const UNSEEN: &str = "not seen";
/// The cell of a case that did what it should.
pub(crate) const PASSED: &str = "passed";

impl Results {
    pub(crate) fn add(&mut self, table: Table, case: &str, cell: impl Into<String>) {
        let cell = cell.into();
        println!("  {table:?}: {case}: {cell}");
        self.rows.push(Row { table, case: case.to_owned(), cell });
    }

    fn cell(&self, table: Table, case: &str) -> &str {
        let row = self.rows.iter().find(|row| row.table == table && row.case == case);
        row.map_or("-", |row| row.cell.as_str())
    }

    fn file(folder: &Path, name: &str) -> std::path::PathBuf {
        folder.join(name).join("results.json")
    }

    /// Reads the results of the last run, if there are some.
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        let path = Self::file(folder, name);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        Ok(Some(serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?))
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::write(Self::file(folder, &self.name), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// The rows that differ from an earlier run. What a slow machine had no time to see is no difference.
    pub(crate) fn differences(&self, earlier: &Results) -> Vec<String> {
        let unseen = |row: &&Row| self.cell(row.table, &row.case).starts_with(UNSEEN);
        let lines = |results: &Results| -> BTreeSet<String> {
            let rows = results
                .rows
                .iter()
                .filter(|row| !unseen(row))
                .map(|row| format!("{:?}: {}: {}", row.table, row.case, row.cell));
            let errors = results.errors.iter().map(|shown| format!("{shown:?}"));
            rows.chain(errors).chain([results.title.clone()]).collect()
        };
        let (now, then) = (lines(self), lines(earlier));
        let gone = then.difference(&now).map(|line| format!("- {line}"));
        gone.chain(now.difference(&then).map(|line| format!("+ {line}"))).collect()
    }
}

/// The page with the matrix of all servers. `skipped` names those without results, with the reason.
pub(crate) fn page(all: &[Results], skipped: &[(String, String)]) -> Result<String> {
    let mut page = String::from(HEAD);
    for (table, title, about) in TABLES {
        let mut cases: Vec<&str> = Vec::new();
        for row in all.iter().flat_map(|results| &results.rows).filter(|row| row.table == *table) {
            if !cases.contains(&row.case.as_str()) {
                cases.push(&row.case);
            }
        }
        if cases.is_empty() {
            continue;
        }
        writeln!(page, "\n## {title}\n\n{about}\n")?;
        let names: Vec<&str> = all.iter().map(|results| results.name.as_str()).collect();
        writeln!(page, "| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))?;
        for case in cases {
            let cells: Vec<&str> = all.iter().map(|results| results.cell(*table, case)).collect();
            writeln!(page, "| {case} | {} |", cells.join(" | "))?;
        }
    }
    page.push_str("\n## Servers\n\n");
    for results in all {
        writeln!(page, "- {}: {}", results.name, results.title)?;
    }
    for (name, reason) in skipped {
        writeln!(page, "- {name}: skipped, {reason}")?;
    }
    page.push_str(ERRORS);
    for results in all {
        writeln!(page, "\n### {}\n", results.name)?;
        for shown in &results.errors {
            let code = shown.code.as_deref().map_or_else(|| "no code".to_owned(), |code| format!("`{code}`"));
            writeln!(page, "- **{}** ({}, {code}): {}", shown.case, shown.kind, shown.message)?;
        }
    }
    Ok(page)
}

const HEAD: &str = "\
# Real servers

What the library does with authorization servers that others wrote. `tests/interop/run all` starts each of them on
loopback, goes through the cases below, and writes this page: do not edit it by hand.

In a cell, *passed* means the whole path: a token, and an API that verified it by the server's own introspection or
keys, called through the tower layer and through the reqwest middleware. *Not offered* means that the server lacks the
flow. With an error code, or *refused, no code*, the request was still sent, and that is the response. It does not count
as passed. *Server error* means that the server failed with a status of 5xx where it should have accepted or refused.
";

const TABLES: &[(Table, &str, &str)] = &[
    (Table::Flows, "Flows", "Each cell is one way to a token."),
    (
        Table::Failures,
        "Mistakes",
        "Each cell is the code with which the server refused, and which the user found in `Error::oauth_code()`. The \
         error was checked for its kind, its retry advice, for what to change, and for secrets. *Not checked* means \
         that the server gave a token despite the mistake.",
    ),
    (
        Table::Tower,
        "The life of a token in the tower layer",
        "hyper-util's client in `BearerLayer`, with `Replay`. Tokens live for seconds.",
    ),
    (
        Table::Reqwest,
        "The life of a token in the reqwest middleware",
        "reqwest with `BearerMiddleware`, which replays once. Tokens live for seconds.",
    ),
];

const ERRORS: &str = "
## What users read

The sentence of each refusal, as `Display` shows it. Origins are replaced.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn results(cells: [&str; 2]) -> Results {
        let mut results = Results::default();
        results.add(Table::Flows, "a flow", cells[0]);
        results.add(Table::Tower, "an outage", cells[1]);
        results
    }

    #[test]
    fn a_changed_cell_is_a_difference_and_an_unseen_one_is_not() {
        let earlier = results([PASSED, PASSED]);
        assert!(results([PASSED, PASSED]).differences(&earlier).is_empty());
        assert!(results([PASSED, "not seen: too slow"]).differences(&earlier).is_empty());
        let differences = results(["not offered", PASSED]).differences(&earlier);
        assert_eq!(differences, ["- Flows: a flow: passed", "+ Flows: a flow: not offered"]);
    }

    #[test]
    fn missing_rows_are_dashes_and_skipped_servers_have_reasons() {
        let mut other = Results { name: "other".to_owned(), ..Results::default() };
        other.add(Table::Flows, "its own flow", "not offered");
        let named = Results { name: "named".to_owned(), ..results([PASSED, PASSED]) };
        let page = page(&[named, other], &[("third".to_owned(), "Java is missing".to_owned())]).unwrap();
        for line in
            ["| a flow | passed | - |", "| its own flow | - | not offered |", "- third: skipped, Java is missing"]
        {
            assert!(page.contains(line), "{page}");
        }
    }
}
