//! [`Chart`]: lines over an axis, as SVG.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// In what it is drawn: shown at half of that at most, so that whole numbers, which is what plotters writes, are fine enough.
const SIZE: (u32, u32) = (1040, 520);
const INK: RGBColor = RGBColor(0x5b, 0x68, 0x75);
const GRID: RGBColor = RGBColor(0xe6, 0xea, 0xee);
/// Told apart by people who see red and green alike, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x99, 0x4f, 0x88),
];

pub(crate) struct Line<'a> {
    /// Shown where there is more than one.
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// How the numbers of an axis are written, and how far it goes.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    label: fn(f64) -> String,
    /// As far as the values go, or further.
    least: Option<f64>,
    most: Option<f64>,
}

impl Axis {
    /// From the first value to the last, in seconds.
    pub(crate) fn seconds() -> Axis {
        Axis { label: seconds, least: Some(0.0), most: None }
    }

    /// From zero to the highest value.
    pub(crate) fn from_zero(label: fn(f64) -> String) -> Axis {
        Axis { label, least: Some(0.0), most: None }
    }

    /// From here to there.
    pub(crate) fn between(least: f64, most: f64, label: fn(f64) -> String) -> Axis {
        Axis { label, least: Some(least), most: Some(most) }
    }

    fn range(self, values: impl Iterator<Item = f64> + Clone, headroom: f64) -> std::ops::Range<f64> {
        let least = self.least.unwrap_or_else(|| values.clone().fold(f64::INFINITY, f64::min));
        let most = self.most.unwrap_or_else(|| values.fold(f64::NEG_INFINITY, f64::max) * headroom);
        let least = if least.is_finite() { least } else { 0.0 };
        // Something has to be between them.
        let most = if most.is_finite() && most > least { most } else { least + 1.0 };
        least..most
    }
}

pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line<'a>>,
}

impl Chart<'_> {
    pub(crate) fn svg(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        self.draw(&area).map_err(|error| anyhow!("the plot \"{}\" cannot be drawn: {error}", self.title))?;
        drop(area);
        Ok(text)
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let x = self.x.range(points().map(|(x, _)| *x), 1.0);
        let y = self.y.range(points().map(|(_, y)| *y), 1.08);
        let floor = y.start;
        let font = ("sans-serif", 25).into_font().color(&INK);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_right(40)
            .x_label_area_size(46)
            .y_label_area_size(104)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| (self.x.label)(*value))
            .y_label_formatter(&|value| (self.y.label)(*value))
            .label_style(font.clone())
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            Self::line(&mut chart, line, *colour, (self.lines.len() == 1).then_some(floor))?;
        }
        if self.lines.len() > 1 {
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

    /// A line; one that is alone has what is under it filled.
    fn line(
        chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
        line: &Line<'_>,
        colour: RGBColor,
        above: Option<f64>,
    ) -> Result<(), String> {
        let points = line.points.iter().copied();
        if let Some(floor) = above {
            let area = AreaSeries::new(points.clone(), floor, colour.mix(0.14));
            chart.draw_series(area).map_err(|error| error.to_string())?;
        }
        let drawn = chart
            .draw_series(LineSeries::new(points, colour.stroke_width(3)))
            .map_err(|error| error.to_string())?;
        if above.is_none() {
            drawn
                .label(line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], colour.stroke_width(5)));
        }
        Ok(())
    }
}

/// A number in few characters: 12, 1.2 k, 35 M.
pub(crate) fn short(number: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    match units.iter().find(|(unit, _)| number.abs() >= *unit) {
        Some((unit, name)) => format!("{}{name}", trimmed(number / unit)),
        None => trimmed(number),
    }
}

/// Three digits at most behind which nothing is left out that matters.
fn trimmed(number: f64) -> String {
    let places = if number.abs() >= 100.0 || number == number.trunc() { 0 } else { 1 };
    let places = if number != 0.0 && number.abs() < 1.0 { 2 } else { places };
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A time since the beginning.
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
    fn numbers_of_axes_are_short() {
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
    fn what_has_no_values_or_always_the_same_is_drawn_all_the_same() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(0.0, 3.0), (1.0, 3.0)]] {
            let lines = vec![Line { name: "one", points }];
            let chart = Chart { title: "", x: Axis::seconds(), y: Axis::from_zero(short), lines };
            assert!(chart.svg().unwrap().ends_with("</svg>\n"));
        }
    }
}
