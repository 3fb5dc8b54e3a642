//! Help, version, completions and the manual.

use super::Workplace;
#[cfg(unix)]
use super::functions;

const COMMANDS: [&str; 9] = [
    "run",
    "prepare",
    "inspect",
    "list",
    "audit",
    "watch",
    "new",
    "completions",
    "man",
];

#[test]
fn the_help_of_every_command_has_examples() {
    let place = Workplace::new();
    let all = place.words("--help").code(0).out;
    assert!(all.contains("Examples:"), "{all}");
    for command in COMMANDS {
        assert!(
            all.contains(&format!("\n  {command} ")),
            "{command} is not in {all}"
        );
        for flag in ["--help", "-h"] {
            let help = place.run([command, flag]).code(0).out;
            let example = format!("  dynload {command}");
            assert!(help.contains("Examples:\n") && help.contains(&example), "{help}");
            assert!(!help.contains('\x1b'), "{help}");
        }
    }
}

#[test]
fn the_help_of_run_lists_limits_and_exit_codes() {
    let help = Workplace::new().words("run --help").code(0).out;
    for name in [
        "bytes",
        "items",
        "elements",
        "constant-operators",
        "memories",
        "params",
        "locals",
        "total-locals",
        "body-bytes",
        "carried-values",
        "load-bytes",
        "name-bytes",
    ] {
        assert!(help.contains(&format!("  {name} ")), "{name} is not in {help}");
    }
    for code in ["0-255", "2  ", "124", "126", "127", "134"] {
        assert!(help.contains(&format!("\n  {code}  ")), "{code} is not in {help}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let place = Workplace::new();
    let version = format!("dynload {}\n", env!("CARGO_PKG_VERSION"));
    place.words("--version").prints(&version);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = Workplace::new();
    assert_eq!(place.words("").code(2).out, "");
    place
        .words("rum")
        .fails(2, &["unrecognized subcommand 'rum'", "run"]);
    place.words("run").fails(2, &["<MODULE>"]);
    place.words("inspect").fails(2, &["<FILE>"]);
    place.words("list --only").fails(2, &["--path"]);
    place.words("new x --lang cobol").fails(2, &["cobol", "rust"]);
    place
        .words("man nothing")
        .fails(2, &["no such command: `nothing`"]);
}

#[test]
fn arguments_are_quoted_without_control_characters() {
    let place = Workplace::new();
    for args in [
        ["run", "x\x1b[2J.wasm"],
        ["inspect", "x\x1b[2J"],
        ["audit", "x\x1b[2J"],
        ["watch", "--grant=x\x1b[2J"],
    ] {
        let ended = place.run(args);
        assert!(
            !ended.err.contains('\x1b') && ended.err.contains(r"x\u{1b}[2J"),
            "{ended:#?}"
        );
    }
    // clap removes escape sequences.
    let ended = place.run(["list", "--x\x1b[2J"]).code(2);
    assert!(!ended.err.contains('\x1b'), "{ended:#?}");
}

#[test]
fn completions_contain_the_commands() {
    let place = Workplace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run(["completions", shell]).code(0).out;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        // The values of `--grant` and `--module-limit`.
        if ["bash", "fish", "zsh"].contains(&shell) {
            for value in ["fs_read", "threading", "total-locals"] {
                assert!(script.contains(value), "{shell}: {value}");
            }
        }
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let place = Workplace::new();
    let page = place.words("man").code(0).out;
    assert!(
        page.contains(".TH dynload 1") && page.contains("dynload\\-run"),
        "{page}"
    );
    for command in COMMANDS {
        let page = place.run(["man", command]).code(0).out;
        assert!(page.contains(&format!(".TH dynload-{command} 1")), "{page}");
        assert!(page.contains(".SH EXAMPLES\n"), "{page}");
        assert!(page.ends_with(".SH \"SEE ALSO\"\n\\fBdynload\\fR(1)\n"), "{page}");
    }
}

#[test]
fn the_manual_shows_sections_and_only_pages_that_exist() {
    let place = Workplace::new();
    let all = place.words("man").code(0).out;
    assert!(!all.contains("dynload\\-help"), "{all}");
    place.words("man help").fails(2, &["no such command: `help`"]);
    let run = place.words("man run").code(0).out;
    for part in [
        ".SH \"EXIT CODES\"\n",
        ".TP\n\\fB124\\fR\nthe guest exceeded",
        ".SH EXAMPLES\n",
    ] {
        assert!(run.contains(part), "{part} is not in {run}");
    }
}

#[test]
fn the_help_of_every_command_lists_its_exit_codes() {
    let place = Workplace::new();
    for command in &COMMANDS[..6] {
        let help = place.run([command, "--help"]).code(0).out;
        assert!(
            help.contains("\nExit codes:\n") && help.contains("\n  2  "),
            "{help}"
        );
    }
}

#[test]
fn a_wrong_option_is_not_said_to_be_possible_after_a_separator() {
    let place = Workplace::new();
    for line in ["run --fule 1 x.wasm", "audit --bogus", "inspect --bogus x"] {
        let ended = place.words(line).code(2);
        assert!(!ended.err.contains("-- --"), "{ended:#?}");
    }
    place.words("run --fule 1 x.wasm").fails(2, &["'--fuel'"]);
}

/// Every command that prints to standard output, and succeeds.
#[cfg(unix)]
const PRINTING: [&str; 11] = [
    "--help",
    "-V",
    "help",
    "run --help",
    "help run",
    "man",
    "completions bash",
    "list --only --path .",
    "list --only --path . --json",
    "audit --only --path .",
    "run --invoke add f.wat 1 2",
];

/// A reader such as `head` closes its end early: the exit code is that of a program that SIGPIPE ends.
#[cfg(unix)]
#[test]
fn a_closed_output_ends_the_command_without_a_message() {
    let place = functions();
    for line in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command();
        let output = command.args(line.split(' ')).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(141), "{line}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = functions();
    for line in PRINTING {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = place.command();
        let output = command.args(line.split(' ')).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(
            err.starts_with("dynload: cannot write to standard output: "),
            "{line}: {err}"
        );
    }
}
