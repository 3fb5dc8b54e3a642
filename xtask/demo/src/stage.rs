//! What the demo prints, and the comparison of each answer with what it has to be.

use std::fmt::Display;
use std::io::Result;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use dynload_ffi::ErrorCode;
use dynload_ffi::flat::{get_load_error, get_load_error_code};

use crate::text;

/// Columns up to the answer, and in all.
const ANSWER: usize = 60;
const WIDTH: usize = 104;

const INTRODUCTION: &str = "The examples of the DynLoad specification, on plugins that are built now. Each line is a call of the C \
     API and its answer, which is compared with what it has to be: one that differs is marked, and makes the demo fail.";

/// The terminal, a directory to work in, and the score.
pub(crate) struct Stage {
    directory: PathBuf,
    /// Numbers that differ from run to run, and what is printed for them.
    hidden: Vec<(String, &'static str)>,
    chapters: usize,
    answers: usize,
    differences: usize,
}

impl Stage {
    /// Makes the directory, and goes there.
    pub(crate) fn new() -> Result<Stage> {
        let directory = std::env::temp_dir().join(format!("dynload-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        // Without links, so that it is found in messages.
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

    /// The path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Begins a chapter.
    pub(crate) fn chapter(&mut self, title: &str, about: &str) {
        self.chapters += 1;
        if self.chapters > 1 {
            println!();
        }
        println!("{}. {title}", self.chapters);
        print_wrapped("   ", about);
    }

    /// Says what is done besides calling the library.
    pub(crate) fn note(&self, text: &str) {
        print_wrapped(" - ", text);
    }

    /// Prints what a plugin wrote.
    pub(crate) fn plugin_wrote(&mut self, output: &str, expected: &str) {
        self.answer(
            "",
            format_args!("(the plugin wrote: {})", output.trim_end()),
            format_args!("(the plugin wrote: {expected})"),
        );
    }

    /// Prints a call and its answer, which has to be `expected`.
    pub(crate) fn answer(&mut self, call: &str, answer: impl Display, expected: impl Display) {
        let (answer, expected) = (self.same_each_run(&answer.to_string()), expected.to_string());
        println!("   {}", format!("{call:<ANSWER$}{answer}").trim_end());
        self.judge(answer == expected, &format!("the answer has to be {expected}"));
    }

    /// As [`answer`](Stage::answer), for a call that has to fail with `code` and a message that has all of `says`.
    pub(crate) fn failure(
        &mut self,
        call: &str,
        answer: impl Display,
        expected: impl Display,
        code: ErrorCode,
        says: &[&str],
    ) {
        let (found, message) = (
            get_load_error_code(),
            self.same_each_run(&text::read(get_load_error())),
        );
        self.answer(call, answer, expected);
        print_wrapped("     error: ", message.lines().next().unwrap_or_default());
        self.judge(
            found == code as i64,
            &format!("the code has to be {} and is {found}", code as i64),
        );
        for word in says {
            self.judge(message.contains(word), &format!("the error has to say `{word}`"));
        }
    }

    /// As [`failure`](Stage::failure) for messages of compilers, of which each has its own: only the words are printed.
    pub(crate) fn compiler_failure(
        &mut self,
        call: &str,
        answer: impl Display,
        expected: impl Display,
        says: &[&str],
    ) {
        let (found, message) = (get_load_error_code(), text::read(get_load_error()));
        self.answer(call, answer, expected);
        print_wrapped("     error: ", &format!("... {} ...", says.join(" ... ")));
        self.judge(
            found == ErrorCode::Build as i64,
            &format!("the code is {found}, and the message: {message}"),
        );
        for word in says {
            self.judge(
                message.contains(word),
                &format!("the error has to say `{word}`, and is: {message}"),
            );
        }
    }

    /// Prints a call and the text that it gave, which has to have all of `says`.
    pub(crate) fn text(&mut self, call: &str, given: &str, says: &[&str]) {
        println!("   {call}");
        print_wrapped("     ", &self.same_each_run(given));
        for word in says {
            self.judge(given.contains(word), &format!("it has to say `{word}`"));
        }
    }

    fn judge(&mut self, right: bool, otherwise: &str) {
        self.answers += 1;
        if !right {
            self.differences += 1;
            println!("   DIFFERS: {otherwise}");
        }
    }

    /// Prints `instead` for a number that differs from run to run.
    pub(crate) fn hide(&mut self, number: impl Display, instead: &'static str) {
        self.hidden.push((number.to_string(), instead));
    }

    /// Without what differs from run to run: the directories that have the number of this process in their name, and numbers
    /// that are hidden.
    fn same_each_run(&self, text: &str) -> String {
        let own = format!("{}{MAIN_SEPARATOR}", self.directory.display());
        let mut text = text.replace(&own, "");
        for (number, instead) in &self.hidden {
            text = text.replace(number, instead);
        }
        // The private copies that the library loads: a directory for the process, one for each version.
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

    /// Prints the score; how many answers differed.
    pub(crate) fn end(self) -> usize {
        println!();
        if self.differences == 0 {
            println!("All {} answers are what they have to be.", self.answers);
        } else {
            println!("{} of {} answers DIFFER.", self.differences, self.answers);
        }
        self.differences
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Not from inside of what is removed. If it fails, the system's clean-up of temporary files has something to do.
        let _ = std::env::set_current_dir(Path::new("/"));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Prints a text in lines that fit, the further ones indented as far as the first.
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
