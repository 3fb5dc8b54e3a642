//! `dynload man`: the manual pages, from the definition of the arguments.
//!
//! A page is written here because `clap_mangen` fills tables as if they were sentences, leaves the values of options out of
//! the synopsis, and lists a page for the command `help`.

use clap::{Arg, ArgAction, Command};
use roff::{Inline, Roff, bold, italic, roman};

/// Returns the commands that have a page.
pub(crate) fn commands(all: &Command) -> impl Iterator<Item = &Command> {
    all.get_subcommands()
        .filter(|command| command.get_name() != "help")
}

/// Returns the page of `command`: `all`, which has been built, or one of its [`commands`].
pub(crate) fn page(all: &Command, command: &Command) -> String {
    let name = page_name(command);
    let version = format!("{} {}", all.get_name(), all.get_version().unwrap_or_default());
    let mut page = Roff::new();
    page.control("TH", [name, "1", "", &version, "User Commands"]);
    page.control("SH", ["NAME"]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.text([roman(format!("{name} - {about}"))]);
    page.control("SH", ["SYNOPSIS"]);
    page.text(synopsis(command));
    page.control("SH", ["DESCRIPTION"]);
    let about = command.get_long_about().or(command.get_about());
    paragraphs(&mut page, &about.map(ToString::to_string).unwrap_or_default());
    options(&mut page, command);
    if command.has_subcommands() {
        page.control("SH", ["COMMANDS"]);
        for one in commands(command) {
            page.control("TP", []);
            page.text([bold(page_name(one)), roman("(1)")]);
            page.text([roman(
                one.get_about().map(ToString::to_string).unwrap_or_default(),
            )]);
        }
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    sections(&mut page, &after.map(ToString::to_string).unwrap_or_default());
    if !command.has_subcommands() {
        page.control("SH", ["SEE ALSO"]);
        page.text([bold(all.get_name()), roman("(1)")]);
    }
    page.render()
}

fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn synopsis(command: &Command) -> Vec<Inline> {
    let mut line = vec![bold(command.get_bin_name().unwrap_or_else(|| command.get_name()))];
    for option in command.get_opts().chain(command.get_arguments().filter(is_flag)) {
        line.push(roman(if option.is_required_set() { " " } else { " [" }));
        line.extend(switch(option, "|"));
        line.extend(value(option));
        line.push(roman(if option.is_required_set() { "" } else { "]" }));
        line.push(roman(if is_repeatable(option) { "..." } else { "" }));
    }
    for argument in command.get_positionals() {
        line.push(roman(" "));
        line.push(positional(argument));
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND"), roman(" ...")]);
    }
    line
}

fn is_flag(argument: &&Arg) -> bool {
    !argument.is_positional() && !argument.get_action().takes_values()
}

fn is_repeatable(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// Returns the names of an option.
fn switch(option: &Arg, separator: &str) -> Vec<Inline> {
    let short = option.get_short().map(|short| bold(format!("-{short}")));
    let long = option.get_long().map(|long| bold(format!("--{long}")));
    match (short, long) {
        (Some(short), Some(long)) => vec![short, roman(separator), long],
        (short, long) => short.into_iter().chain(long).collect(),
    }
}

/// Returns the value of an option, with the space before it.
fn value(option: &Arg) -> Vec<Inline> {
    let names = option.get_value_names().unwrap_or_default();
    if !option.get_action().takes_values() {
        return Vec::new();
    }
    names
        .iter()
        .flat_map(|name| [roman(" "), italic(name.as_str())])
        .collect()
}

/// Returns the names of a positional argument; the last one repeats if there are several values.
fn positional(argument: &Arg) -> Inline {
    let names: Vec<&str> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| name.as_str())
        .collect();
    let many = argument
        .get_num_args()
        .is_some_and(|number| number.max_values() > names.len())
        || is_repeatable(argument);
    let text = match names.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => format!("{first} [{}]...", rest.join(" ")),
        names if many => format!("[{}]...", names.join(" ")),
        names => names.join(" "),
    };
    italic(text)
}

/// Writes the options, in a section for each heading, and the positional arguments.
fn options(page: &mut Roff, command: &Command) {
    let mut headings: Vec<Option<&str>> = vec![None];
    for argument in command.get_arguments() {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    for heading in headings {
        page.control("SH", [heading.unwrap_or("OPTIONS").to_uppercase().as_str()]);
        let arguments = command
            .get_arguments()
            .filter(|argument| argument.get_help_heading() == heading);
        for argument in arguments {
            page.control("TP", []);
            let mut names = switch(argument, ", ");
            match argument.is_positional() {
                true => names.push(positional(argument)),
                false => names.extend(value(argument)),
            }
            page.text(names);
            let help = argument.get_long_help().or(argument.get_help());
            page.control("RS", []);
            paragraphs(page, &help.map(ToString::to_string).unwrap_or_default());
            remarks(page, argument);
            page.control("RE", []);
        }
    }
}

/// Writes the default and the possible values.
fn remarks(page: &mut Roff, argument: &Arg) {
    if !argument.get_action().takes_values() {
        return;
    }
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !values.is_empty() {
        page.control("PP", []);
        page.text([roman(format!("Possible values: {}.", values.join(", ")))]);
    }
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if !defaults.is_empty() {
        page.control("PP", []);
        page.text([roman(format!("Default: {}.", defaults.join(", ")))]);
    }
}

/// Writes the text after the options: a line that ends with a colon is the heading of a section, and without one a text
/// belongs to the notes.
fn sections(page: &mut Roff, text: &str) {
    let mut body = String::new();
    let mut heading = "NOTES".to_owned();
    let mut finish = |heading: &str, body: &mut String| {
        if !body.trim().is_empty() {
            page.control("SH", [heading]);
            paragraphs(page, body.trim_matches('\n'));
        }
        body.clear();
    };
    for line in text.lines() {
        match line.strip_suffix(':') {
            Some(title) if !line.starts_with(' ') => {
                finish(&heading, &mut body);
                heading = title.to_uppercase();
            }
            _ => body += &format!("{line}\n"),
        }
    }
    finish(&heading, &mut body);
}

/// Writes paragraphs. An indented line is a row: a term and its description after two spaces, or a line of its own.
fn paragraphs(page: &mut Roff, text: &str) {
    let mut is_new = false;
    for line in text.lines() {
        let row = line.strip_prefix("  ");
        match row.map(|row| row.split_once("  ")) {
            Some(Some((term, description))) => {
                page.control("TP", []);
                page.text([bold(term)]);
                page.text([roman(description.trim_start())]);
            }
            Some(None) => {
                page.control("PP", []);
                page.text([roman(row.unwrap_or_default())]);
            }
            None if line.is_empty() => is_new = true,
            None => {
                if is_new {
                    page.control("PP", []);
                }
                is_new = false;
                page.text([roman(line)]);
            }
        }
    }
}
