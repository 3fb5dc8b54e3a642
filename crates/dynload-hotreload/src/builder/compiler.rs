//! The C compiler of this system.

use super::BuildCommand;

/// Returns the command that builds a C source.
///
/// It is `cc`, as POSIX names it. Windows has no such name: there it is the first of `cc`, `gcc`, `clang` and `cl` in `PATH`.
pub(super) fn command() -> BuildCommand {
    if cfg!(windows) {
        chosen(is_in_path)
    } else {
        chosen(|_| true)
    }
}

/// Returns the command for the first compiler that is available, or for `cc`, whose absence is then the error.
fn chosen(is_available: impl Fn(&str) -> bool) -> BuildCommand {
    let mut names = ["cc", "gcc", "clang", "cl"].into_iter();
    match names.find(|name| is_available(name)).unwrap_or("cc") {
        "cl" => BuildCommand::new("cl").args(["/nologo", "/LD", "{src}", "/Fe:{out}", "/Fo:{out_dir}\\"]),
        name => BuildCommand::new(name).args(["-shared", "-fPIC", "{src}", "-o", "{out}"]),
    }
}

fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).any(|directory| directory.join(&file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_compiler_that_is_available_is_used() {
        let program = |available: &[&str]| {
            let command = chosen(|name| available.contains(&name));
            (command.program.into_string().unwrap(), command.args.len())
        };
        assert_eq!(program(&["clang", "gcc", "cc"]), ("cc".to_owned(), 5));
        assert_eq!(program(&["cl", "clang", "gcc"]), ("gcc".to_owned(), 5));
        assert_eq!(program(&["cl", "clang"]), ("clang".to_owned(), 5));
        assert_eq!(program(&["cl"]), ("cl".to_owned(), 5));
        assert_eq!(program(&[]), ("cc".to_owned(), 5));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_is_found_in_path() {
        assert!(is_in_path("sh"));
        assert!(!is_in_path("no-such-compiler"));
    }
}
