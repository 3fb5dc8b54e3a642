//! A module that is replaced while the process runs.

use std::error::Error as _;
use std::time::{Duration, Instant};

use dynload_native::{Error, Flags, Library, Module, Options, Step, Unload};

use crate::build::{Workshop, rename_over};
use crate::library::is_mapped;

type Answer = extern "C" fn() -> i32;

pub(crate) fn answer(library: &Library) -> i32 {
    unsafe { library.symbol::<Answer>("answer") }.unwrap()()
}

#[test]
fn a_reload_loads_the_new_code_as_the_next_version() {
    let workshop = Workshop::new();
    let path = workshop.answering("libm1.so", 1);
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    assert_eq!(
        (module.version(), module.is_loaded(), module.path()),
        (1, true, &*path)
    );
    let hash = module.hash().unwrap();
    let old = module.enter().unwrap();
    workshop.answering("libm1.so", 2);
    // The loader maps a copy, so the new build has not changed anything yet.
    assert_eq!(answer(&old), 1);
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
    assert_ne!(module.hash().unwrap(), hash);
    assert_eq!(answer(&module.enter().unwrap()), 2);
    // A call that began before the reload stays on its version.
    assert_eq!((answer(&old), old.generation().version()), (1, 1));
    // Unchanged content still becomes another image, with newly initialized variables.
    assert_eq!(unsafe { module.reload() }.unwrap(), 3);
}

#[test]
fn the_old_version_stays_and_works_whatever_step_fails() {
    let workshop = Workshop::new();
    let path = workshop.answering("libm2.so", 1);
    let good = std::fs::read(&path).unwrap();
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    #[track_caller]
    fn fails(module: &Module, step: Step) -> Error {
        let error = unsafe { module.reload() }.unwrap_err();
        assert_eq!(error.step(), step, "{error:?}");
        assert_eq!((module.version(), module.is_loaded()), (1, true));
        assert_eq!(answer(&module.enter().unwrap()), 1);
        error
    }
    std::fs::remove_file(&path).unwrap();
    fails(&module, Step::Stage);
    std::fs::create_dir(&path).unwrap();
    fails(&module, Step::Stage);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    let error = fails(&module, Step::Header);
    assert!(
        error.source().unwrap().to_string().contains("truncated"),
        "{error:?}"
    );
    std::fs::write(&path, "").unwrap();
    fails(&module, Step::Header);
    workshop.c(
        "libm2.so",
        "int nowhere(void); int answer(void) { return nowhere(); }",
        &[],
    );
    let error = fails(&module, Step::Open);
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("undefined symbol: nowhere"),
        "{error:?}"
    );
    std::fs::write(&path, &good).unwrap();
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
}

#[test]
fn a_failed_reload_leaves_no_copy() {
    let workshop = Workshop::new();
    let staging = dynload_native::staging::Staging::in_directory(workshop.path("")).unwrap();
    let path = workshop.answering("libm3.so", 1);
    let module = unsafe { Options::new().with_staging(staging.clone()).load(&path) }.unwrap();
    let copies = || std::fs::read_dir(staging.path()).unwrap().count() - 1;
    assert_eq!(copies(), 1);
    std::fs::write(&path, "nothing").unwrap();
    assert_eq!(unsafe { module.reload() }.unwrap_err().step(), Step::Header);
    assert_eq!(copies(), 1);
    workshop.answering("libm3.so", 2);
    unsafe { module.reload() }.unwrap();
    assert_eq!(
        copies(),
        1,
        "the copy of the old version is deleted when it is no longer used"
    );
}

#[test]
fn the_file_may_be_overwritten_in_place_while_it_is_loaded() {
    let workshop = Workshop::new();
    // So much code that not all of it is in memory yet.
    let functions: String = (0..2000)
        .map(|n| format!("int f{n}(int x) {{ return x * {n} + {n}; }}\n"))
        .collect();
    let path = workshop.c(
        "libm4.so",
        &format!("{functions} int answer(void) {{ return f1999(1); }}"),
        &["-O0"],
    );
    let module = unsafe { Module::load(&path, Flags::LAZY) }.unwrap();
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    std::fs::write(&path, vec![0xcc; length]).unwrap();
    assert_eq!(answer(&module.enter().unwrap()), 3998);
    std::fs::write(&path, "").unwrap();
    let call = module.enter().unwrap();
    for n in 0..2000 {
        let function = unsafe { call.symbol::<extern "C" fn(i32) -> i32>(format!("f{n}")) }.unwrap();
        assert_eq!(function(1), 2 * n);
    }
}

#[test]
fn a_retired_module_waits_for_its_calls() {
    let workshop = Workshop::new();
    let module = unsafe { Module::load(workshop.answering("libm5.so", 1), Flags::NOW) }.unwrap();
    let (entered, wait) = std::sync::mpsc::channel();
    let (done, may_end) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let module = &module;
        scope.spawn(move || {
            let call = module.enter().unwrap();
            entered.send(()).unwrap();
            may_end.recv().unwrap();
            assert_eq!(answer(&call), 1);
        });
        wait.recv().unwrap();
        assert_eq!(module.in_flight(), 1);
        let retiring = scope.spawn(|| module.retire(Duration::from_secs(60)).unwrap());
        // No call can enter after the retirement has begun.
        while module.is_loaded() {
            std::thread::yield_now();
        }
        assert!(matches!(module.enter(), Err(Error::NotLoaded { .. })));
        assert!(!retiring.is_finished());
        done.send(()).unwrap();
        let retired = retiring.join().unwrap();
        assert_eq!((retired.version, retired.in_flight), (1, 0));
        assert!(is_mapped(&retired.still_mapped));
    });
    assert_eq!(
        (module.version(), module.is_loaded(), module.hash()),
        (1, false, None)
    );
    assert!(matches!(unsafe { module.reload() }, Err(Error::NotLoaded { .. })));
    assert!(matches!(
        module.retire(Duration::ZERO),
        Err(Error::NotLoaded { .. })
    ));
    assert!(matches!(unsafe { module.unload() }, Err(Error::NotLoaded { .. })));
}

