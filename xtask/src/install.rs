//! `cargo xtask install`: installs the C libraries where C programs look for them.

mod cmake;
mod files;
mod python;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::cargo::{c_compiler, cargo, is_available, output, root, run, target_dir};
use crate::failure::{During, Failure};
use crate::{readme, vais};
use files::{Libraries, copy, write};

/// The directories to install into.
struct Place {
    /// The prefix as programs will see it.
    prefix: PathBuf,
    /// A staging directory, prepended to the prefix while copying. Packagers need it.
    destdir: Option<PathBuf>,
}

impl Place {
    fn on_disk(&self, inside: &str) -> PathBuf {
        let path = self.prefix.join(inside);
        match &self.destdir {
            Some(destdir) => destdir.join(path.strip_prefix("/").unwrap_or(&path)),
            None => path,
        }
    }
}

pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let prefix = arguments
        .value("--prefix")?
        .ok_or_else(|| Failure::new("the prefix is missing: pass --prefix DIR"))?;
    let destdir = arguments.value("--destdir")?;
    let debug = arguments.flag("--debug");
    arguments.end()?;
    let prefix = std::path::absolute(&prefix).during(format_args!("invalid prefix `{prefix}`"))?;
    install(
        &Place {
            prefix,
            destdir: destdir.map(PathBuf::from),
        },
        debug,
    )
}

fn install(place: &Place, debug: bool) -> Result<(), Failure> {
    let mut build = cargo(["build", "-p", "dynload-shared", "-p", "dynload-static"]);
    if !debug {
        build.arg("--release");
    }
    run(&mut build)?;
    let built = target_dir()?.join(if debug { "debug" } else { "release" });
    let version = version()?;

    let libraries = Libraries::of(&version);
    libraries.install(&built, place)?;
    if !debug {
        strip(&place.on_disk(&libraries.archive()))?;
    }
    cmake::install(place, &libraries)?;
    let ffi = root().join("crates/dynload-ffi");
    copy(
        &ffi.join("include/dynload.h"),
        &place.on_disk("include/dynload.h"),
    )?;
    copy(
        &root().join("crates/dynload-native/include/dynload_plugin.h"),
        &place.on_disk("include/dynload_plugin.h"),
    )?;
    copy(
        &root().join("crates/dynload-sandbox/guest/dynload_guest.h"),
        &place.on_disk("include/dynload_guest.h"),
    )?;
    copy(&ffi.join("vais/dynload.vais"), &place.on_disk(vais::INSTALLED[0]))?;
    write(&place.on_disk(vais::INSTALLED[1]), &vais::module_in_words()?)?;
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(
            &root().join(license),
            &place.on_disk(&format!("share/doc/dynload/{license}")),
        )?;
    }
    let template = ffi.join("dynload.pc.in");
    let text =
        std::fs::read_to_string(&template).during(format_args!("cannot read `{}`", template.display()))?;
    write(
        &place.on_disk("lib/pkgconfig/dynload.pc"),
        &pkg_config(&text, &place.prefix, &version),
    )
}

/// Removes debug information from an archive, which the profile does for linked files only, where there is a `strip`.
fn strip(archive: &Path) -> Result<(), Failure> {
    if cfg!(target_os = "linux") && is_available("strip", &["--version"]) {
        run(Command::new("strip").arg("--strip-debug").arg(archive))?;
    }
    Ok(())
}

/// Fills in the template of the pkg-config file.
fn pkg_config(template: &str, prefix: &Path, version: &str) -> String {
    // pkg-config splits values into words as a shell does.
    let prefix = prefix.display().to_string().replace(' ', "\\ ");
    template
        .replace("@PREFIX@", &prefix)
        .replace("@VERSION@", version)
}

/// Returns the version of the library.
fn version() -> Result<String, Failure> {
    let id = output(&mut cargo(["pkgid", "--offline", "-p", "dynload-ffi"]))?;
    let version = id.trim().rsplit(['#', '@']).next().unwrap_or_default();
    if version.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(version.to_owned());
    }
    Err(Failure::new(format!(
        "`cargo pkgid` returned `{}`, which has no version",
        id.trim()
    )))
}

