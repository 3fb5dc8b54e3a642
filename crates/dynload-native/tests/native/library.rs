//! Opening a library and finding symbols in it.

use std::error::Error as _;
use std::ffi::{CStr, c_void};
use std::path::Path;

use dynload_native::{Error, Flags, Library, Module, Symbol};

use crate::build::Workshop;

type Answer = extern "C" fn() -> i32;

fn assert_thread_safe<T: Send + Sync>() {}

#[test]
fn every_type_is_send_and_sync() {
    assert_thread_safe::<Library>();
    assert_thread_safe::<Symbol<Answer>>();
    assert_thread_safe::<dynload_native::Module>();
    assert_thread_safe::<dynload_native::CallGuard>();
    assert_thread_safe::<dynload_native::Generation>();
    assert_thread_safe::<dynload_native::staging::StagedFile>();
    assert_thread_safe::<Error>();
}

#[test]
fn a_symbol_keeps_its_library() {
    let workshop = Workshop::new();
    let path = workshop.c(
        "liba.so",
        "int value = 41; int answer(void) { return value; }",
        &[],
    );
    let (answer, value) = unsafe {
        let library = Library::open(&path, Flags::NOW).unwrap();
        (
            library.symbol::<Answer>("answer").unwrap(),
            library.symbol::<*mut i32>("value").unwrap(),
        )
    };
    assert_eq!(answer(), 41);
    unsafe { **value = 42 };
    assert_eq!(answer(), 42);
    assert_eq!(answer.library().path(), path);
}

#[test]
fn names_may_be_of_any_kind_and_length() {
    let workshop = Workshop::new();
    let long = format!("f{}", "x".repeat(500));
    let source = format!("int answer(void) {{ return 1; }} int {long}(void) {{ return 2; }}");
    let library = unsafe { Library::open(workshop.c("liba.so", &source, &[]), Flags::LAZY) }.unwrap();
    let address = library.address("answer").unwrap();
    assert_eq!(library.address("answer\0").unwrap(), address);
    assert_eq!(library.address(b"answer".as_slice()).unwrap(), address);
    assert_eq!(library.address(c"answer").unwrap(), address);
    assert_eq!(library.address(String::from("answer")).unwrap(), address);
    assert_ne!(library.address(&long).unwrap(), address);
    for wrong in ["answe", "answer2", "", "ans\0wer", "answer\0\0"] {
        let error = library.address(wrong).unwrap_err();
        assert!(matches!(error, Error::Symbol { .. }), "{wrong:?}: {error:?}");
    }
}

