//! Horizontal bars on a logarithmic axis.

use super::axis::Axis;
use super::svg::{Anchor, Drawing};

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The side that was measured.
    pub side: String,
    /// The length.
    pub value: f64,
}

/// Bars that belong together.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What the bars measure; may be empty if there is only one cluster.
    pub name: String,
    /// The bars.
    pub bars: Vec<Bar>,
}

const WIDTH: f64 = 800.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 64.0;

/// Draws a chart of clusters of bars. A line marks 1, and shorter is better.
///
/// With one cluster, each bar has its name next to it; with several, a legend names the sides.
pub fn bars(title: &str, clusters: &[Cluster]) -> String {
    let mut sides: Vec<&str> = Vec::new();
    for bar in clusters.iter().flat_map(|cluster| &cluster.bars) {
        if !sides.contains(&bar.side.as_str()) {
            sides.push(&bar.side);
        }
    }
    let single = clusters.len() == 1;
    let (thick, gap) = if single { (20.0, 8.0) } else { (6.0, 1.0) };
    let cluster_height = |cluster: &Cluster| cluster.bars.len() as f64 * (thick + gap) + 8.0;
    let height = TOP + clusters.iter().map(cluster_height).sum::<f64>() + 40.0;

    let mut drawing = Drawing::new(WIDTH, height);
    drawing.text(12.0, 22.0, Anchor::Start, "title", title);
    if single {
        drawing.text(
            12.0,
            42.0,
            Anchor::Start,
            "faint",
            "shorter is better; logarithmic",
        );
    } else {
        legend(&mut drawing, &sides);
    }
    let values = clusters
        .iter()
        .flat_map(|cluster| &cluster.bars)
        .map(|bar| bar.value);
    let axis = Axis::new(values.chain([1.0]), LEFT, WIDTH - RIGHT);
    for tick in axis.ticks() {
        let x = axis.place(tick);
        let class = if tick == 1.0 { "one" } else { "grid" };
        drawing.line((x, TOP), (x, height - 30.0), class);
        drawing.text(x, height - 14.0, Anchor::Middle, "faint", &format!("{tick}×"));
    }
    let mut y = TOP + 4.0;
    for cluster in clusters {
        let middle = y + cluster_height(cluster) / 2.0;
        if !single {
            drawing.text(LEFT - 8.0, middle, Anchor::End, "", &cluster.name);
        }
        for bar in &cluster.bars {
            let side = sides.iter().position(|side| *side == bar.side).unwrap_or(0);
            let end = axis.place(bar.value).max(LEFT + 1.0);
            drawing.bar(LEFT, y, end - LEFT, thick, side);
            if single {
                drawing.text(LEFT - 8.0, y + thick * 0.7, Anchor::End, "", &bar.side);
                drawing.text(
                    end + 6.0,
                    y + thick * 0.7,
                    Anchor::Start,
                    "",
                    &format!("{:.2}×", bar.value),
                );
            }
            y += thick + gap;
        }
        y += 8.0;
    }
    drawing.finish()
}

fn legend(drawing: &mut Drawing, sides: &[&str]) {
    let mut x = 12.0;
    for (side, name) in sides.iter().enumerate() {
        drawing.bar(x, 36.0, 10.0, 10.0, side);
        drawing.text(x + 14.0, 45.0, Anchor::Start, "", name);
        x += 28.0 + 6.6 * name.chars().count() as f64;
    }
}
