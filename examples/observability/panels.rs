//! The panels of the dashboard, drawn from a run.

use std::path::Path;

use anyhow::anyhow;
use plotters::{coord::Shift, prelude::*};

use crate::{
    dashboard::{self, Line, Panel},
    minutes,
    run::{FULL, OUTAGE, REVOCATION, Run},
};

const GREEN: RGBColor = RGBColor(46, 125, 50);
const ORANGE: RGBColor = RGBColor(230, 126, 34);
const PURPLE: RGBColor = RGBColor(123, 31, 162);
const OTHERS: [RGBColor; 6] =
    [BLUE, PURPLE, RGBColor(0, 131, 143), RGBColor(121, 85, 72), RGBColor(194, 24, 91), BLACK];

/// Writes all panels into one SVG file.
pub(crate) fn draw(file: &Path, run: &Run) -> anyhow::Result<()> {
    let panels = dashboard::panels()?;
    let lines = panels.iter().map(|panel| panel.lines(run)).collect::<anyhow::Result<Vec<_>>>()?;
    let rows = panels.len().div_ceil(2);
    let area = SVGBackend::new(file, (1100, 280 * u32::try_from(rows)?)).into_drawing_area();
    draw_all(&area, run, rows, panels.iter().zip(&lines)).map_err(|error| anyhow!("{error}"))
}

fn draw_all<'a>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    run: &Run,
    rows: usize,
    panels: impl Iterator<Item = (&'a Panel, &'a Vec<Line>)>,
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    for (place, (panel, lines)) in area.split_evenly((rows, 2)).iter().zip(panels) {
        draw_panel(place, run, panel, lines)?;
    }
    area.present()?;
    Ok(())
}

fn draw_panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    run: &Run,
    panel: &Panel,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let end = run.scrapes.last().map_or(1.0, |scrape| minutes(scrape.at));
    let values = lines.iter().flat_map(|line| &line.values).flatten();
    let top = values.fold(0.1_f64, |top, value| top.max(*value)) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    // The outage of the server, the full disk, and the revocation.
    for (time, colour) in [(OUTAGE, RED), (FULL, ORANGE)] {
        let area = [(minutes(time.start), 0.0), (minutes(time.end), top)];
        chart.draw_series([Rectangle::new(area, colour.mix(0.08).filled())])?;
    }
    let revoked = [(minutes(REVOCATION), 0.0), (minutes(REVOCATION), top)];
    chart.draw_series([PathElement::new(revoked, PURPLE.mix(0.4))])?;
    let unit = match panel.unit.as_str() {
        "cpm" => "per minute",
        "s" => "seconds",
        "short" => "number",
        other => other,
    };
    chart.configure_mesh().x_desc("minutes").y_desc(unit).x_labels(10).y_labels(5).light_line_style(WHITE).draw()?;
    for (number, line) in lines.iter().enumerate() {
        // What was never more than zero would only hide the others in the legend.
        if !line.values.iter().flatten().any(|value| *value > 0.0) {
            continue;
        }
        let colour = colour(&line.legend, number);
        let mut points = run.scrapes.iter().zip(&line.values).peekable();
        let mut legend = Some(&line.legend);
        while points.peek().is_some() {
            // A gap ends a line.
            let piece: Vec<_> = std::iter::from_fn(|| {
                points.next().and_then(|(scrape, value)| value.map(|value| (minutes(scrape.at), value)))
            })
            .collect();
            let drawn = chart.draw_series(LineSeries::new(piece, colour.stroke_width(2)))?;
            if let Some(legend) = legend.take() {
                drawn.label(legend).legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
            }
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

/// Good and bad outcomes have their colours, in the first provider's lines.
fn colour(legend: &str, number: usize) -> RGBColor {
    if !legend.starts_with("orders") {
        return OTHERS[number % OTHERS.len()];
    }
    match legend.rsplit(' ').next() {
        Some("fetched" | "served" | "fresh" | "ok") => GREEN,
        Some("failed" | "unavailable" | "missing") => RED,
        Some("refused" | "stale") => ORANGE,
        _ => OTHERS[number % OTHERS.len()],
    }
}