/// The expected output of the README's programs with its plugin.
const ITS_OUTPUT: &str = "HELLO FROM A PLUGIN\n";

/// Installs into a new directory. Then builds the README's C program, which finds the header and the libraries as any other
/// program would, and runs it: once with the shared library, once with the static one, the same with CMake, and the
/// Python program with the package that pip installs. Then builds a plugin.
pub(crate) fn check() -> Result<(), Failure> {
    let scratch = target_dir()?.join("xtask/install");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).during(format_args!("cannot empty `{}`", scratch.display()))?;
    }
    let prefix = scratch.join("prefix");
    install(
        &Place {
            prefix: prefix.clone(),
            destdir: None,
        },
        true,
    )?;
    if cfg!(windows) {
        // Windows has no pkg-config, so only building and copying the files is checked there.
        return Ok(());
    }
    let source = scratch.join("program.c");
    let (plugin, program) = readme::c_code()?;
    write(&source, &program)?;
    write(&scratch.join("shout.c"), &plugin)?;
    run(Command::new("clang")
        .args(["--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry"])
        .args(["shout.c", "-o", "shout.wasm"])
        .current_dir(&scratch))?;
    let flags = |arguments: &[&str]| -> Result<Vec<String>, Failure> {
        let mut pkg_config = Command::new("pkg-config");
        pkg_config
            .args(arguments)
            .arg("dynload")
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        Ok(output(&mut pkg_config)?
            .split_whitespace()
            .map(str::to_owned)
            .collect())
    };

    let shared = scratch.join("with_shared");
    let rpath = format!("-Wl,-rpath,{}", prefix.join("lib").display());
    run(c_compiler()
        .arg("-o")
        .arg(&shared)
        .arg(&source)
        .args(flags(&["--cflags", "--libs"])?)
        .arg(rpath))?;
    check_output(&shared, &scratch)?;

    let static_ = scratch.join("with_static");
    let archive = prefix.join("lib/libdynload.a");
    // Without `-ldynload`: linkers prefer the shared library where both exist.
    let mut others = flags(&["--static", "--libs"])?;
    others.retain(|flag| flag != "-ldynload");
    run(c_compiler()
        .arg("-o")
        .arg(&static_)
        .arg(&source)
        .args(flags(&["--cflags"])?)
        .arg(archive)
        .args(others))?;
    check_output(&static_, &scratch)?;
    run(Command::new("clang")
        .args([
            "--target=wasm32",
            "-O2",
            "-mbulk-memory",
            "-ffreestanding",
            "-nostdlib",
        ])
        .args(["-Wl,--no-entry", "-o"])
        .arg(scratch.join("text.wasm"))
        .args(flags(&["--cflags"])?)
        .arg(root().join("docs/plugins/text.c")))?;
    cmake::check(&scratch, &prefix, &Libraries::of(&version()?))?;
    python::check(&scratch, &prefix)
}

/// Runs the program in the directory of its plugin, and compares its output.
fn check_output(program: &Path, directory: &Path) -> Result<(), Failure> {
    compare_output(&mut Command::new(program), directory)
}

fn compare_output(command: &mut Command, directory: &Path) -> Result<(), Failure> {
    let said = output(command.current_dir(directory))?;
    if said == ITS_OUTPUT {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{command:?} printed {said:?}; expected {ITS_OUTPUT:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_filled() {
        let template = std::fs::read_to_string(root().join("crates/dynload-ffi/dynload.pc.in")).unwrap();
        let text = pkg_config(&template, Path::new("/opt/my libs"), "0.1.0");
        assert!(
            text.starts_with("prefix=/opt/my\\ libs\n") && text.contains("\nVersion: 0.1.0\n"),
            "{text}"
        );
        assert!(!text.contains('@'), "{text}");
    }

    #[test]
    fn a_staged_installation_keeps_its_prefix() {
        let place = Place {
            prefix: "/usr/local".into(),
            destdir: Some("/tmp/stage".into()),
        };
        assert_eq!(place.on_disk("lib/x"), Path::new("/tmp/stage/usr/local/lib/x"));
    }
}
