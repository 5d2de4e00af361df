//! The panels of the dashboard, drawn from a run.

use std::path::Path;

use anyhow::anyhow;
use plotters::{coord::Shift, prelude::*};

use crate::{
    minutes,
    run::{INTERVAL, OUTAGE, REVOCATION, Run, Scrape},
};

/// The titles, as in the dashboard.
pub(crate) const TITLES: [&str; 6] = [
    "Requests by what they found in the cache",
    "Fetches by outcome",
    "Remaining life of the token",
    "Cool-down",
    "Waits by outcome",
    "Rejections and replays",
];

type Line<'a> = (&'a str, RGBColor, Vec<f64>);

const GREEN: RGBColor = RGBColor(46, 125, 50);
const ORANGE: RGBColor = RGBColor(230, 126, 34);
const PURPLE: RGBColor = RGBColor(123, 31, 162);

/// Writes all panels into one SVG file.
pub(crate) fn draw(file: &Path, run: &Run) -> anyhow::Result<()> {
    let area = SVGBackend::new(file, (1100, 840)).into_drawing_area();
    draw_all(&area, run).map_err(|error| anyhow!("{error}"))
}

fn draw_all(area: &DrawingArea<SVGBackend<'_>, Shift>, run: &Run) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let per_minute = |name: &str, label: &str| rates(run, name, label);
    let left = |name: &str| run.scrapes.iter().map(|scrape| (scrape.sum(name, "") - scrape.unix).max(0.0)).collect();
    let (reads, fetches) = ("bearer_token_cache_reads_total", "bearer_token_fetches_total");
    let waits = "bearer_token_wait_duration_seconds_count";
    let panels: [(&str, Vec<Line<'_>>); 6] = [
        (
            "per minute",
            vec![
                ("fresh", GREEN, per_minute(reads, "state=\"fresh\"")),
                ("stale", ORANGE, per_minute(reads, "state=\"stale\"")),
                ("missing", RED, per_minute(reads, "state=\"missing\"")),
            ],
        ),
        (
            "per minute",
            vec![
                ("fetched", GREEN, per_minute(fetches, "outcome=\"fetched\"")),
                ("unavailable", RED, per_minute(fetches, "outcome=\"unavailable\"")),
            ],
        ),
        ("seconds", vec![("expires_at - time()", BLUE, left("bearer_token_expires_at_seconds"))]),
        ("seconds", vec![("next_attempt_at - time()", ORANGE, left("bearer_token_next_attempt_at_seconds"))]),
        (
            "per minute",
            vec![
                ("served", GREEN, per_minute(waits, "outcome=\"served\"")),
                ("failed", RED, per_minute(waits, "outcome=\"failed\"")),
            ],
        ),
        (
            "per minute",
            vec![
                ("rejections", PURPLE, per_minute("bearer_token_rejections_total", "")),
                ("replays", BLUE, per_minute("bearer_token_replays_total", "")),
            ],
        ),
    ];
    for ((place, title), (unit, lines)) in area.split_evenly((3, 2)).iter().zip(TITLES).zip(panels) {
        panel(place, run, title, unit, &lines)?;
    }
    area.present()?;
    Ok(())
}

/// The increase of a counter per minute, from scrape to scrape.
fn rates(run: &Run, name: &str, label: &str) -> Vec<f64> {
    let values: Vec<f64> = run.scrapes.iter().map(|scrape: &Scrape| scrape.sum(name, label)).collect();
    let increases = values.windows(2).map(|pair| (pair[1] - pair[0]) * 60.0 / INTERVAL.as_secs_f64());
    std::iter::once(0.0).chain(increases).collect()
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    run: &Run,
    title: &str,
    unit: &str,
    lines: &[Line<'_>],
) -> Result<(), Box<dyn std::error::Error>> {
    let end = run.scrapes.last().map_or(1.0, |scrape| minutes(scrape.at));
    let top = lines.iter().flat_map(|(.., values)| values).fold(1.0_f64, |top, value| top.max(*value)) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    // The outage, and the revocation.
    let down = [(minutes(OUTAGE.start), 0.0), (minutes(OUTAGE.end), top)];
    chart.draw_series([Rectangle::new(down, RED.mix(0.08).filled())])?;
    let revoked = [(minutes(REVOCATION), 0.0), (minutes(REVOCATION), top)];
    chart.draw_series([PathElement::new(revoked, PURPLE.mix(0.4))])?;
    chart.configure_mesh().x_desc("minutes").y_desc(unit).x_labels(10).y_labels(5).light_line_style(WHITE).draw()?;
    for (label, colour, values) in lines {
        let colour = *colour;
        let points = run.scrapes.iter().zip(values).map(|(scrape, value)| (minutes(scrape.at), *value));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(*label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}
