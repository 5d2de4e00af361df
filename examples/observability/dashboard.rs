//! The dashboard for Grafana, and what its queries find in a run.
//!
//! A query has one of the four forms that the dashboard uses. Any other one is an error, so a new form of a panel
//! cannot go unchecked.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::run::{INTERVAL, Run};

const DASHBOARD: &str = include_str!("dashboard.json");

/// A panel of the dashboard.
pub(crate) struct Panel {
    pub(crate) title: String,
    /// Grafana's name of the unit.
    pub(crate) unit: String,
    /// Each query with its legend.
    pub(crate) targets: Vec<(String, String)>,
}

/// A line of a panel: its legend, and a value for each scrape that has one.
pub(crate) struct Line {
    pub(crate) legend: String,
    pub(crate) values: Vec<Option<f64>>,
}

type Labels = BTreeMap<String, String>;

/// The upper bound of a bucket, and its rate at each scrape.
type Bucket = (f64, Vec<Option<f64>>);

/// What a query or a part of it results in.
type Series = BTreeMap<Labels, Vec<Option<f64>>>;

/// The panels, in their order.
pub(crate) fn panels() -> anyhow::Result<Vec<Panel>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a string");
    let target = |target: &Value| Ok((text(&target["expr"])?, text(&target["legendFormat"])?));
    let panel = |panel: &Value| {
        let targets = panel["targets"].as_array().context("a panel has targets")?;
        Ok(Panel {
            title: text(&panel["title"])?,
            unit: text(&panel["fieldConfig"]["defaults"]["unit"])?,
            targets: targets.iter().map(target).collect::<anyhow::Result<_>>()?,
        })
    };
    dashboard["panels"].as_array().context("there are panels")?.iter().map(panel).collect()
}

