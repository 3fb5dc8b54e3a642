//! Private copies.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use dynload_native::staging::{StageError, Staging, private_directory};
use dynload_native::{Error, Flags, Library, Module, Options};

use crate::build::Workshop;
use crate::child;
use crate::module::answer;

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
        "only the mark is left"
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
fn only_a_directory_with_its_own_mark_is_swept() {
    let workshop = Workshop::new();
    let parent = workshop.path("");
    let begun = |name: &str, mark: Option<&str>, age: Duration| {
        let directory = workshop.path(name);
        std::fs::create_dir(&directory).unwrap();
        if let Some(mark) = mark {
            std::fs::write(directory.join(".dynload-staging"), mark).unwrap();
        }
        let file = std::fs::File::open(&directory).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        directory
    };
    let hours = Duration::from_secs(2 * 3600);
    let new = begun("dynload-1-0123456789abcdef", None, Duration::ZERO);
    let abandoned = begun("dynload-2-0123456789abcdef", None, hours);
    // Another directory that was renamed, and one with the mark of another.
    let precious = begun("dynload-3-0123456789abcdef", None, Duration::ZERO);
    std::fs::write(precious.join("lock"), "").unwrap();
    std::fs::File::open(&precious)
        .unwrap()
        .set_modified(SystemTime::now() - hours)
        .unwrap();
    let moved = begun(
        "dynload-4-0123456789abcdef",
        Some("dynload-1-0123456789abcdef"),
        hours,
    );
    let dead = begun(
        "dynload-5-0123456789abcdef",
        Some("dynload-5-0123456789abcdef"),
        Duration::ZERO,
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let staging = Staging::in_directory(&parent).unwrap();
                    assert!(staging.path().join(".dynload-staging").exists());
                }
            });
        }
    });
    assert!(new.exists() && precious.join("lock").exists() && moved.exists());
    assert!(!abandoned.exists() && !dead.exists());
}

/// A cleaner removes the directory, or only the mark: later loads work, and the directory is not taken for a dead one.
#[test]
fn a_directory_that_a_cleaner_removed_is_created_again() {
    let workshop = Workshop::new();
    let source = workshop.write("libp.so", "library");
    let staging = Staging::in_directory(workshop.path("")).unwrap();
    let first = staging.stage(&source).unwrap();
    std::fs::remove_dir_all(staging.path()).unwrap();
    let second = staging.stage(&source).unwrap();
    assert_eq!(std::fs::read(second.path()).unwrap(), b"library");
    assert_ne!(first.path(), second.path());
    drop(first);
    let other = Staging::in_directory(workshop.path("")).unwrap();
    assert!(second.path().exists(), "the new directory is locked too");

    std::fs::remove_file(staging.path().join(".dynload-staging")).unwrap();
    drop(other);
    drop(Staging::in_directory(workshop.path("")).unwrap());
    assert!(second.path().exists(), "without a mark it is not swept");

    // Another directory at the path is not used, and not removed.
    std::fs::remove_dir_all(staging.path()).unwrap();
    std::fs::create_dir(staging.path()).unwrap();
    let precious = staging.path().join("2");
    std::fs::create_dir(&precious).unwrap();
    let error = staging.stage(&source).unwrap_err();
    assert!(matches!(error, StageError::Write { .. }), "{error:?}");
    drop(second);
    let path = staging.path().to_owned();
    drop(staging);
    assert!(precious.exists() && path.exists());
}

#[test]
fn a_directory_in_which_others_can_replace_files_is_refused() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let workshop = Workshop::new();
    let outer = workshop.path("outer");
    let inner = outer.join("inner");
    std::fs::create_dir_all(&inner).unwrap();
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused = |path: &std::path::Path| match Staging::in_directory(&inner) {
        Err(StageError::Exposed { path: found, .. }) => assert_eq!(found, path.canonicalize().unwrap()),
        other => panic!("{other:?}"),
    };
    set(&inner, 0o777);
    refused(&inner);
    set(&inner, 0o1777);
    drop(Staging::in_directory(&inner).unwrap());
    // Above it too: the directory itself could be replaced.
    set(&inner, 0o700);
    set(&outer, 0o777);
    refused(&outer);
    set(&outer, 0o755);
    set(&inner, 0o775);
    let metadata = inner.metadata().unwrap();
    if [0, metadata.uid()].contains(&metadata.gid()) {
        drop(Staging::in_directory(&inner).unwrap());
    } else {
        refused(&inner);
    }
    // For build outputs, the directory itself must not be another user's, whatever its mode.
    let outputs = outer.join("outputs");
    private_directory(&outputs).unwrap();
    private_directory(&outputs).unwrap();
    assert_eq!(outputs.metadata().unwrap().mode() & 0o777, 0o700);
    set(&outputs, 0o1777);
    let error = private_directory(&outputs).unwrap_err();
    assert!(matches!(error, StageError::Exposed { .. }), "{error:?}");
    // Only root can give a directory away.
    if std::os::unix::fs::chown(&inner, None, Some(12345)).is_ok() && metadata.uid() != 12345 {
        refused(&inner);
    }
    set(&inner, 0o755);
    if std::os::unix::fs::chown(&inner, Some(12345), None).is_ok() {
        refused(&inner);
    }
}

