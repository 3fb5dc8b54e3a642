//! Tables in Markdown.

use std::fmt::Write as _;

use crate::{Curve, Group, Run};

/// Returns a line with the date and the machine of a run.
pub fn machine(run: &Run) -> String {
    let machine = &run.machine;
    let versions: Vec<String> = machine
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let quick = if run.quick { "; a quick run, rough" } else { "" };
    format!(
        "{}{quick}; {}, {} cores; {}; {}; {}\n",
        run.date,
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.rustc,
        versions.join(", ")
    )
}

/// Returns a heading, the rows and the curves of a group.
pub fn group(group: &Group) -> String {
    let mut text = format!("### {} (`--only {}`)\n\n", group.title, group.name);
    if !group.note.is_empty() {
        let _ = writeln!(text, "{}\n", group.note);
    }
    if !group.rows.is_empty() {
        text.push_str("| measurement | side | min | median | p99 | n | ratio (middle half of the rounds) | compared with | budget |\n");
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |\n");
    }
    for row in &group.rows {
        let show = |value| row.unit.show(value);
        let (ratio, to) = row.against.as_ref().map_or((String::new(), ""), |against| {
            let [low, high] = against.middle;
            (
                format!("{:.2} ({low:.2}-{high:.2})", against.ratio),
                &against.side,
            )
        });
        let budget = match (row.budget, row.within()) {
            (Some(budget), Some(within)) => {
                let limit = if row.against.is_some() {
                    format!("{budget:.2}")
                } else {
                    show(budget)
                };
                if within {
                    limit
                } else {
                    format!("**over {limit}**")
                }
            }
            _ => String::new(),
        };
        let samples = &row.samples;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {ratio} | {to} | {budget} |",
            row.what,
            row.side,
            show(samples.min),
            show(samples.median),
            show(samples.p99),
            samples.count
        );
    }
    for one in &group.curves {
        let _ = write!(text, "\n{}", curve(one));
    }
    text
}

fn curve(curve: &Curve) -> String {
    let mut text = format!(
        "{}:\n\n| {} | {} |\n|",
        curve.title,
        curve.input,
        curve.sides.join(" | ")
    );
    text.push_str(&" ---: |".repeat(curve.sides.len() + 1));
    text.push('\n');
    for point in &curve.points {
        let values: Vec<String> = point.values.iter().map(|value| curve.unit.show(*value)).collect();
        let _ = writeln!(text, "| {} | {} |", point.at, values.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Against, Row, Samples, Unit};

    #[test]
    fn a_row_over_its_budget_is_marked() {
        let row = |ratio| Row {
            what: "call".into(),
            side: "dynload".into(),
            unit: Unit::Seconds,
            samples: Samples::one(2e-9),
            against: Some(Against {
                side: "wasmi".into(),
                median: 1e-9,
                ratio,
                middle: [1.0, 2.0],
            }),
            budget: Some(1.4),
        };
        let text = group(&Group {
            name: "calls".into(),
            title: "Calls".into(),
            note: String::new(),
            rows: vec![row(1.4), row(1.5)],
            curves: vec![],
        });
        assert_eq!(text.matches("**over 1.40**").count(), 1, "{text}");
        assert!(text.contains("| 1.40 (1.00-2.00) | wasmi | 1.40 |"), "{text}");
    }
}
