//! An SVG writer.

use std::fmt::Write as _;

/// The colours of the sides, in order; readable on light and dark backgrounds.
const COLOURS: [&str; 8] = [
    "#d9480f", "#1c7ed6", "#74a9d8", "#2f9e44", "#9c36b5", "#c28ad6", "#868e96", "#e6a700",
];

/// A drawing, to which shapes are added.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// The point of a text that is placed at its coordinates.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64) -> Drawing {
        Drawing {
            width,
            height,
            body: String::new(),
        }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        );
    }

    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, side: usize) {
        let class = side % COLOURS.len();
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" class="s{class}"/>"#
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" class="{class}"/>"#,
            from.0, from.1, to.0, to.1
        );
    }

    /// Draws a line through points, with a dot at each.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], side: usize) {
        let class = side % COLOURS.len();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" class="c{class}"/>"#,
            path.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(
                self.body,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" class="s{class}"/>"#
            );
        }
    }

    /// Returns the contents of the file.
    pub(super) fn finish(self) -> String {
        let mut colours = String::new();
        for (n, colour) in COLOURS.iter().enumerate() {
            let _ = write!(
                colours,
                ".s{n}{{fill:{colour}}}.c{n}{{fill:none;stroke:{colour};stroke-width:2}}"
            );
        }
        let Drawing { width, height, body } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}">
<style>
text{{font:12px system-ui,sans-serif;fill:#24292f}}.title{{font-size:14px;font-weight:600}}.faint{{fill:#6e7781}}
.grid{{stroke:#d0d7de}}.one{{stroke:#6e7781;stroke-dasharray:4 3}}{colours}
@media (prefers-color-scheme:dark){{text{{fill:#e6edf3}}.faint{{fill:#9198a1}}.grid{{stroke:#30363d}}.one{{stroke:#9198a1}}}}
</style>
{body}</svg>
"#
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