impl Panel {
    /// The lines that Grafana would draw.
    pub(crate) fn lines(&self, run: &Run) -> anyhow::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for (query, legend) in &self.targets {
            let found = evaluate(&query.replace(r#"{provider=~"$provider"}"#, ""), run)?;
            lines.extend(found.into_iter().map(|(labels, values)| Line { legend: named(legend, &labels), values }));
        }
        Ok(lines)
    }
}

/// The legend of a line. Prometheus adds the label `instance`, which the scraped text does not have.
fn named(legend: &str, labels: &Labels) -> String {
    let parts = legend.split("{{").map(|part| match part.split_once("}}") {
        Some((label, rest)) => format!("{}{rest}", labels.get(label).map_or("", String::as_str)),
        None => part.to_owned(),
    });
    parts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Evaluates a query at each scrape.
fn evaluate(query: &str, run: &Run) -> anyhow::Result<Series> {
    const RATE: &str = "[$__rate_interval])";
    if let Some(positive) = query.strip_suffix(" > 0") {
        let mut series = evaluate(positive, run)?;
        for values in series.values_mut() {
            values.iter_mut().for_each(|value| *value = value.filter(|value| *value > 0.0));
        }
        return Ok(series);
    }
    if let Some(inside) = query.strip_prefix("clamp_min(").and_then(|rest| rest.strip_suffix(" - time(), 0)")) {
        let mut series = metric(inside, run)?;
        for values in series.values_mut() {
            for (value, scrape) in values.iter_mut().zip(&run.scrapes) {
                *value = value.map(|value| (value - scrape.unix).max(0.0));
            }
        }
        return Ok(series);
    }
    if let Some(inside) = query.strip_prefix("histogram_quantile(").and_then(|rest| rest.strip_suffix(')')) {
        let (quantile, summed) = inside.split_once(", ").context("a quantile")?;
        return quantiles(quantile.parse()?, sum_of_rates(summed, RATE, run)?);
    }
    match query.strip_suffix(" * 60") {
        Some(summed) => {
            let mut series = sum_of_rates(summed, RATE, run)?;
            series.values_mut().flatten().flatten().for_each(|value| *value *= 60.0);
            Ok(series)
        }
        None => metric(query, run),
    }
}

/// `sum by (labels) (rate(metric[..]))`. Grafana's interval for rates is that of four scrapes.
fn sum_of_rates(query: &str, rate: &str, run: &Run) -> anyhow::Result<Series> {
    let parts = query.strip_prefix("sum by (").and_then(|rest| rest.split_once(") (rate("));
    let (by, inside) = parts.with_context(|| format!("a sum of rates: {query}"))?;
    let name = inside.strip_suffix(')').and_then(|rest| rest.strip_suffix(rate)).context("a rate")?;
    let mut sums = Series::new();
    for (labels, values) in metric(name, run)? {
        let group = by.split(", ").filter_map(|name| labels.get_key_value(name));
        let group = group.map(|(name, value)| (name.clone(), value.clone())).collect();
        let sum = sums.entry(group).or_insert_with(|| vec![None; values.len()]);
        for at in 1..values.len() {
            let scraped = (at.saturating_sub(4)..at).find_map(|from| values[from].map(|before| (from, before)));
            if let (Some((from, before)), Some(after)) = (scraped, values[at]) {
                let scrapes = u32::try_from(at - from)?;
                *sum[at].get_or_insert(0.0) += (after - before) / (INTERVAL * scrapes).as_secs_f64();
            }
        }
    }
    ensure!(
        by.split(", ").all(|name| is_optional(name) || sums.keys().any(|labels| labels.contains_key(name))),
        "{query}: a label of the group is in no series"
    );
    Ok(sums)
}

/// Requests that fail have an `error.type`, and those that get no response have no status.
fn is_optional(label: &str) -> bool {
    matches!(label, "error_type" | "http_response_status_code")
}

/// Every series of a metric.
fn metric(name: &str, run: &Run) -> anyhow::Result<Series> {
    ensure!(
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'),
        "not a form that is known: {name}"
    );
    let mut all = Series::new();
    for (at, scrape) in run.scrapes.iter().enumerate() {
        for line in scrape.text.lines() {
            let Some((labels, value)) =
                line.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')?.split_once("} "))
            else {
                continue;
            };
            let pairs = labels.trim_end_matches('"').split("\",").filter_map(|pair| pair.split_once("=\""));
            let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            all.entry(labels).or_insert_with(|| vec![None; run.scrapes.len()])[at] = Some(value.parse()?);
        }
    }
    if all.is_empty() {
        bail!("{name} is not in /metrics");
    }
    Ok(all)
}

/// The quantile of each group of buckets, with a straight line inside of a bucket, as Prometheus has it.
fn quantiles(quantile: f64, buckets: Series) -> anyhow::Result<Series> {
    let mut groups: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
    for (mut labels, values) in buckets {
        let bound = labels.remove("le").context("a bucket has a bound")?.parse()?;
        groups.entry(labels).or_default().push((bound, values));
    }
    let of_group = |mut buckets: Vec<Bucket>| {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let scrapes = buckets.first().map_or(0, |(_, values)| values.len());
        let at_scrape = |at: usize| {
            let counts = buckets.iter().map(|(bound, values)| values[at].map(|count| (*bound, count)));
            let counts = counts.collect::<Option<Vec<_>>>()?;
            let wanted = counts.last().map(|(_, all)| all * quantile).filter(|wanted| *wanted > 0.0)?;
            let found = counts.iter().position(|(_, count)| *count >= wanted)?;
            let (from, below) = if found == 0 { (0.0, 0.0) } else { counts[found - 1] };
            let (to, count) = counts[found];
            Some(if to.is_finite() { from + (to - from) * (wanted - below) / (count - below) } else { from })
        };
        (0..scrapes).map(at_scrape).collect()
    };
    Ok(groups.into_iter().map(|(labels, buckets)| (labels, of_group(buckets))).collect())
}
