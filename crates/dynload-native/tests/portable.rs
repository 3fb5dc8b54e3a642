//! A library that is loaded, overwritten, reloaded and unloaded, on every system.
//!
//! `DYNLOAD_LIBRARIES` names a directory with two libraries, `answer1` and `answer2` with the suffix of the system, whose
//! function `answer` returns 41 and 42. Without it, `cc` builds them; an emulator of another system cannot run a compiler.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every opened library was built for this test"
)]

use std::env::consts::DLL_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::Command;

use dynload_native::inspect::{HeaderError, inspect};
use dynload_native::{Error, Flags, Library, Module, Step, Unload};

/// A directory with the two libraries.
struct Libraries {
    built: PathBuf,
    directory: tempfile::TempDir,
}

impl Libraries {
    fn new() -> Libraries {
        let directory = tempfile::tempdir().unwrap();
        let built = match std::env::var_os("DYNLOAD_LIBRARIES") {
            Some(built) => built.into(),
            None => {
                build(directory.path());
                directory.path().to_owned()
            }
        };
        Libraries { built, directory }
    }

    fn read(&self, version: u32) -> Vec<u8> {
        std::fs::read(self.built.join(format!("answer{version}{DLL_SUFFIX}"))).unwrap()
    }

    /// Writes a version to the file that the tests load.
    fn install(&self, version: u32) -> PathBuf {
        let path = self.directory.path().join(format!("plugin{DLL_SUFFIX}"));
        std::fs::write(&path, self.read(version)).unwrap();
        path
    }
}

/// Builds both libraries with the compiler of this system.
fn build(directory: &Path) {
    for (version, answer) in [(1, 41), (2, 42)] {
        let source = directory.join(format!("answer{version}.c"));
        std::fs::write(
            &source,
            format!(
                "#ifdef _WIN32\n__declspec(dllexport)\n#endif\nint answer(void) {{ return {answer}; }}\n"
            ),
        )
        .unwrap();
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(directory.join(format!("answer{version}{DLL_SUFFIX}")))
            .arg(source)
            .status();
        assert!(status.unwrap().success());
    }
}

fn answer(library: &Library) -> i32 {
    unsafe { library.symbol::<extern "C" fn() -> i32>("answer") }.unwrap()()
}

#[test]
fn a_library_is_overwritten_while_it_is_loaded_and_reloaded() {
    let libraries = Libraries::new();
    let path = libraries.install(1);
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    let old = module.enter().unwrap();
    assert_eq!(answer(&old), 41);
    // Windows refuses to overwrite a library that is loaded; the module loaded a copy.
    libraries.install(2);
    assert_eq!(answer(&old), 41);
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
    assert_eq!(answer(&module.enter().unwrap()), 42);
    assert_eq!((answer(&old), old.generation().version()), (41, 1));
    drop(old);
    assert_eq!(unsafe { module.unload() }.unwrap(), Unload::Unmapped);
    assert!(!module.is_loaded());
}

#[test]
fn a_damaged_library_is_refused_and_the_old_version_stays() {
    let libraries = Libraries::new();
    let path = libraries.install(1);
    let whole = libraries.read(2);
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    for length in [0, 1, 64, 200, whole.len() / 2] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = unsafe { module.reload() }.unwrap_err();
        assert_eq!(error.step(), Step::Header, "{length}: {error:?}");
        assert_eq!((module.version(), answer(&module.enter().unwrap())), (1, 41));
    }
    std::fs::write(&path, "not a library").unwrap();
    assert!(matches!(inspect(&path), Err(HeaderError::NotALibrary { .. })));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(unsafe { module.reload() }.unwrap_err().step(), Step::Stage);
    libraries.install(2);
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
}

#[test]
fn a_symbol_that_does_not_exist_is_an_error() {
    let libraries = Libraries::new();
    let library = unsafe { Library::open(libraries.install(1), Flags::NOW) }.unwrap();
    let error = library.address("no_such_function").unwrap_err();
    assert!(matches!(&error, Error::Symbol { name, .. } if name == "no_such_function"));
    assert!(library.address("answer").is_ok());
}

#[test]
fn the_programs_own_file_is_not_a_library() {
    let error = inspect(std::env::current_exe().unwrap()).unwrap_err();
    assert!(
        matches!(
            error,
            HeaderError::NotALibrary {
                found: "an executable program",
                ..
            }
        ),
        "{error:?}"
    );
}
