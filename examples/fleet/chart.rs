//! Plots of the load on the authorization server.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use crate::simulation::{Course, WINDOW};

/// Token requests per window, with jitter above, without below.
pub(crate) fn draw(file: &Path, title: &str, with: &Course, without: &Course) -> anyhow::Result<()> {
    plot(file, title, with, without).map_err(|error| anyhow!("{error}"))
}

/// Token requests per window of a fleet that shares one token.
pub(crate) fn draw_shared(file: &Path, title: &str, course: &Course) -> anyhow::Result<()> {
    plot_shared(file, title, course).map_err(|error| anyhow!("{error}"))
}

fn plot_shared(file: &Path, title: &str, course: &Course) -> Result<(), Box<dyn std::error::Error>> {
    let hours = |window: usize| window as f64 * WINDOW.as_secs_f64() / 3_600.0;
    let top = f64::from(course.windows.iter().copied().max().unwrap_or_default().max(1)) * 1.1;
    let area = SVGBackend::new(file, (900, 320)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..hours(course.windows.len()), 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc("hours")
        .y_desc("token requests per minute")
        .x_labels(13)
        .light_line_style(WHITE)
        .draw()?;
    let tops = course.windows.iter().enumerate().filter(|(_, count)| **count > 0);
    chart.draw_series(tops.map(|(window, count)| {
        PathElement::new([(hours(window), 0.0), (hours(window), f64::from(*count))], BLUE.stroke_width(2))
    }))?;
    area.present()?;
    Ok(())
}

fn plot(file: &Path, title: &str, with: &Course, without: &Course) -> Result<(), Box<dyn std::error::Error>> {
    let hours = |window: usize| window as f64 * WINDOW.as_secs_f64() / 3_600.0;
    let end = hours(with.windows.len());
    // Without jitter all requests fall into one window, beside which the other curves would look flat.
    let top = 8.0 * with.mean();

    let area = SVGBackend::new(file, (900, 320)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc("hours")
        .y_desc("token requests per minute")
        .x_labels(13)
        .light_line_style(WHITE)
        .draw()?;
    let tops = without.windows.iter().enumerate().filter(|(_, count)| **count > 0);
    chart
        .draw_series(tops.map(|(window, count)| {
            let height = f64::from(*count).min(top);
            PathElement::new([(hours(window), 0.0), (hours(window), height)], RED.mix(0.5))
        }))?
        .label("without jitter (cut off)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED.mix(0.5)));
    let line = with.windows.iter().enumerate().map(|(window, count)| (hours(window), f64::from(*count).min(top)));
    chart
        .draw_series(LineSeries::new(line, BLUE.stroke_width(2)))?
        .label("with jitter")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE));
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    area.present()?;
    Ok(())
}
