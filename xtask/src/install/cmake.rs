//! The package of CMake: `find_package(dynload)`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::{Libraries, write};
use super::{Place, check_output};
use crate::cargo::{is_available, root, run};
use crate::failure::{During, Failure};

/// The directory of the package, where CMake looks for it.
const DIRECTORY: &str = "lib/cmake/dynload";

/// Installs the package: its targets and its version.
pub(super) fn install(place: &Place, libraries: &Libraries) -> Result<(), Failure> {
    for name in ["dynload-config.cmake", "dynload-config-version.cmake"] {
        let template = root().join(format!("crates/dynload-ffi/{name}.in"));
        let template = std::fs::read_to_string(&template)
            .during(format_args!("cannot read `{}`", template.display()))?;
        write(
            &place.on_disk(&format!("{DIRECTORY}/{name}")),
            &filled(&template, libraries),
        )?;
    }
    Ok(())
}

fn filled(template: &str, libraries: &Libraries) -> String {
    template
        .replace("@SHARED@", &libraries.shared())
        .replace("@STATIC@", &libraries.archive())
        .replace("@VERSION@", &libraries.version)
        .replace("@ABI@", &libraries.abi())
}

/// A project that uses each of the two targets, and refuses a version with another ABI.
const PROJECT: &str = "cmake_minimum_required(VERSION 3.10)
project(program C)
find_package(dynload 99.0 QUIET)
if(dynload_FOUND)
  message(FATAL_ERROR \"version 99.0 was found\")
endif()
find_package(dynload @ABI@ REQUIRED)
foreach(kind shared static)
  add_executable(with_${kind} program.c)
  target_link_libraries(with_${kind} dynload::${kind})
endforeach()
";

/// Builds the program in `scratch` with CMake, linked with each of the libraries at `prefix`, and runs it.
pub(super) fn check(scratch: &Path, prefix: &Path, libraries: &Libraries) -> Result<(), Failure> {
    if !is_available("cmake", &["--version"]) {
        println!("without CMake, which is not installed");
        return Ok(());
    }
    write(&scratch.join("CMakeLists.txt"), &filled(PROJECT, libraries))?;
    let build = scratch.join("cmake");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(scratch).arg("-B").arg(&build);
    let mut option = std::ffi::OsString::from("-DCMAKE_PREFIX_PATH=");
    option.push(prefix);
    run(configure.arg(option))?;
    run(Command::new("cmake").arg("--build").arg(&build))?;
    for kind in ["shared", "static"] {
        let program: PathBuf = build.join(format!("with_{kind}"));
        check_output(&program, scratch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_filled() {
        let libraries = Libraries::of("0.12.3");
        for name in ["dynload-config.cmake.in", "dynload-config-version.cmake.in"] {
            let template = std::fs::read_to_string(root().join("crates/dynload-ffi").join(name)).unwrap();
            let text = filled(&template, &libraries);
            assert!(!text.contains('@'), "{text}");
        }
    }
}
