//! The file names of shared libraries on this platform.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;

use crate::inspect;

/// Returns this platform's extension of shared libraries, without the dot: `so`, `dylib` or `dll`.
pub const fn library_extension() -> &'static str {
    std::env::consts::DLL_EXTENSION
}

/// Returns the file name of the library `name` on this platform: `libname.so`, `libname.dylib`, `name.dll`.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// assert_eq!(dynload_native::library_filename("greeter"), "libgreeter.so");
/// ```
pub fn library_filename(name: &str) -> String {
    format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")
}

/// Returns whether the file is a library that this platform could load.
///
/// Its name must have the [extension](library_extension) (on Linux also with a version, `libz.so.1.2`), and if the file
/// exists, its headers must be valid too.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use dynload_native::is_plugin_library;
///
/// assert!(is_plugin_library("not-built-yet/libgreeter.so"));
/// assert!(is_plugin_library("not-built-yet/libgreeter.so.1.2"));
/// assert!(!is_plugin_library("not-built-yet/greeter.dll"));
/// assert!(!is_plugin_library("Cargo.toml"));
/// # }
/// ```
pub fn is_plugin_library(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let Some(name) = path.file_name() else {
        return false;
    };
    if !has_library_name(name.as_encoded_bytes()) {
        return false;
    }
    // A dangling symlink exists, but is not a library.
    match path.symlink_metadata() {
        Ok(_) => inspect::inspect(path).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Returns the first token in a path that `dlopen` replaces: glibc expands them in every path that contains a slash (ld.so(8),
/// "Dynamic string tokens").
pub(crate) fn loader_token(path: &Path) -> Option<&'static str> {
    const TOKENS: [&str; 3] = ["$ORIGIN", "$LIB", "$PLATFORM"];
    if cfg!(any(windows, target_vendor = "apple")) {
        return None;
    }
    let mut rest = path.as_os_str().as_encoded_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        rest = &rest[at + 1..];
        let is_at_start = |token: &&&str| {
            let name = &token.as_bytes()[1..];
            let braced = rest.strip_prefix(b"{").and_then(|rest| rest.strip_prefix(name));
            let plain = rest.strip_prefix(name);
            braced.is_some_and(|after| after.first() == Some(&b'}'))
                || plain.is_some_and(|after| {
                    !after
                        .first()
                        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                })
        };
        if let Some(token) = TOKENS.iter().find(is_at_start) {
            return Some(token);
        }
    }
    None
}

fn has_library_name(name: &[u8]) -> bool {
    let suffix = DLL_SUFFIX.as_bytes();
    // File names are not case-sensitive on Windows.
    let same = |a: &[u8]| {
        if cfg!(windows) {
            a.eq_ignore_ascii_case(suffix)
        } else {
            a == suffix
        }
    };
    let is_name = |name: &[u8]| name.len() > suffix.len() && same(&name[name.len() - suffix.len()..]);
    if is_name(name) {
        return true;
    }
    if cfg!(any(windows, target_vendor = "apple")) {
        return false;
    }
    // `libz.so.1.2`: remove the numbers.
    let mut stem = name;
    while let Some(dot) = stem.iter().rposition(|&byte| byte == b'.') {
        let number = &stem[dot + 1..];
        if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
            break;
        }
        stem = &stem[..dot];
    }
    stem.len() < name.len() && is_name(stem)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::has_library_name;

    #[test]
    fn library_names_are_recognized() {
        for good in ["a.so", "liba.so", "liba.so.1", "liba.so.1.2.3", ".x.so", "a.b.so"] {
            assert!(has_library_name(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "so", ".so", ".so.1", "a.so.", "a.so.1.", "a.so.x", "a.so1", "a.dll", "a.dylib", "a.SO",
            "a.1.2",
        ] {
            assert!(!has_library_name(bad.as_bytes()), "{bad}");
        }
    }
}
