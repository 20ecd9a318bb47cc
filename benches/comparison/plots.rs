//! A plot for each line of rows: a panel for each row, with a bar for each contestant.

use super::results::{Measured, Report, number};
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const WIDTH: i32 = 860;
/// The horizontal extent of the bars; names are to the left of it, figures to the right.
const BARS: (i32, i32) = (200, 760);
const BAR: i32 = 22;
const TITLE: i32 = 34;
const INK: RGBColor = RGBColor(0x33, 0x3d, 0x47);
/// Distinguishable with red-green colour blindness (Okabe and Ito).
const OURS: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const PEERS: RGBColor = RGBColor(0xb8, 0xc2, 0xcc);

pub(crate) fn draw(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut lines: Vec<&str> = report.rows.iter().map(Measured::line).collect();
    lines.dedup();
    for line in lines {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.line() == line).collect();
        let file = folder.join(format!("{line}.svg"));
        let height = rows.iter().map(|row| panel_height(row)).sum::<i32>() + BAR / 2;
        let area = SVGBackend::new(&file, (WIDTH as u32, height as u32)).into_drawing_area();
        panels(&area, &rows).map_err(|error| anyhow!("{} cannot be drawn: {error}", file.display()))?;
    }
    Ok(())
}

fn panel_height(row: &Measured) -> i32 {
    TITLE + BAR * row.figures.len() as i32
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn panels(area: &DrawingArea<SVGBackend<'_>, Shift>, rows: &[&Measured]) -> Drawn {
    area.fill(&WHITE)?;
    let mut top = 0;
    for row in rows {
        panel(area, row, top)?;
        top += panel_height(row);
    }
    area.present()?;
    Ok(())
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, row: &Measured, top: i32) -> Drawn {
    let text = |size: i32, horizontal: HPos| {
        ("sans-serif", size).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
    };
    let title = format!("{}, {}", row.title, row.unit);
    area.draw(&Text::new(title, (12, top + TITLE / 2 + 4), text(15, HPos::Left)))?;
    let max = row.figures.iter().map(|figure| figure.median).fold(f64::MIN_POSITIVE, f64::max);
    let mut middle = top + TITLE + BAR / 2;
    for figure in &row.figures {
        let length = f64::from(BARS.1 - BARS.0) * figure.median / max;
        let end = BARS.0 + (length.round() as i32).max(1);
        let colour =
            if row.targets.iter().any(|target| target.of == figure.name) || figure.name.starts_with("mgm") {
                OURS
            } else {
                PEERS
            };
        let bar = [(BARS.0, middle - BAR / 2 + 3), (end, middle + BAR / 2 - 3)];
        area.draw(&Rectangle::new(bar, colour.filled()))?;
        area.draw(&Text::new(figure.name, (BARS.0 - 8, middle), text(13, HPos::Right)))?;
        area.draw(&Text::new(number(figure.median), (end + 6, middle), text(13, HPos::Left)))?;
        middle += BAR;
    }
    Ok(())
}
