//! Lines on two logarithmic axes.

use super::axis::Axis;
use super::svg::{Anchor, Drawing};
use crate::Curve;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;

/// Draws a chart of how something grows: a line for each side, with the side's name at the end.
pub fn lines(curve: &Curve) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    drawing.text(12.0, 22.0, Anchor::Start, "title", &curve.title);
    let across = Axis::new(curve.points.iter().map(|point| point.at), LEFT, WIDTH - RIGHT);
    let up = Axis::new(
        curve.points.iter().flat_map(|point| point.values.iter().copied()),
        HEIGHT - BOTTOM,
        TOP,
    );
    for tick in up.ticks() {
        let y = up.place(tick);
        drawing.line((LEFT, y), (WIDTH - RIGHT, y), "grid");
        drawing.text(LEFT - 8.0, y + 4.0, Anchor::End, "faint", &curve.unit.show(tick));
    }
    for point in &curve.points {
        let x = across.place(point.at);
        drawing.line((x, TOP), (x, HEIGHT - BOTTOM), "grid");
        let label = point.at.to_string();
        drawing.text(x, HEIGHT - BOTTOM + 18.0, Anchor::Middle, "faint", &label);
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    drawing.text(middle, HEIGHT - 10.0, Anchor::Middle, "", &curve.input);

    let mut names: Vec<(f64, usize)> = Vec::new();
    for side in 0..curve.sides.len() {
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .filter_map(|point| Some((across.place(point.at), up.place(*point.values.get(side)?))))
            .collect();
        if let Some((_, y)) = points.last() {
            names.push((*y, side));
        }
        drawing.curve(&points, side);
    }
    // Names that would overlap move down.
    names.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut free = f64::MIN;
    for (y, side) in names {
        let y = y.max(free);
        drawing.bar(WIDTH - RIGHT + 12.0, y - 4.0, 8.0, 8.0, side);
        drawing.text(
            WIDTH - RIGHT + 26.0,
            y + 4.0,
            Anchor::Start,
            "",
            &curve.sides[side],
        );
        free = y + 16.0;
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Point, Unit};

    #[test]
    fn every_line_has_its_points_and_name() {
        let svg = lines(&Curve {
            title: "Load & go".into(),
            input: "KB".into(),
            unit: Unit::Seconds,
            sides: vec!["dynload".into(), "wasmi".into()],
            points: vec![
                Point {
                    at: 1.0,
                    values: vec![1.0, 2.0],
                },
                Point {
                    at: 10.0,
                    values: vec![10.0, 20.0],
                },
            ],
        });
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains(">dynload<") && svg.contains("Load &amp; go"));
    }
}
