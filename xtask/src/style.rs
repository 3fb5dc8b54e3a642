//! The rules of `CONTRIBUTING.md` that a program can check: words, headings and width of comments.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo::root;
use crate::failure::{During, Failure};

/// The directories with prose of the project, and the extensions that have it.
const DIRECTORIES: &[&str] = &[
    "crates", "tests", "xtask", "bench", "fuzz", "docs", "python", ".ci",
];
const EXTENSIONS: &[&str] = &[
    "rs", "md", "toml", "c", "cpp", "h", "py", "vais", "wat", "zig", "ts", "in",
];

/// Phrases of the table in `CONTRIBUTING.md` that are always wrong here, as lower-case words.
const RETIRED: &[&[&str]] = &[
    &["nobody"],
    &["somebody"],
    &["anew"],
    &["half", "way"],
    &["gives", "back"],
    &["give", "back"],
    &["goes", "round"],
    &["gone", "round"],
    &["as", "it", "were"],
    &["to", "be", "had"],
    &["oftener"],
    &["dearest"],
    &["misspelt"],
];

/// Words after "is no" that make it right: "is no longer", "is no more than".
const AFTER_NO: &[&str] = &[
    "longer", "more", "less", "fewer", "larger", "smaller", "later", "earlier", "better", "worse", "slower",
    "faster", "greater", "lower", "higher", "other", "need", "reason", "std",
];

/// The maximum width of a comment, in columns.
const WIDTH: usize = 128;

/// The headings that have a blank line after them.
const HEADINGS: &[&str] = &["# Errors", "# Examples", "# Panics", "# Safety", "# Grants"];

pub(crate) fn check() -> Result<(), Failure> {
    let mut files = Vec::new();
    for directory in DIRECTORIES {
        collect(&root().join(directory), &mut files)?;
    }
    let top = fs::read_dir(root()).during("cannot read the workspace")?;
    files.extend(
        top.flatten()
            .map(|entry| entry.path())
            .filter(|path| has_prose(path)),
    );
    files.sort();
    let mut problems = Vec::new();
    for path in files {
        // The rules name what they forbid.
        if path.ends_with("CONTRIBUTING.md") || path.ends_with("xtask/src/style.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).during(format_args!("cannot read `{}`", path.display()))?;
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        problems.extend(
            problems_of(&text, is_rust)
                .into_iter()
                .map(|(line, problem)| format!("    {name}:{line}: {problem}")),
        );
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} lines are not as CONTRIBUTING.md says:\n{}",
        problems.len(),
        problems.join("\n")
    )))
}

fn has_prose(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Collects the files with prose below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(directory).during(format_args!("cannot read `{}`", directory.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry
            .file_type()
            .during(format_args!("cannot read `{}`", path.display()))?;
        if kind.is_dir() && entry.file_name() != "target" {
            collect(&path, files)?;
        } else if kind.is_file() && has_prose(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the problems of a file, each with its line.
fn problems_of(text: &str, is_rust: bool) -> Vec<(usize, String)> {
    let mut problems = Vec::new();
    let mut has_examples = false;
    let mut in_fence = false;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        let n = n + 1;
        if let Some(phrase) = retired(line) {
            problems.push((
                n,
                format!("\"{phrase}\" is retired: see the table in CONTRIBUTING.md"),
            ));
        }
        if !is_rust {
            continue;
        }
        let line = line.trim_start();
        let is_table = line.trim_start_matches(['/', '!', ' ']).starts_with('|');
        if line.starts_with("//") && !is_table && text_width(text, n) > WIDTH {
            problems.push((n, format!("the comment is wider than {WIDTH} columns")));
        }
        let Some(doc) = line.strip_prefix("///") else {
            (has_examples, in_fence) = (false, false);
            continue;
        };
        let doc = doc.trim();
        if let Some(language) = doc.strip_prefix("```") {
            in_fence = !in_fence;
            let is_rust = ["", "rust", "no_run", "should_panic", "compile_fail"]
                .iter()
                .any(|known| language.split(',').any(|word| word == *known));
            if in_fence && is_rust && !has_examples {
                problems.push((n, "the example has no heading `# Examples`".to_owned()));
                has_examples = true;
            }
        }
        if in_fence {
            continue;
        }
        has_examples |= doc == "# Examples";
        let next = lines.peek().map(|(_, next)| next.trim());
        if HEADINGS.contains(&doc) && next != Some("///") {
            problems.push((n, format!("`{doc}` has no blank line after it")));
        }
    }
    problems
}

/// Returns the width of a line, in columns.
fn text_width(text: &str, line: usize) -> usize {
    text.lines().nth(line - 1).map_or(0, |line| line.chars().count())
}

/// Returns the first retired phrase of a line.
fn retired(line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .collect();
    for at in 0..words.len() {
        let rest = &words[at..];
        if let Some(phrase) = RETIRED.iter().find(|phrase| rest.starts_with(phrase)) {
            return Some(phrase.join(" "));
        }
        let [verb @ ("is" | "are" | "was" | "were"), "no", next, ..] = rest else {
            continue;
        };
        let there = words[at.saturating_sub(2)..at].contains(&"there");
        // A capital begins a quotation.
        let is_quoted = !line.contains(&format!(" no {next}"));
        if !there && !is_quoted && !AFTER_NO.contains(next) {
            return Some(format!("{verb} no {next}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retired_phrases_are_found_in_prose_and_in_names() {
        assert_eq!(retired("// Nobody waits."), Some("nobody".to_owned()));
        assert_eq!(retired("fn somebody_waits() {"), Some("somebody".to_owned()));
        assert_eq!(retired("it is no module"), Some("is no module".to_owned()));
        for good in [
            "there is no module",
            "it is no longer there",
            "there still are no files",
            "no one",
        ] {
            assert_eq!(retired(good), None, "{good}");
        }
    }

    #[test]
    fn examples_and_headings_are_checked() {
        let problems = |text: &str| problems_of(text, true).len();
        assert_eq!(problems("/// Adds.\n///\n/// ```\n/// add();\n/// ```\n"), 1);
        assert_eq!(
            problems("/// Adds.\n///\n/// # Examples\n///\n/// ```\n/// add();\n/// ```\n"),
            0
        );
        assert_eq!(problems("/// ```text\n/// add\n/// ```\n"), 0);
        assert_eq!(problems("/// # Errors\n/// Always.\n"), 1);
        assert_eq!(problems(&format!("// {}\n", "x".repeat(130))), 1);
    }
}
