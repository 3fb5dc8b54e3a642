//! Private copies.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use dynload_native::staging::{StageError, Staging};
use dynload_native::{Flags, Module};

use crate::build::Workshop;
use crate::child;

#[test]
fn copies_are_private_have_unique_paths_and_are_deleted_when_dropped() {
    let workshop = Workshop::new();
    let staging = Staging::in_directory(workshop.path("")).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(staging.path()), 0o700);
    let source = workshop.write("plugin.so", "content");
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let staged = staging.stage(&source).unwrap();
        assert!(
            seen.insert(staged.path().to_owned()),
            "{} was used before",
            staged.path().display()
        );
        assert_eq!(staged.path().file_name(), source.file_name());
        assert_eq!(mode(staged.path()), 0o600);
        assert_eq!(
            (staged.size(), staged.hash()),
            (7, dynload_native::ContentHash::of(b"content"))
        );
        assert!(staged.path().exists());
    }
    assert!(seen.iter().all(|path| !path.exists()));
    let directory = staging.path().to_owned();
    let last = staging.stage(&source).unwrap();
    drop(staging);
    assert!(directory.exists(), "a copy that is in use keeps the directory");
    drop(last);
    assert!(!directory.exists());
}

#[test]
fn debug_information_is_copied_too() {
    let workshop = Workshop::new();
    let source = workshop.write("libp.so", "library");
    for name in [
        "libp.so.debug",
        "libp.debug",
        "libp.so.dwp",
        "libp.pdb",
        ".debug/libp.so.debug",
        "libp.so.dSYM/Contents/Resources/DWARF/libp.so",
    ] {
        workshop.write(name, name);
    }
    workshop.write("libother.so.debug", "of another library");
    let staged = Staging::in_directory(workshop.path(""))
        .unwrap()
        .stage(&source)
        .unwrap();
    let directory = staged.path().parent().unwrap();
    for name in [
        "libp.so.debug",
        "libp.debug",
        "libp.so.dwp",
        "libp.pdb",
        ".debug/libp.so.debug",
        "libp.so.dSYM/Contents/Resources/DWARF/libp.so",
    ] {
        assert_eq!(std::fs::read_to_string(directory.join(name)).unwrap(), name);
    }
    assert!(!directory.join("libother.so.debug").exists());
}

#[test]
fn a_failed_copy_reports_the_reason_and_leaves_no_files() {
    let workshop = Workshop::new();
    let staging = Staging::in_directory(workshop.path("")).unwrap();
    assert!(matches!(
        staging.stage(workshop.path("gone.so")),
        Err(StageError::Read(_))
    ));
    assert!(matches!(
        staging.stage(workshop.path("")),
        Err(StageError::NotAFile {
            kind: "a directory",
            ..
        })
    ));
    let sparse = workshop.write("sparse.so", "");
    std::fs::File::options()
        .write(true)
        .open(&sparse)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(matches!(staging.stage(&sparse), Err(StageError::TooLarge { size, .. }) if size == 1 << 40));
    assert_eq!(
        std::fs::read_dir(staging.path()).unwrap().count(),
        1,
        "only the lock is left"
    );
    let error = Staging::in_directory(workshop.path("no/such/directory")).unwrap_err();
    assert!(matches!(error, StageError::Directory { .. }), "{error:?}");
}

/// The directory of a killed process is removed when the next process starts; that of a live process stays.
#[test]
fn directories_of_dead_processes_are_swept_and_others_are_not() {
    let test = "staging::directories_of_dead_processes_are_swept_and_others_are_not";
    if let Some(parent) = child::argument() {
        let staging = Staging::in_directory(&parent).unwrap();
        let _staged = staging.stage(parent.join("libp.so")).unwrap();
        std::fs::write(parent.join("ready"), staging.path().to_str().unwrap()).unwrap();
        // Wait to be killed.
        loop {
            std::thread::park();
        }
    }
    let workshop = Workshop::new();
    let parent = workshop.path("shared");
    std::fs::create_dir(&parent).unwrap();
    workshop.write("shared/libp.so", "library");
    // Similar names that are not this crate's.
    for name in [
        "dynload-notes",
        "dynload-1-abc",
        "dynload-x-0123456789abcdef",
        "other-1-0123456789abcdef",
    ] {
        std::fs::create_dir(parent.join(name)).unwrap();
    }
    let mut process = child::command(test, &parent)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ready = parent.join("ready");
    let directory = loop {
        match std::fs::read_to_string(&ready) {
            Ok(directory) if !directory.is_empty() => break std::path::PathBuf::from(directory),
            _ => assert!(process.try_wait().unwrap().is_none(), "the child ended"),
        }
        std::thread::yield_now();
    };
    let own = Staging::in_directory(&parent).unwrap();
    assert!(directory.exists(), "the child is alive");
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(directory.exists());
    let second = Staging::in_directory(&parent).unwrap();
    assert!(!directory.exists(), "the child is dead");
    assert!(own.path().exists() && second.path().exists());
    for name in [
        "dynload-notes",
        "dynload-1-abc",
        "dynload-x-0123456789abcdef",
        "other-1-0123456789abcdef",
    ] {
        assert!(parent.join(name).exists(), "{name}");
    }
}

