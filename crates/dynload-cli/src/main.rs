//! The command `dynload`: runs WebAssembly in a sandbox, inspects, lists and audits plugins, reloads them on save, and
//! creates new ones.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod audit;
mod exit;
mod gpu;
mod inspect;
mod limits;
mod list;
mod load;
mod man;
mod new;
mod number;
mod prepare;
mod progress;
mod run;
mod scan;
mod signals;
mod watch;

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use exit::{Failure, code, print};

/// Runs WebAssembly in a sandbox, inspects, lists and audits plugins, and reloads them on save.
#[derive(Parser)]
#[command(
    name = "dynload",
    version,
    propagate_version = true,
    after_help = "Examples:
  dynload run --grant console hello.wasm
  dynload inspect plugin.wasm
  dynload audit --path plugins

`dynload COMMAND --help` describes a command."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Options),
    Prepare(prepare::Options),
    Inspect(inspect::Options),
    List(list::Options),
    Audit(audit::Options),
    Watch(watch::Options),
    New(new::Options),
    Completions(Completions),
    Man(Man),
}

/// Prints a script that completes the commands and options in a shell.
#[derive(Args)]
#[command(after_help = "Examples:
  dynload completions bash > ~/.local/share/bash-completion/completions/dynload
  dynload completions fish > ~/.config/fish/completions/dynload.fish")]
struct Completions {
    /// The shell.
    shell: Shell,
}

/// Prints the manual page, in roff.
#[derive(Args)]
#[command(after_help = "Examples:
  dynload man > ~/.local/share/man/man1/dynload.1
  dynload man run > ~/.local/share/man/man1/dynload-run.1")]
struct Man {
    /// The command whose page is printed, instead of that of `dynload`.
    command: Option<String>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_arguments(error),
    };
    let result = match cli.command {
        Command::Run(options) => run::run(&options),
        Command::Prepare(options) => prepare::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::List(options) => list::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Watch(options) => watch::run(&options),
        Command::New(options) => new::run(&options),
        Command::Completions(options) => completions(&options),
        Command::Man(options) => man(&options),
    };
    result.unwrap_or_else(|failure| failure.report())
}

fn completions(options: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "dynload", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

fn man(options: &Man) -> Result<ExitCode, Failure> {
    // `dynload help` has no page.
    let mut all = Cli::command().disable_help_subcommand(true);
    // Sets the full names of the commands, such as `dynload-run`.
    all.build();
    let command = match &options.command {
        None => &all,
        Some(name) => all
            .get_subcommands()
            .find(|command| command.get_name() == name)
            .ok_or_else(|| {
                let name = dynload_diagnostics::printable(name);
                let message = format!("no such command: `{name}`; see `dynload --help`");
                Failure::new(code::USAGE, message)
            })?,
    };
    let page = man::page(command).map_err(|error| Failure::of(code::FAILED, &error))?;
    print(&page)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_an_option_that_can_be_repeated_says_so() {
        let all = Cli::command();
        for command in all.get_subcommands() {
            for option in command.get_opts() {
                let is_repeatable = matches!(option.get_action(), clap::ArgAction::Append);
                for help in [option.get_help(), option.get_long_help()].into_iter().flatten() {
                    let says = help.to_string().to_lowercase().contains("repeatable");
                    assert_eq!(says, is_repeatable, "{}: {help}", option.get_id());
                }
            }
        }
    }
}
