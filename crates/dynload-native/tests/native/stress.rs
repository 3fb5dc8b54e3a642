//! All operations concurrently, from many threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dynload_native::{Error, Flags, Library, Module};

use crate::build::Workshop;
use crate::child;

/// A library whose function checks its number, to detect a call that runs partly on another version.
const SOURCE: &str = r#"
static volatile int number = NUMBER;
int answer(void) {
    int first = number;
    for (volatile int i = 0; i < 100; i++) {}
    return first == number && number == NUMBER ? NUMBER : -1;
}
"#;

fn numbered(workshop: &Workshop, name: &str, number: u32) -> std::path::PathBuf {
    workshop.c(name, SOURCE, &[&format!("-DNUMBER={number}")])
}

/// 1 000 reloads with calls on four threads, in its own process, because as many images stay mapped.
#[test]
fn a_thousand_reloads_with_calls_running() {
    let test = "stress::a_thousand_reloads_with_calls_running";
    let Some(directory) = child::argument() else {
        let workshop = Workshop::new();
        for number in 0..4 {
            numbered(&workshop, &format!("lib{number}.so"), number);
        }
        std::fs::create_dir(workshop.path("tmp")).unwrap();
        let mut command = child::command(test, workshop.path(""));
        child::succeeds(command.env("TMPDIR", workshop.path("tmp")));
        assert_eq!(std::fs::read_dir(workshop.path("tmp")).unwrap().count(), 0);
        return;
    };
    let path = directory.join("libplugin.so");
    let version = |number: u64| directory.join(format!("lib{}.so", number % 4));
    std::fs::copy(version(1), &path).unwrap();
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    let done = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let call = module.enter().unwrap();
                    let (version, answer) = (call.generation().version(), crate::module::answer(&call));
                    // The code belongs to the version, and versions only increase.
                    assert_eq!(answer as u64, version % 4);
                    assert!(version >= last);
                    last = version;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 2..=1001 {
            crate::build::rename_over(&version(number), &path);
            assert_eq!(unsafe { module.reload() }.unwrap(), number);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(module.version(), 1001);
    assert_eq!(dynload_native::detached_images().len(), 1000);
    assert!(calls.load(Ordering::Relaxed) > 0);
    assert_eq!(module.retire(Duration::from_secs(60)).unwrap().in_flight, 0);
}

/// Load, reload, symbols, retirement and unload of the same modules, from eight threads concurrently.
#[test]
fn all_operations_concurrently_from_any_thread() {
    let test = "stress::all_operations_concurrently_from_any_thread";
    let Some(path) = child::argument() else {
        let workshop = Workshop::new();
        child::succeeds(&mut child::command(test, numbered(&workshop, "libany.so", 5)));
        return;
    };
    let rounds = 20;
    for round in 0..rounds {
        let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (module, path) = (&module, &path);
                scope.spawn(move || {
                    for step in 0..20 {
                        match (thread + step) % 4 {
                            0 => match unsafe { module.reload() } {
                                Ok(version) => assert!(version > 1),
                                Err(Error::NotLoaded { .. }) => {}
                                Err(other) => panic!("{other:?}"),
                            },
                            1 | 2 => match module.enter() {
                                Ok(call) => assert_eq!(crate::module::answer(&call), 5),
                                Err(Error::NotLoaded { .. }) => {}
                                Err(other) => panic!("{other:?}"),
                            },
                            _ => {
                                let library = unsafe { Library::open(path, Flags::LAZY) }.unwrap();
                                assert_eq!(crate::module::answer(&library), 5);
                                // Other threads may have it open, and then it stays mapped.
                                unsafe { library.unload() }.unwrap();
                            }
                        }
                    }
                    if thread == 7 {
                        let outcome = match round % 2 {
                            0 => module.retire(Duration::from_secs(60)).map(drop),
                            // Sound: every call is counted, and no address is kept.
                            _ => unsafe { module.unload() }.map(drop),
                        };
                        outcome.unwrap();
                    }
                });
            }
        });
        assert!(!module.is_loaded());
    }
}

/// What a process holds: descriptors, threads, mappings of copies, files in the directory for temporary files. Links follow
/// what is in the directories above, where other processes are at work.
#[cfg(target_os = "linux")]
fn held(temporary: &std::path::Path) -> [usize; 4] {
    fn files(directory: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.file_type() {
                Ok(kind) if kind.is_dir() => 1 + files(&entry.path()),
                Ok(kind) if kind.is_symlink() => 0,
                _ => 1,
            })
            .sum()
    }
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let copies = maps.lines().filter(|line| line.contains("/dynload-")).count();
    [
        count("/proc/self/fd"),
        count("/proc/self/task"),
        copies,
        files(temporary),
    ]
}

/// 10 000 times with `DYNLOAD_PROVE=1`. A reload leaves its old image mapped, and nothing else.
#[cfg(target_os = "linux")]
#[test]
fn loads_unloads_and_reloads_leave_nothing_behind() {
    let test = "stress::loads_unloads_and_reloads_leave_nothing_behind";
    let Some(directory) = child::argument() else {
        let workshop = Workshop::new();
        numbered(&workshop, "libplugin.so", 1);
        workshop.c("libbeside.so", "int beside(void) { return 1; }", &[]);
        // With links: it looks beside itself and above.
        let source = "int beside(void); int answer(void) { return beside(); }";
        let arguments = ["-L.", "-lbeside", "-Wl,-rpath,$ORIGIN:$ORIGIN/.."];
        workshop.c("liblinked.so", source, &arguments);
        std::fs::create_dir(workshop.path("tmp")).unwrap();
        let mut command = child::command(test, workshop.path(""));
        child::succeeds(command.env("TMPDIR", workshop.path("tmp")));
        assert_eq!(std::fs::read_dir(workshop.path("tmp")).unwrap().count(), 0);
        return;
    };
    let rounds = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        10_000
    } else {
        200
    };
    let temporary = directory.join("tmp");
    // A process has at most some 65 000 mappings (`vm.max_map_count`), and each image needs five.
    for (name, reloads) in [("libplugin.so", rounds), ("liblinked.so", rounds / 10)] {
        let path = directory.join(name);
        // Keeps the directory for copies, and the library beside.
        let kept = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
        let round = || {
            let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
            assert_eq!(crate::module::answer(&module.enter().unwrap()), 1);
            unsafe { module.unload() }.unwrap();
        };
        round();
        let before = held(&temporary);
        for _ in 0..rounds {
            round();
        }
        assert_eq!(held(&temporary), before, "{name}");

        assert_eq!(unsafe { kept.reload() }.unwrap(), 2);
        let mut before = held(&temporary);
        for _ in 0..reloads {
            unsafe { kept.reload() }.unwrap();
        }
        let mut after = held(&temporary);
        assert!(after[2] > before[2], "the old images stay mapped");
        (before[2], after[2]) = (0, 0);
        assert_eq!(after, before, "{name}");
    }
}