/// Many threads that start at the same time sweep while the directories of the others are not ready.
#[test]
fn a_directory_that_is_being_created_is_not_swept() {
    let workshop = Workshop::new();
    let parent = workshop.path("");
    let begun = |name: &str, age: Duration| {
        let directory = workshop.path(&format!(".dynload-new-{name}"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("lock"), "").unwrap();
        let file = std::fs::File::open(&directory).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        directory
    };
    let new = begun("1-0123456789abcdef", Duration::ZERO);
    let abandoned = begun("2-0123456789abcdef", Duration::from_secs(2 * 3600));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let staging = Staging::in_directory(&parent).unwrap();
                    assert!(staging.path().join("lock").exists());
                }
            });
        }
    });
    assert!(new.exists() && !abandoned.exists());
}

#[test]
fn sweeping_does_not_follow_a_symlink() {
    let workshop = Workshop::new();
    let precious = workshop.write("precious/file", "precious");
    let link = workshop.path("dynload-1-0123456789abcdef");
    std::os::unix::fs::symlink(precious.parent().unwrap(), &link).unwrap();
    drop(Staging::in_directory(workshop.path("")).unwrap());
    assert!(precious.exists() && link.symlink_metadata().is_ok());
}

/// The file is replaced continuously: a copy is complete, or refused.
#[test]
fn a_copy_never_mixes_two_files() {
    let workshop = Workshop::new();
    let staging = Staging::in_directory(workshop.path("")).unwrap();
    let source = workshop.write("libp.so", vec![0u8; 3 << 20]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut whole = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut fill = 1;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::write(workshop.path("next"), vec![fill; 3 << 20]).unwrap();
                std::fs::rename(workshop.path("next"), &source).unwrap();
                fill = fill.wrapping_add(1);
            }
        });
        for _ in 0..30 {
            match staging.stage(&source) {
                Ok(staged) => {
                    let bytes = std::fs::read(staged.path()).unwrap();
                    assert_eq!(bytes.len(), 3 << 20);
                    assert!(bytes.iter().all(|&byte| byte == bytes[0]), "a copy of two files");
                    whole += 1;
                }
                Err(StageError::Changing) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    println!("{whole} of 30 copies succeeded");
}

/// Two processes reload the same file, each from its own copies.
#[test]
fn two_processes_reload_the_same_file() {
    let test = "staging::two_processes_reload_the_same_file";
    if let Some(path) = child::argument() {
        let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
        for version in 2..=50 {
            assert_eq!(unsafe { module.reload() }.unwrap(), version);
            let answer = crate::module::answer(&module.enter().unwrap());
            assert!(answer == 1 || answer == 2, "{answer}");
        }
        return;
    }
    let workshop = Workshop::new();
    let path = workshop.answering("libp.so", 1);
    let next = workshop.answering("libnext.so", 2);
    let first = workshop.path("libfirst.so");
    std::fs::copy(&path, &first).unwrap();
    let temporary = workshop.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let spawn = || {
        let mut command = child::command(test, &path);
        command
            .env("TMPDIR", &temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut children = [spawn(), spawn()];
    let mut turn = 0;
    while children
        .iter_mut()
        .any(|child| child.try_wait().unwrap().is_none())
    {
        crate::build::rename_over([&first, &next][turn % 2], &path);
        turn += 1;
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(
        std::fs::read_dir(&temporary).unwrap().count(),
        0,
        "both cleaned up"
    );
}
