//! The output of the demo, and the comparison of each result with the expected one.

use std::fmt::Display;
use std::io::Result;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use dynload_ffi::ErrorCode;
use dynload_ffi::flat::{get_load_error, get_load_error_code};

use crate::text;

/// The column of the result, and the width of a line.
const ANSWER: usize = 60;
const WIDTH: usize = 104;

const INTRODUCTION: &str = "The examples of the DynLoad specification, run on plugins that are built here. Each line shows a \
     call of the C API and its result, which is compared with the expected one: a result that differs is marked, and the demo fails.";

/// The terminal, a working directory, and the number of results that matched.
pub(crate) struct Stage {
    directory: PathBuf,
    /// Numbers that differ between runs, and the text that is printed instead of each.
    hidden: Vec<(String, &'static str)>,
    chapters: usize,
    answers: usize,
    differences: usize,
}

impl Stage {
    /// Creates the directory and makes it the current directory.
    pub(crate) fn new() -> Result<Stage> {
        let directory = std::env::temp_dir().join(format!("dynload-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        // Without symlinks, so that it can be found in messages.
        let directory = directory.canonicalize()?;
        std::env::set_current_dir(&directory)?;
        print_wrapped("", INTRODUCTION);
        println!();
        Ok(Stage {
            directory,
            hidden: Vec::new(),
            chapters: 0,
            answers: 0,
            differences: 0,
        })
    }

    /// Returns the path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Starts a chapter.
    pub(crate) fn chapter(&mut self, title: &str, about: &str) {
        self.chapters += 1;
        if self.chapters > 1 {
            println!();
        }
        println!("{}. {title}", self.chapters);
        print_wrapped("   ", about);
    }

    /// Prints a step that is not a call of the library.
    pub(crate) fn note(&self, text: &str) {
        print_wrapped(" - ", text);
    }

    /// Prints the output of a plugin, which must be `expected`.
    pub(crate) fn plugin_wrote(&mut self, output: &str, expected: &str) {
        self.answer(
            "",
            format_args!("(the plugin wrote: {})", output.trim_end()),
            format_args!("(the plugin wrote: {expected})"),
        );
    }

    /// Prints a call and its result, which must be `expected`.
    pub(crate) fn answer(&mut self, call: &str, answer: impl Display, expected: impl Display) {
        let (answer, expected) = (self.normalize(&answer.to_string()), expected.to_string());
        println!("   {}", format!("{call:<ANSWER$}{answer}").trim_end());
        self.judge(answer == expected, &format!("the result must be {expected}"));
    }

    /// As [`answer`](Stage::answer), for a call that must fail with `code` and a message that contains all of `check_output`.
    pub(crate) fn failure(
        &mut self,
        call: &str,
        answer: impl Display,
        expected: impl Display,
        code: ErrorCode,
        check_output: &[&str],
    ) {
        let (found, message) = (
            get_load_error_code(),
            self.normalize(&text::read(get_load_error())),
        );
        self.answer(call, answer, expected);
        print_wrapped("     error: ", message.lines().next().unwrap_or_default());
        self.judge(
            found == code as i64,
            &format!("the code must be {}, and is {found}", code as i64),
        );
        for word in check_output {
            self.judge(
                message.contains(word),
                &format!("the error must contain `{word}`"),
            );
        }
    }

    /// As [`failure`](Stage::failure), for messages of compilers, which differ between compilers: only the words are printed.
    pub(crate) fn compiler_failure(
        &mut self,
        call: &str,
        answer: impl Display,
        expected: impl Display,
        check_output: &[&str],
    ) {
        let (found, message) = (get_load_error_code(), text::read(get_load_error()));
        self.answer(call, answer, expected);
        print_wrapped("     error: ", &format!("... {} ...", check_output.join(" ... ")));
        self.judge(
            found == ErrorCode::Build as i64,
            &format!("the code is {found}, and the message: {message}"),
        );
        for word in check_output {
            self.judge(
                message.contains(word),
                &format!("the error must contain `{word}`, and is: {message}"),
            );
        }
    }

    /// Prints a call and the text that it returned, which must contain all of `check_output`.
    pub(crate) fn text(&mut self, call: &str, given: &str, check_output: &[&str]) {
        println!("   {call}");
        print_wrapped("     ", &self.normalize(given));
        for word in check_output {
            self.judge(given.contains(word), &format!("the text must contain `{word}`"));
        }
    }

    fn judge(&mut self, right: bool, otherwise: &str) {
        self.answers += 1;
        if !right {
            self.differences += 1;
            println!("   DIFFERS: {otherwise}");
        }
    }

    /// Prints `instead` for a number that differs between runs.
    pub(crate) fn hide(&mut self, number: impl Display, instead: &'static str) {
        self.hidden.push((number.to_string(), instead));
    }

    /// Removes what differs between runs: the directories with the ID of this process in their names, and the hidden numbers.
    fn normalize(&self, text: &str) -> String {
        let own = format!("{}{MAIN_SEPARATOR}", self.directory.display());
        let mut text = text.replace(&own, "");
        for (number, instead) in &self.hidden {
            text = text.replace(number, instead);
        }
        // The private copies that the library loads: in a directory for the process, and in that one for each version.
        let copies = std::env::temp_dir()
            .join(format!("dynload-{}-", std::process::id()))
            .display()
            .to_string();
        while let Some(start) = text.find(&copies) {
            let rest = &text[start + copies.len()..];
            let Some((n, _)) = rest.match_indices(MAIN_SEPARATOR).nth(1) else {
                break;
            };
            text.replace_range(start..start + copies.len() + n + 1, "");
        }
        text
    }

    /// Prints the summary and returns the number of results that differed.
    pub(crate) fn end(self) -> usize {
        println!();
        if self.differences == 0 {
            println!("All {} results are as expected.", self.answers);
        } else {
            println!("{} of {} results DIFFER.", self.differences, self.answers);
        }
        self.differences
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Leaves the directory before removing it. If that fails, it is left to the system's clean-up of temporary files.
        let _ = std::env::set_current_dir(Path::new("/"));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Prints a text wrapped to the width of a line. The lines after the first are indented by the width of `first`.
fn print_wrapped(first: &str, text: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            println!("{line}");
            line = " ".repeat(first.chars().count());
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    println!("{line}");
}
