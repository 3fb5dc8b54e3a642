//! The generated part of the README: the budgets, and whether they are kept.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::{Row, Run};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Replaces the part of the README between the two comments.
///
/// # Errors
///
/// If the file cannot be read or written, or does not contain the comments.
pub fn update(file: &Path, run: &Run) -> Result<(), Box<dyn Error>> {
    let readme = std::fs::read_to_string(file)?;
    let updated = replaced(&readme, &part(run)).ok_or_else(|| {
        format!(
            "`{}` does not contain `{BEGIN}`, followed by `{END}`",
            file.display()
        )
    })?;
    Ok(std::fs::write(file, updated)?)
}

fn replaced(readme: &str, part: &str) -> Option<String> {
    let start = readme.find(BEGIN)? + BEGIN.len();
    let end = start + readme[start..].find(END)?;
    Some(format!("{}\n{part}{}", &readme[..start], &readme[end..]))
}

/// Returns the table of the budgets and the links.
pub fn part(run: &Run) -> String {
    let mut text = String::from(
        "| measurement | dynload | compared with | ratio | budget | |\n| --- | ---: | --- | ---: | ---: | --- |\n",
    );
    for row in run.budgets() {
        text.push_str(&line(row));
    }
    let machine = &run.machine;
    let _ = write!(
        text,
        "\nMedians, measured on {}{}: {}, {} cores, {}, {}. Both sides of a ratio were measured in the same rounds.\n\
         See [all tables](bench/RESULTS.md) and [the data](bench/results.json). Compared with other engines:\n\n\
         ![Run time of programs in several engines](bench/charts/engines.svg)\n",
        run.date,
        if run.quick { " (a quick run, rough)" } else { "" },
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.rustc
    );
    text
}

fn line(row: &Row) -> String {
    let show = |value| row.unit.show(value);
    let (beside, ratio, budget) = match (&row.against, row.budget) {
        (Some(against), budget) => (
            format!("{}: {}", against.side, show(against.median)),
            format!("{:.2}", against.ratio),
            budget.map_or(String::new(), |budget| format!("{budget:.2}")),
        ),
        (None, budget) => (String::new(), String::new(), budget.map_or(String::new(), show)),
    };
    let verdict = match row.within() {
        Some(true) => "kept",
        Some(false) => "**over**",
        None => "",
    };
    format!(
        "| {} ({}) | {} | {beside} | {ratio} | {budget} | {verdict} |\n",
        row.what,
        row.side,
        show(row.samples.median)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_comments_changes() {
        let readme = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n";
        let new = "a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nb\n";
        assert_eq!(replaced(readme, "new\n").as_deref(), Some(new));
        assert_eq!(replaced(new, "new\n").as_deref(), Some(new));
        assert_eq!(replaced("no comments", "new\n"), None);
    }
}
