//! Draws plots as SVG.

use std::{error::Error, path::Path};

use plotters::prelude::*;

use crate::report::Plot;

/// Draws lines, or for one series a bar for each label.
pub fn draw(plot: &Plot, file: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    paint(plot, file).map_err(|error| error.to_string().into())
}

fn paint(plot: &Plot, file: &Path) -> Result<(), Box<dyn Error>> {
    let points = || plot.series.iter().flat_map(|(_, points)| points);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max).max(1.0) * 1.1;
    let right = points().map(|(x, _)| *x).fold(0.0, f64::max);

    let area = SVGBackend::new(file, (900, 360)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        // The legend of many lines is to their right.
        .build_cartesian_2d(-0.5..right + if plot.series.len() > 1 { 1.5 } else { 0.5 }, 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc(&plot.x)
        .y_desc(&plot.y)
        .x_labels(plot.labels.len() + 1)
        .x_label_formatter(&|x| label(plot, *x))
        .light_line_style(WHITE)
        .draw()?;
    if let [(_, points)] = &plot.series[..] {
        let bars = points.iter().map(|(x, y)| Rectangle::new([(x - 0.3, 0.0), (x + 0.3, *y)], BLUE.mix(0.6).filled()));
        chart.draw_series(bars)?;
    } else {
        for (number, (name, points)) in plot.series.iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    }
    area.present()?;
    Ok(())
}

/// The label of a point on the horizontal axis: a name at each whole number, nothing between.
fn label(plot: &Plot, x: f64) -> String {
    if (x - x.round()).abs() > 0.01 || x < 0.0 {
        return String::new();
    }
    plot.labels.get(x.round() as usize).cloned().unwrap_or_default()
}
