//! `dynload man`: the manual pages, from the definition of the arguments.

use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

/// Returns the page of a command, which has been built.
///
/// # Errors
///
/// Returns the error of the generator.
pub(crate) fn page(command: &Command) -> io::Result<String> {
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    // The generator fills the rows of a table as if they were sentences.
    let after = command.get_after_long_help().or(command.get_after_help());
    let mut sections = Roff::new();
    write_sections(&mut sections, &after.map(ToString::to_string).unwrap_or_default());
    if !command.has_subcommands() {
        sections.control("SH", ["SEE ALSO"]);
        sections.text([bold("dynload"), roman("(1)")]);
    }
    sections.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Writes the text after the options: a line that ends with a colon is the heading of a section, and without one a text
/// belongs to the notes.
fn write_sections(page: &mut Roff, text: &str) {
    let mut body = String::new();
    let mut heading = "NOTES".to_owned();
    let mut finish = |heading: &str, body: &mut String| {
        if !body.trim().is_empty() {
            page.control("SH", [heading]);
            write_paragraphs(page, body.trim_matches('\n'));
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
fn write_paragraphs(page: &mut Roff, text: &str) {
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