#[test]
fn a_deadline_ends_the_wait_and_the_call_continues() {
    let workshop = Workshop::new();
    let module = unsafe { Module::load(workshop.answering("libm6.so", 1), Flags::NOW) }.unwrap();
    let call = module.enter().unwrap();
    let second = module.enter().unwrap();
    let start = Instant::now();
    let retired = module.retire(Duration::from_millis(50)).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(retired.in_flight, 2);
    drop(second);
    assert_eq!(answer(&call), 1);
    let mapped = call.mapped_path().to_owned();
    assert_eq!(mapped, retired.still_mapped);
    drop(call);
    assert!(is_mapped(&mapped));
    assert!(
        dynload_native::detached_images()
            .iter()
            .any(|image| image.mapped == mapped)
    );
}

#[test]
fn unloading_unmaps_immediately_or_with_the_last_call() {
    let workshop = Workshop::new();
    let path = workshop.answering("libm7.so", 1);
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    let mapped = module.enter().unwrap().mapped_path().to_owned();
    assert!(is_mapped(&mapped));
    assert_eq!(unsafe { module.unload() }.unwrap(), Unload::Unmapped);
    assert!(!is_mapped(&mapped));
    assert!(!mapped.exists());

    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    let call = module.enter().unwrap();
    assert_eq!(unsafe { module.unload() }.unwrap(), Unload::Pending);
    assert_eq!(answer(&call), 1);
    let mapped = call.mapped_path().to_owned();
    drop(call);
    assert!(!is_mapped(&mapped));
}

#[test]
fn a_library_that_cannot_be_unloaded_is_reported() {
    let workshop = Workshop::new();
    let path = workshop.c("libm8.so", "int answer(void) { return 1; }", &["-Wl,-z,nodelete"]);
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    let mapped = module.enter().unwrap().mapped_path().to_owned();
    assert_eq!(unsafe { module.unload() }.unwrap(), Unload::StillMapped);
    assert!(is_mapped(&mapped));
    assert!(
        dynload_native::detached_images()
            .iter()
            .any(|image| image.mapped == mapped)
    );
}

#[test]
fn a_plugin_that_requests_its_own_reload_while_it_starts_gets_an_error() {
    static MODULE: std::sync::OnceLock<Module> = std::sync::OnceLock::new();
    static SEEN: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    extern "C" fn reload_me() -> i32 {
        let Some(module) = MODULE.get() else { return 0 };
        let outcome = unsafe { module.reload() }.map_err(|error| error.to_string());
        SEEN.lock().unwrap().push(format!("{outcome:?}"));
        0
    }
    let workshop = Workshop::new();
    // The host passes its function through a library that the plugin is linked to.
    let slot = workshop.c("libslot.so", "int (*slot)(void);", &["-Wl,-soname,libslot.so"]);
    let shared = unsafe { Library::open(&slot, Flags::NOW | Flags::GLOBAL) }.unwrap();
    let pointer = unsafe { shared.symbol::<*mut extern "C" fn() -> i32>("slot") }.unwrap();
    unsafe { **pointer = reload_me };
    let source = r#"
        #include "dynload_plugin.h"
        extern int (*slot)(void);
        static int32_t start(const struct dynload_host *host) { (void)host; return slot(); }
        int answer(void) { return 1; }
        DYNLOAD_PLUGIN("selfish", "1", start, NULL);
    "#;
    let path = workshop.c("libselfish.so", source, &["-L.", "-lslot", "-Wl,-rpath,$ORIGIN"]);
    MODULE
        .set(unsafe { Module::load(&path, Flags::NOW) }.unwrap())
        .unwrap();
    assert_eq!(unsafe { MODULE.get().unwrap().reload() }.unwrap(), 2);
    let seen = SEEN.lock().unwrap();
    assert!(
        seen.len() == 1 && seen[0].contains("requested its own reload"),
        "{seen:?}"
    );
}

#[test]
fn a_relative_path_is_made_absolute() {
    let workshop = Workshop::new();
    workshop.answering("libm11.so", 1);
    let relative = std::path::absolute(workshop.path("libm11.so")).unwrap();
    let up: std::path::PathBuf = std::env::current_dir()
        .unwrap()
        .components()
        .skip(1)
        .map(|_| "..")
        .collect();
    let relative = up.join(relative.strip_prefix("/").unwrap());
    let module = unsafe { Module::load(&relative, Flags::NOW) }.unwrap();
    assert!(module.path().is_absolute());
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
}

#[test]
fn a_reload_loads_a_file_that_was_renamed_over_the_old_one() {
    let workshop = Workshop::new();
    let (path, next) = (
        workshop.answering("libm12.so", 1),
        workshop.answering("libm13.so", 2),
    );
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    rename_over(&next, &path);
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
    assert_eq!(answer(&module.enter().unwrap()), 2);
}
