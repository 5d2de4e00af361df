//! A service with `/metrics` for Prometheus, `/healthz` for a readiness probe, and a dashboard for Grafana.
//!
//! `cargo run --example observability` plays ninety minutes in virtual time: the authorization server is down for a
//! quarter of an hour, which is longer than a token lives. Later a disk is full, so a refresh token cannot be saved,
//! and at last every token is revoked, twice. The first time the rejected request is replayed, the second time it is
//! not. What is printed was observed, and the exit status is 0 only if it was as expected. With a path, such as
//! `-- panels.svg`, the panels of the dashboard are drawn from that run.
//!
//! `service.rs` is what you would write. `dashboard.json` is ready to be imported into Grafana, and `alerts.yml` into
//! Prometheus. `promtool test rules alerts_test.yml` shows when the alerts fire.

use std::{path::Path, time::Duration};

use anyhow::ensure;

mod dashboard;
mod panels;
#[cfg(test)]
mod prometheus;
mod run;
mod service;

use run::{Run, Scrape};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let run = Run::play().await?;
    report(&run);
    check(&run)?;
    if let Some(file) = std::env::args_os().nth(1) {
        panels::draw(Path::new(&file), &run)?;
        println!("\nthe panels are in {}", Path::new(&file).display());
    }
    Ok(())
}

/// Prints `/healthz` whenever its first words change.
fn report(run: &Run) {
    let mut last = "";
    for scrape in &run.scrapes {
        let words = scrape.health.split(';').next().unwrap_or_default();
        if words != last {
            println!("minute {:>4.1}: {} {}", minutes(scrape.at), scrape.health_status, scrape.health);
            last = words;
        }
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

/// What must have happened in the run.
fn check(run: &Run) -> anyhow::Result<()> {
    let Some(last) = run.scrapes.last() else { anyhow::bail!("nothing was scraped") };
    let total = |name: &str, label: &str| last.sum(name, label);
    let ready = |scrape: &&Scrape| scrape.health_status == 200;
    ensure!(ready(&last), "the service recovers: {}", last.health);
    ensure!(
        run.scrapes.iter().any(|scrape| scrape.health.contains("degraded")),
        "the outage is seen while tokens live"
    );
    ensure!(run.scrapes.iter().any(|scrape| !ready(&scrape)), "the outage is longer than a token lives");
    ensure!(total("bearer_token_fetches_total", "outcome=\"unavailable\"") > 3.0, "fetches fail");
    ensure!(total("bearer_token_replays_total", "outcome=\"renewing\"") >= 1.0, "a revoked token is replaced");
    ensure!(total("bearer_token_not_replayed_total", "") >= 1.0, "a refusal that is not replayed is counted");
    let not_saved = total("bearer_token_warnings_total", "warning=\"refresh_token_not_saved\"");
    ensure!(not_saved > 1.0, "each attempt to save on a full disk is told");
    ensure!(total("bearer_token_warnings_total", "") == not_saved, "nothing else is wrong");
    ensure!(total("bearer_token_unserved_total", "outcome=\"refused\"") > 10.0, "refused callers are counted");
    ensure!(!last.text.contains("secret"), "no secret is in the metrics");
    for panel in dashboard::panels()? {
        let lines = panel.lines(run)?;
        let is_drawn = |line: &dashboard::Line| line.values.iter().flatten().any(|value| *value > 0.0);
        ensure!(lines.iter().any(is_drawn), "the panel `{}` shows nothing of the run", panel.title);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::Panel;

    #[tokio::test]
    async fn the_dashboard_asks_only_for_what_the_run_emits() {
        let run = Run::play().await.unwrap_or_else(|error| panic!("{error:#}"));
        check(&run).unwrap_or_else(|error| panic!("{error:#}"));
    }

    #[tokio::test]
    async fn a_metric_or_label_that_is_gone_is_found() {
        let mut run = Run::play().await.unwrap_or_else(|error| panic!("{error:#}"));
        for (from, to) in [
            ("bearer_token_fetches_total", "bearer_token_fetches"),
            ("warning=\"", "event=\""),
            ("state=\"", "outcome=\""),
        ] {
            let before: Vec<_> = run.scrapes.iter().map(|scrape| scrape.text.clone()).collect();
            run.scrapes.iter_mut().for_each(|scrape| scrape.text = scrape.text.replace(from, to));
            let is_found = dashboard::panels().unwrap_or_default().iter().any(|panel| panel.lines(&run).is_err());
            assert!(is_found, "{from}");
            run.scrapes.iter_mut().zip(before).for_each(|(scrape, text)| scrape.text = text);
        }
    }

    #[tokio::test]
    async fn the_panels_can_be_drawn() {
        let run = Run::play().await.unwrap_or_else(|error| panic!("{error:#}"));
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let file = directory.path().join("panels.svg");
        panels::draw(&file, &run).unwrap_or_else(|error| panic!("{error:#}"));
        let drawn = std::fs::read_to_string(file).unwrap_or_default();
        let panels = dashboard::panels().unwrap_or_default();
        assert!(panels.len() > 10);
        for Panel { title, .. } in panels {
            assert!(drawn.contains(&title), "{title}");
        }
    }
}