/// Who owns the link could lead it elsewhere after the check.
#[test]
fn a_directory_reached_by_a_symlink_is_used_by_its_own_path() {
    let workshop = Workshop::new();
    let (good, other, link) = (
        workshop.path("good"),
        workshop.path("other"),
        workshop.path("link"),
    );
    std::fs::create_dir(&good).unwrap();
    std::fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&good, &link).unwrap();
    let staging = Staging::in_directory(&link).unwrap();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    let staged = staging.stage(workshop.write("libp.so", "library")).unwrap();
    assert!(staged.path().starts_with(good.canonicalize().unwrap()));
    assert_eq!(std::fs::read_dir(other).unwrap().count(), 0);
}

#[test]
fn a_path_in_which_the_loader_replaces_a_token_is_refused() {
    let workshop = Workshop::new();
    let parent = workshop.path("$ORIGIN");
    std::fs::create_dir(&parent).unwrap();
    let error = Staging::in_directory(&parent).unwrap_err();
    assert!(
        matches!(&error, StageError::Token { token: "$ORIGIN", .. }),
        "{error:?}"
    );
    // A copy of the library can be loaded, from the directory for temporary files.
    let plugin = workshop.c("$ORIGIN/libp.so", "int answer(void) { return 7; }", &[]);
    let error = unsafe { Library::open(&plugin, Flags::NOW) }.unwrap_err();
    assert!(matches!(error, Error::Name { .. }), "{error:?}");
    let module = unsafe { Module::load(&plugin, Flags::NOW) }.unwrap();
    assert_eq!(answer(&module.enter().unwrap()), 7);
}

/// `TMPDIR` is empty, and the host runs without standard input, output and error.
#[test]
fn an_unusual_environment_does_no_harm() {
    let test = "staging::an_unusual_environment_does_no_harm";
    if let Some(plugin) = child::argument() {
        for number in 0..3 {
            // SAFETY: nothing in this process uses them any more.
            unsafe { libc::close(number) };
        }
        let module = unsafe { Module::load(&plugin, Flags::NOW) }.unwrap();
        // SAFETY: the number is only asked about.
        let free = |number| unsafe { libc::fcntl(number, libc::F_GETFD) } == -1;
        let good = (0..3).all(free) && answer(&module.enter().unwrap()) == 7;
        std::process::exit(if good { 0 } else { 9 });
    }
    let workshop = Workshop::new();
    let plugin = workshop.c("libp.so", "int answer(void) { return 7; }", &[]);
    let mut child = child::command(test, &plugin);
    let status = child
        .env("TMPDIR", "")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
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

/// Where the system lets an ordinary user mount a file system, in a namespace of its own.
#[test]
fn a_file_system_without_code_is_named() {
    let test = "staging::a_file_system_without_code_is_named";
    if let Some(directory) = child::argument() {
        let plugin = directory.join("libp.so");
        let staging = Staging::in_directory(directory.join("noexec")).unwrap();
        let options = Options::new().with_staging(staging);
        let error = unsafe { options.load(&plugin) }.unwrap_err();
        let Error::NoExec { directory: found, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(found.starts_with(directory.join("noexec")), "{error}");
        return;
    }
    let workshop = Workshop::new();
    workshop.c("libp.so", "int answer(void) { return 7; }", &[]);
    std::fs::create_dir(workshop.path("noexec")).unwrap();
    let mount = format!(
        "mount -t tmpfs -o noexec,mode=700 tmpfs '{}'",
        workshop.path("noexec").display()
    );
    let unshare = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command
    };
    if !unshare(&mount).output().is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: this user cannot mount a file system");
        return;
    }
    let child = child::command(test, workshop.path(""));
    let mut command = unshare(&format!("{mount} && exec \"$0\" \"$@\""));
    command.arg(child.get_program()).args(child.get_args());
    let variables = child.get_envs().filter_map(|(name, value)| Some((name, value?)));
    child::succeeds(command.envs(variables));
}
