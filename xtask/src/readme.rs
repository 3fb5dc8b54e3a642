//! The demo's output in the README, which must be what the demo prints.

use std::ops::Range;

use crate::cargo::root;
use crate::failure::{During, Failure};

/// A part of the README between two markers.
struct Part {
    begin: &'static str,
    end: &'static str,
}

const WHOLE: Part = Part {
    begin: "<!-- the output of `cargo xtask demo`; `cargo xtask demo --update-readme` writes it -->\n```text\n",
    end: "```\n<!-- end of the output -->",
};

const EXCERPT: Part = Part {
    begin: "<!-- an excerpt; a test compares it with the output -->\n```text\n",
    end: "```\n<!-- end of the excerpt -->",
};

const C_CODE: Part = Part {
    begin: "```c\n",
    end: "```\n",
};

const PYTHON: Part = Part {
    begin: "```python\n",
    end: "```\n",
};

impl Part {
    fn place(&self, readme: &str) -> Result<Range<usize>, Failure> {
        let missing = || {
            Failure::new(format!(
                "README.md does not contain {:?}, followed by {:?}",
                self.begin, self.end
            ))
        };
        let start = readme.find(self.begin).ok_or_else(missing)? + self.begin.len();
        let len = readme[start..].find(self.end).ok_or_else(missing)?;
        Ok(start..start + len)
    }
}

fn read() -> Result<String, Failure> {
    std::fs::read_to_string(root().join("README.md")).during("cannot read README.md")
}

/// Checks that the README contains the output. The error shows the first difference.
pub(crate) fn check(output: &str) -> Result<(), Failure> {
    let readme = read()?;
    let written = &readme[WHOLE.place(&readme)?];
    if let Some((n, was, is)) = first_difference(written, output) {
        return Err(Failure::new(format!(
            "line {n} of the demo's output differs from README.md\n    README.md: {was}\n    demo:      {is}\n\
             if the demo is right, run `cargo xtask demo --update-readme`"
        )));
    }
    let excerpt = &readme[EXCERPT.place(&readme)?];
    if excerpt.lines().count() > 5 && output.contains(excerpt) {
        return Ok(());
    }
    Err(Failure::new(
        "the excerpt at the top of README.md is not part of the demo's output: copy it again",
    ))
}

/// Writes the output into the README.
pub(crate) fn update(output: &str) -> Result<(), Failure> {
    let mut readme = read()?;
    readme.replace_range(WHOLE.place(&readme)?, output);
    std::fs::write(root().join("README.md"), readme).during("cannot write README.md")
}

/// Returns the code in C in the README: the plugin, and the program that calls it.
pub(crate) fn c_code() -> Result<(String, String), Failure> {
    let readme = read()?;
    let plugin = C_CODE.place(&readme)?;
    let rest = &readme[plugin.end..];
    let program = C_CODE.place(rest)?;
    Ok((readme[plugin].to_owned(), rest[program].to_owned()))
}

/// Returns the program in Python in the README, which calls the same plugin.
pub(crate) fn python_program() -> Result<String, Failure> {
    let readme = read()?;
    Ok(readme[PYTHON.place(&readme)?].to_owned())
}

fn first_difference<'a>(was: &'a str, is: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut was, mut is) = (was.lines(), is.lines());
    for n in 1.. {
        match (was.next(), is.next()) {
            (None, None) => return None,
            (was, is) if was == is => {}
            (was, is) => return Some((n, was.unwrap_or("(end)"), is.unwrap_or("(end)"))),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "(end)", "c")));
    }

    #[test]
    fn the_readme_has_the_excerpt_and_the_whole_output() {
        let readme = read().unwrap();
        assert!(EXCERPT.place(&readme).unwrap().end < WHOLE.place(&readme).unwrap().start);
    }
}