#[test]
fn a_missing_symbol_error_has_the_name_and_the_loaders_message() {
    let workshop = Workshop::new();
    let path = workshop.answering("liba.so", 1);
    let library = unsafe { Library::open(&path, Flags::NOW) }.unwrap();
    let error = library.address("question").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` has no symbol `question`", path.display())
    );
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("undefined symbol: question"),
        "{error:?}"
    );
}

#[test]
fn a_symbol_without_an_address_is_an_error() {
    let workshop = Workshop::new();
    let path = workshop.c(
        "liba.so",
        "int answer(void) { return 1; }",
        &["-Wl,--defsym=nothing=0"],
    );
    let library = unsafe { Library::open(&path, Flags::NOW) }.unwrap();
    let error = library.address("nothing").unwrap_err();
    assert!(
        matches!(&error, Error::NullSymbol { name, .. } if name == "nothing"),
        "{error:?}"
    );
}

#[test]
fn the_raw_handle_works_with_dlsym() {
    let workshop = Workshop::new();
    let library = unsafe { Library::open(workshop.answering("liba.so", 1), Flags::NOW) }.unwrap();
    let found: *mut c_void = unsafe { libc_dlsym(library.raw_handle(), c"answer") };
    assert_eq!(found, library.address("answer").unwrap().as_ptr());
}

unsafe fn libc_dlsym(handle: *mut c_void, name: &CStr) -> *mut c_void {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const std::ffi::c_char) -> *mut c_void;
    }
    unsafe { dlsym(handle, name.as_ptr()) }
}

#[test]
fn lazy_binding_resolves_missing_functions_later() {
    let workshop = Workshop::new();
    let source = "int nowhere(void); int answer(void) { return 3; } int ask(void) { return nowhere(); }";
    let path = workshop.c("liba.so", source, &["-Wl,-z,lazy"]);
    let lazy = unsafe { Library::open(&path, Flags::LAZY) }.unwrap();
    assert_eq!(unsafe { lazy.symbol::<Answer>("answer") }.unwrap()(), 3);
    drop(lazy);
    // Another file: the first one is still in memory, and the loader considers it bound already.
    let copy = workshop.path("libb.so");
    std::fs::copy(&path, &copy).unwrap();
    let error = unsafe { Library::open(&copy, Flags::NOW) }.unwrap_err();
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("undefined symbol: nowhere"),
        "{error:?}"
    );
}

#[test]
fn later_libraries_see_global_symbols() {
    let workshop = Workshop::new();
    let local = workshop.c("liblocal.so", "int only_local(void) { return 1; }", &[]);
    let global = workshop.c("libglobal.so", "int only_global(void) { return 7; }", &[]);
    let ask = |name: &str| {
        let source = format!("int {name}(void); int answer(void) {{ return {name}(); }}");
        workshop.c(&format!("libask{name}.so"), &source, &[])
    };
    unsafe {
        let _local = Library::open(local, Flags::NOW).unwrap();
        let _global = Library::open(global, Flags::NOW | Flags::GLOBAL).unwrap();
        assert!(matches!(
            Library::open(ask("only_local"), Flags::NOW),
            Err(Error::Open { .. })
        ));
        let asks = Library::open(ask("only_global"), Flags::NOW).unwrap();
        assert_eq!(asks.symbol::<Answer>("answer").unwrap()(), 7);
        let process = Library::this_process().unwrap();
        assert_eq!(process.symbol::<Answer>("only_global").unwrap()(), 7);
        assert!(process.address("only_local").is_err());
    }
}

#[test]
fn the_process_itself_is_searched_and_never_closed() {
    let process = Library::this_process().unwrap();
    assert!(process.address("malloc").is_ok());
    assert_eq!(
        unsafe { process.unload() }.unwrap(),
        dynload_native::Unload::StillMapped
    );
    assert!(Library::this_process().unwrap().address("malloc").is_ok());
}

#[test]
fn a_name_is_searched_for_and_a_path_is_not() {
    let system = if cfg!(target_os = "linux") {
        "libm.so.6"
    } else {
        "libm.dylib"
    };
    let library = unsafe { Library::open_by_name(system, Flags::NOW) }.unwrap();
    let cosine = unsafe { library.symbol::<extern "C" fn(f64) -> f64>("cos") }.unwrap();
    assert_eq!(cosine(0.0), 1.0);
    // `open` looks only in the current directory.
    let error = unsafe { Library::open(system, Flags::NOW) }.unwrap_err();
    assert!(matches!(error, Error::Header { .. }), "{error:?}");
    for (name, problem) in [("", "empty"), ("a/b.so", "path"), ("a\0b", "NUL")] {
        let error = unsafe { Library::open_by_name(name, Flags::NOW) }.unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    let error = unsafe { Library::open_by_name("libno-such-library.so", Flags::NOW) }.unwrap_err();
    // The library itself is missing, not one that it needs.
    assert!(matches!(&error, Error::Open { missing: None, .. }), "{error:?}");
}

#[test]
fn invalid_paths_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    for path in [Path::new(""), Path::new(std::ffi::OsStr::from_bytes(b"a\0b.so"))] {
        let error = unsafe { Library::open(path, Flags::NOW) }.unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{error:?}");
    }
}

#[test]
fn paths_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let workshop = Workshop::new();
    let path = workshop
        .path("x")
        .with_file_name(std::ffi::OsStr::from_bytes(b"lib\xff\xfe.so"));
    std::fs::copy(workshop.answering("liba.so", 5), &path).unwrap();
    let library = unsafe { Library::open(&path, Flags::NOW) }.unwrap();
    assert_eq!(unsafe { library.symbol::<Answer>("answer") }.unwrap()(), 5);
    let module = unsafe { dynload_native::Module::load(&path, Flags::NOW) }.unwrap();
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
}

#[test]
fn a_missing_dependency_is_named() {
    let workshop = Workshop::new();
    workshop.c(
        "libgone.so",
        "int gone(void) { return 1; }",
        &["-Wl,-soname,libgone.so"],
    );
    let source = "int gone(void); int answer(void) { return gone(); }";
    let path = workshop.c("liba.so", source, &["-L.", "-lgone"]);
    std::fs::remove_file(workshop.path("libgone.so")).unwrap();
    let error = unsafe { Library::open(&path, Flags::NOW) }.unwrap_err();
    assert!(
        matches!(&error, Error::Open { missing: Some(name), .. } if name == "libgone.so"),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("it needs `libgone.so`, which was not found"),
        "{error}"
    );
}

#[test]
fn unloading_waits_for_symbols() {
    let workshop = Workshop::new();
    let path = workshop.answering("libunload.so", 9);
    let library = unsafe { Library::open(&path, Flags::NOW) }.unwrap();
    let answer = unsafe { library.symbol::<Answer>("answer") }.unwrap();
    assert_eq!(
        unsafe { library.unload() }.unwrap(),
        dynload_native::Unload::Pending
    );
    assert_eq!(answer(), 9);
    assert!(is_mapped(&path));
    drop(answer);
    assert!(!is_mapped(&path));
}

#[test]
fn dropping_a_library_detaches_it_without_unmapping() {
    let workshop = Workshop::new();
    let path = workshop.answering("libdetach.so", 9);
    let detached = || {
        dynload_native::detached_images()
            .iter()
            .filter(|image| image.path == path)
            .count()
    };
    let library = unsafe { Library::open(&path, Flags::NOW) }.unwrap();
    let answer = *unsafe { library.symbol::<Answer>("answer") }.unwrap();
    assert_eq!(detached(), 0);
    drop(library);
    assert!(is_mapped(&path));
    assert_eq!((answer(), detached()), (9, 1));
    // Opening it again returns the same image, which then has an owner again.
    let library = unsafe { Library::open(&path, Flags::NOW) }.unwrap();
    assert_eq!(detached(), 0);
    assert_eq!(
        unsafe { library.unload() }.unwrap(),
        dynload_native::Unload::StillMapped
    );
    assert_eq!(detached(), 1);
    assert!(!dynload_native::detached_images().is_empty());
}

/// Returns whether the file is mapped, according to the kernel, not the loader.
#[cfg(target_os = "linux")]
pub(crate) fn is_mapped(path: &Path) -> bool {
    // Other tests map files whose names are not UTF-8.
    String::from_utf8_lossy(&std::fs::read("/proc/self/maps").unwrap()).contains(path.to_str().unwrap())
}

#[test]
fn flags_are_checked() {
    assert_eq!(Flags::from_bits(1), Ok(Flags::LAZY));
    assert_eq!(Flags::from_bits(2), Ok(Flags::NOW));
    assert_eq!(Flags::from_bits(256), Ok(Flags::GLOBAL));
    let error = Error::from(Flags::from_bits(2 | 8 | 4).unwrap_err());
    assert!(error.to_string().contains("0xc"), "{error}");
    assert_eq!(format!("{:?}", Flags::NOW | Flags::GLOBAL), "Flags(NOW | GLOBAL)");
}

/// A symbol of a library that the plugin needs is not the plugin's own, wherever its address is.
#[test]
fn a_symbol_is_found_only_in_the_library_that_defines_it() {
    let workshop = Workshop::new();
    workshop.c(
        "libdep.so",
        "int theirs(void) { return 1; } int their_value = 2; __thread int their_thread = 3;
        extern const char their_constant; __asm__(\".globl their_constant; their_constant = 42\");",
        &["-Wl,-soname,libdep.so"],
    );
    let plugin = workshop.c(
        "libown.so",
        "#include <stdlib.h>
        int theirs(void); int own(void) { return theirs(); }
        char *variable(const char *name) { return getenv(name); }
        int own_value = 4; __thread int own_thread = 5;
        __asm__(\".globl own_constant; own_constant = 43\");
        __asm__(\".globl own_weak; .weak own_weak; .set own_weak, own\");
        static void *choose(void) { return (void *)theirs; }
        int own_chosen(void) __attribute__((ifunc(\"choose\")));",
        &["-L.", "-ldep", "-Wl,-rpath,$ORIGIN"],
    );
    for library in [
        unsafe { Library::open(&plugin, Flags::NOW) }.unwrap(),
        unsafe { Module::load(&plugin, Flags::NOW) }
            .unwrap()
            .library()
            .unwrap()
            .clone(),
    ] {
        for name in [
            "own",
            "own_value",
            "own_thread",
            "own_constant",
            "own_weak",
            "own_chosen",
        ] {
            let address = library.address(name).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(address, library.address_in_scope(name).unwrap(), "{name}");
        }
        for name in [
            "theirs",
            "their_value",
            "their_thread",
            "their_constant",
            "open",
            "strlen",
        ] {
            library.address_in_scope(name).unwrap();
            let error = library.address(name).unwrap_err();
            assert!(matches!(&error, Error::Symbol { .. }), "{name}: {error:?}");
        }
        let theirs = unsafe { library.symbol_in_scope::<Answer>("theirs") }.unwrap();
        assert_eq!(theirs(), 1);
    }
}
