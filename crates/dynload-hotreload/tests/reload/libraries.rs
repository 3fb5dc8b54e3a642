//! A library that another program replaces, on every system.
//!
//! `DYNLOAD_LIBRARIES` names a directory with two libraries, `answer1` and `answer2` with the suffix of the system, whose
//! function `answer` returns 41 and 42. Without it, `cc` builds them; an emulator of another system cannot run a compiler.

use std::env::consts::DLL_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dynload_hotreload::{Config, Guard, NativePlugin, Reloader, Step, native_loader};

use crate::harness::*;

/// Returns the contents of the two libraries.
fn libraries(dir: &Dir) -> [Vec<u8>; 2] {
    let built = std::env::var_os("DYNLOAD_LIBRARIES").map(PathBuf::from);
    [1, 2].map(|version| match &built {
        Some(built) => fs::read(built.join(format!("answer{version}{DLL_SUFFIX}"))).unwrap(),
        None => build(dir, version),
    })
}

fn build(dir: &Dir, version: u32) -> Vec<u8> {
    let source = dir.write(
        "built/answer.c",
        format!("int answer(void) {{ return 4{version}; }}\n"),
    );
    let library = dir.at("built/answer");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    assert!(command.status().unwrap().success());
    fs::read(library).unwrap()
}

fn answer(plugin: &NativePlugin) -> i32 {
    // SAFETY: the libraries define it with this type.
    let function = unsafe { plugin.library().symbol::<extern "C" fn() -> i32>("answer") }.unwrap();
    function()
}

fn by_writing(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
}

#[test]
fn a_library_is_replaced_while_its_old_version_is_called() {
    for save in [by_writing, replace] {
        let dir = Dir::new();
        let [one, two] = libraries(&dir);
        let source = dir.write(&format!("plugin{DLL_SUFFIX}"), &one);
        // SAFETY: the libraries have no constructors.
        let loader = unsafe { native_loader!() };
        let reloader = Reloader::new(Config::new(&source).with_settle_timeout(ROOM), loader).unwrap();
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        assert_eq!(trace.failures(), [""; 0]);
        let first = reloader.current().unwrap();
        assert_eq!(answer(&first), 41);
        save(&source, &two);
        await_version(&reloader, 2);
        let second = reloader.current().unwrap();
        assert_eq!((answer(&first), answer(&second)), (41, 42));
        drop((first, second));

        // What is not a library is refused, and the version stays.
        save(
            &source,
            b"not a library, but longer than the header of one; "
                .repeat(100)
                .as_slice(),
        );
        assert_eq!(trace.await_failure().0, Step::Load);
        let current = reloader.current().unwrap();
        assert_eq!((Guard::version(&current), answer(&current)), (2, 42));
    }
}
