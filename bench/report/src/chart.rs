//! Charts as SVG files, which follow the light or dark theme of the reader.

mod axis;
mod bars;
mod lines;
mod svg;

use std::error::Error;
use std::path::Path;

use crate::{Group, Run, geometric_mean};

pub use bars::{Bar, Cluster, bars};
pub use lines::lines;

/// Writes all charts of a run into a folder.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_all(run: &Run, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    if let Some(programs) = run.groups.iter().find(|group| group.name == "programs") {
        let title = "run time relative to bare wasmi (unmetered)";
        std::fs::write(
            folder.join("engines.svg"),
            bars(
                &format!("Geometric mean of the programs that all engines run: {title}"),
                &[mean(programs)],
            ),
        )?;
        std::fs::write(
            folder.join("programs.svg"),
            bars(&format!("Programs: {title}"), &clusters(programs)),
        )?;
    }
    for curve in run.groups.iter().flat_map(|group| &group.curves) {
        std::fs::write(folder.join(file_name(&curve.title)), lines(curve))?;
    }
    Ok(())
}

/// Returns the file name for a title: `load-time-against-size.svg` for `Load time against size`.
fn file_name(title: &str) -> String {
    let words: Vec<String> = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-") + ".svg"
}

/// Returns the bars of each program.
fn clusters(group: &Group) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for row in &group.rows {
        let Some(against) = &row.against else { continue };
        let bar = Bar {
            side: row.side.clone(),
            value: against.ratio,
        };
        match clusters.iter_mut().find(|cluster| cluster.name == row.what) {
            Some(cluster) => cluster.bars.push(bar),
            None => clusters.push(Cluster {
                name: row.what.clone(),
                bars: vec![bar],
            }),
        }
    }
    clusters
}

/// Returns one bar for each engine: the mean of the programs that all engines run.
fn mean(group: &Group) -> Cluster {
    let programs = clusters(group);
    let most = programs
        .iter()
        .map(|program| program.bars.len())
        .max()
        .unwrap_or(0);
    let mut ratios: Vec<(String, Vec<f64>)> = Vec::new();
    for bar in programs
        .iter()
        .filter(|program| program.bars.len() == most)
        .flat_map(|program| &program.bars)
    {
        match ratios.iter_mut().find(|(side, _)| *side == bar.side) {
            Some((_, ratios)) => ratios.push(bar.value),
            None => ratios.push((bar.side.clone(), vec![bar.value])),
        }
    }
    let bars = ratios
        .into_iter()
        .filter_map(|(side, ratios)| {
            let value = geometric_mean(&ratios)?;
            Some(Bar { side, value })
        })
        .collect();
    Cluster {
        name: String::new(),
        bars,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_derived_from_titles() {
        assert_eq!(file_name("Load time, against size"), "load-time-against-size.svg");
    }
}
