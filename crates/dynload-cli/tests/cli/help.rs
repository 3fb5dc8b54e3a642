//! Help, version, completions and the manual.

use super::Workplace;

const COMMANDS: [&str; 8] = [
    "run",
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
        assert!(page.contains("Examples:"), "{page}");
    }
}

/// A reader such as `head` closes its end early.
#[cfg(unix)]
#[test]
fn a_closed_output_is_not_an_error() {
    let place = Workplace::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.command().arg("man").stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}
