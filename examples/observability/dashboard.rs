//! The dashboard for Grafana, and what it asks for.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::Value;

const DASHBOARD: &str = include_str!("dashboard.json");

/// The metrics that a query of the dashboard names, and that the scraped text does not have.
pub(crate) fn unknown_metrics(scraped: &str) -> anyhow::Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("there are panels")?;
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = queries.filter_map(|target| target["expr"].as_str()).collect();
    anyhow::ensure!(queries.len() >= panels.len(), "each panel has a query");
    let asked: BTreeSet<&str> = queries.iter().flat_map(|query| metrics_in(query)).collect();
    let known: BTreeSet<&str> = scraped.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    Ok(asked.difference(&known).map(|&name| name.to_owned()).collect())
}

/// The names of metrics in a query: the words that begin as ours do.
fn metrics_in(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("bearer_token_") || word.starts_with("http_client_"))
}
