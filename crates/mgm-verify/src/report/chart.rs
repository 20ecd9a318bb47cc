//! [`Chart`]: series over an axis, drawn as SVG.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// The size in units. The page shows at most half of it, so the whole numbers that plotters writes are fine enough.
const SIZE: (u32, u32) = (1040, 560);
const INK: RGBColor = RGBColor(0x5b, 0x68, 0x75);
const GRID: RGBColor = RGBColor(0xe6, 0xea, 0xee);
/// Colours that readers with red-green blindness can distinguish (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x99, 0x4f, 0x88),
];

/// One line of a chart.
pub struct Series<'a> {
    /// The name in the legend, which a chart with more than one series has.
    pub name: &'a str,
    /// The points.
    pub points: Vec<(f64, f64)>,
}

/// The title, the labels and the range of an axis.
#[derive(Clone, Copy)]
pub struct Axis {
    title: &'static str,
    label: fn(f64) -> String,
    /// The ends of the range. Without them it ends at the lowest or highest value.
    min: Option<f64>,
    max: Option<f64>,
}

impl Axis {
    /// Returns an axis of the time since the start, in seconds.
    #[must_use]
    pub fn seconds() -> Axis {
        Axis { title: "time since the start", label: seconds, min: Some(0.0), max: None }
    }

    /// Returns an axis from zero to the highest value.
    #[must_use]
    pub fn from_zero(title: &'static str, label: fn(f64) -> String) -> Axis {
        Axis { title, label, min: Some(0.0), max: None }
    }

    /// Returns an axis from one value to another.
    #[must_use]
    pub fn between(title: &'static str, min: f64, max: f64, label: fn(f64) -> String) -> Axis {
        Axis { title, label, min: Some(min), max: Some(max) }
    }

    fn range(self, values: impl Iterator<Item = f64> + Clone, headroom: f64) -> std::ops::Range<f64> {
        let min = self.min.unwrap_or_else(|| values.clone().fold(f64::INFINITY, f64::min));
        let max = self.max.unwrap_or_else(|| values.fold(f64::NEG_INFINITY, f64::max) * headroom);
        let min = if min.is_finite() { min } else { 0.0 };
        // A range must not be empty.
        let max = if max.is_finite() && max > min { max } else { min + 1.0 };
        min..max
    }
}

/// A plot.
pub struct Chart<'a> {
    /// The title above it.
    pub title: &'a str,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series<'a>>,
}

impl Chart<'_> {
    /// Draws the plot.
    ///
    /// # Errors
    /// If plotters cannot draw it.
    pub fn svg(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        self.draw(&area).map_err(|error| anyhow!("the plot \"{}\" cannot be drawn: {error}", self.title))?;
        drop(area);
        Ok(text)
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let x = self.x.range(points().map(|(x, _)| *x), 1.0);
        let y = self.y.range(points().map(|(_, y)| *y), 1.08);
        let floor = y.start;
        let font = ("sans-serif", 25).into_font().color(&INK);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_right(40)
            .x_label_area_size(86)
            .y_label_area_size(140)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .x_labels(6)
            .y_labels(6)
            .x_desc(self.x.title)
            .y_desc(self.y.title)
            .axis_desc_style(font.clone())
            .x_label_formatter(&|value| (self.x.label)(*value))
            .y_label_formatter(&|value| (self.y.label)(*value))
            .label_style(font.clone())
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            Self::draw_series(&mut chart, series, *colour, (self.series.len() == 1).then_some(floor))?;
        }
        if self.series.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE.mix(0.85))
                .label_font(font)
                .draw()?;
        }
        area.present()?;
        Ok(())
    }

    /// Draws one line. A single line has the area below it filled, down to `floor`.
    fn draw_series(
        chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
        series: &Series<'_>,
        colour: RGBColor,
        floor: Option<f64>,
    ) -> Result<(), String> {
        let points = series.points.iter().copied();
        if let Some(floor) = floor {
            let area = AreaSeries::new(points.clone(), floor, colour.mix(0.14));
            chart.draw_series(area).map_err(|error| error.to_string())?;
        }
        let drawn = chart
            .draw_series(LineSeries::new(points, colour.stroke_width(3)))
            .map_err(|error| error.to_string())?;
        if floor.is_none() {
            drawn
                .label(series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], colour.stroke_width(5)));
        }
        Ok(())
    }
}

/// Returns a number in few characters: 12, 1.2 k, 35 M.
#[must_use]
pub fn short(number: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    match units.iter().find(|(unit, _)| number.abs() >= *unit) {
        Some((unit, name)) => format!("{}{name}", trimmed(number / unit)),
        None => trimmed(number),
    }
}

/// Returns a number with at most three significant digits and no trailing zeros.
fn trimmed(number: f64) -> String {
    let places = if number.abs() >= 100.0 || number == number.trunc() { 0 } else { 1 };
    let places = if number != 0.0 && number.abs() < 1.0 { 2 } else { places };
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Returns a time in the unit that suits it.
fn seconds(number: f64) -> String {
    match number {
        number if number >= 7200.0 => format!("{} h", trimmed(number / 3600.0)),
        number if number >= 120.0 => format!("{} min", trimmed(number / 60.0)),
        number => format!("{} s", trimmed(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_axes_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (7.0, "7"),
            (1500.0, "1.5 k"),
            (350_000.0, "350 k"),
            (2e6, "2 M"),
            (1.25e9, "1.2 G"),
        ] {
            assert_eq!(short(number), text);
        }
        assert_eq!([seconds(90.0), seconds(1800.0), seconds(9000.0)], ["90 s", "30 min", "2.5 h"]);
    }

    #[test]
    fn empty_and_constant_series_can_be_drawn() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(0.0, 3.0), (1.0, 3.0)]] {
            let series = vec![Series { name: "one", points }];
            let chart = Chart { title: "", x: Axis::seconds(), y: Axis::from_zero("", short), series };
            assert!(chart.svg().unwrap().ends_with("</svg>\n"));
        }
    }
}
