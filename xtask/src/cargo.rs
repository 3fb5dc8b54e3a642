//! Running cargo and other programs in the workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{During, Failure};

/// Returns the root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The published crates, each after its dependencies.
pub(crate) const PUBLISHED: &[&str] = &[
    "dynload-guest",
    "dynload-diagnostics",
    "dynload-caps",
    "dynload-native",
    "dynload-process",
    "dynload-sandbox",
    "dynload-gpu",
    "dynload-discovery",
    "dynload-hotreload",
    "dynload-plugins",
    "dynload-ffi",
    "dynload-cli",
];

/// Returns a command for the cargo that runs this program, in the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    // The cargo that started this program set these for it. The new cargo sets its own for the programs that it starts.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
    ] {
        command.env_remove(name);
    }
    command
}

/// Formats `command` as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={:?}", name.display(), value));
        }
    }
    let program = Path::new(command.get_program());
    words.push(
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .display()
            .to_string(),
    );
    words.extend(command.get_args().map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '"', '*']) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    }));
    words.join(" ")
}

/// Runs a program, with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("    $ {}", shown(command));
    let status = command
        .status()
        .during(format_args!("cannot start `{}`", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` failed with {status}", shown(command))))
}

/// Runs a program and returns its standard output. Its standard error appears on the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .during(format_args!("cannot start `{}`", shown(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    print!("{text}");
    Err(Failure::new(format!(
        "`{}` failed with {}",
        shown(command),
        output.status
    )))
}

/// Returns whether a program is available, by running it.
pub(crate) fn is_available(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns a command for the C compiler: `CC`, or `cc`.
pub(crate) fn c_compiler() -> Command {
    Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
}

/// Returns cargo's target directory.
pub(crate) fn target_dir() -> Result<PathBuf, Failure> {
    let metadata = output(&mut cargo([
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--offline",
    ]))?;
    let field = json_text(&metadata, "target_directory");
    field
        .map(PathBuf::from)
        .ok_or_else(|| Failure::new("`cargo metadata` does not report a target directory"))
}

/// Returns the value of the last `"name":"..."` in JSON text; enough for the few fields that are looked up here.
pub(crate) fn json_text(json: &str, name: &str) -> Option<String> {
    let key = format!("\"{name}\":\"");
    let start = json.rfind(&key)? + key.len();
    let mut text = String::new();
    let mut characters = json[start..].chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => match characters.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                // The other escapes do not occur in the paths that people use.
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_field_is_found_in_json() {
        let json = r#"{"packages":[{"name":"a"}],"target_directory":"C:\\a b\\target","version":1}"#;
        assert_eq!(
            json_text(json, "target_directory").as_deref(),
            Some(r"C:\a b\target")
        );
        assert_eq!(json_text(json, "nothing"), None);
        assert_eq!(json_text(r#"{"x":"cut of"#, "x"), None);
    }

    #[test]
    fn root_is_the_workspace_root() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
        for name in PUBLISHED {
            assert!(
                root().join("crates").join(name).join("Cargo.toml").is_file(),
                "{name}"
            );
        }
    }
}
