//! Libraries beside a plugin. The oracle is what the platform's loader finds for the plugin in its original directory.

use std::path::{Path, PathBuf};

use dynload_native::inspect::HeaderError;
use dynload_native::{Error, Flags, Library, Module};

use crate::build::Workshop;
use crate::child;
use crate::module::answer;

/// Set in a child: `original` or `copy`, and the flags.
const HOW: &str = "DYNLOAD_NATIVE_HOW";

/// Calls `answer` of a library in a child process: of the original and, in another child, of a copy, before and after a
/// reload.
#[track_caller]
fn answers(plugin: &Path, flags: &str, library_path: Option<PathBuf>) -> [Result<i32, String>; 2] {
    ["original", "copy"].map(|how| {
        let test = "dependencies::a_copy_finds_what_the_loader_finds_for_the_original";
        let mut child = child::command(test, plugin);
        child.env(HOW, format!("{how} {flags}"));
        child.env_remove("LD_LIBRARY_PATH");
        child.envs(library_path.iter().map(|path| ("LD_LIBRARY_PATH", path)));
        let output = child::succeeds(&mut child);
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.split_once("the answer: "));
        let line = line.unwrap_or_else(|| panic!("{text}")).1;
        line.parse().map_err(|_| line.to_owned())
    })
}

fn child(plugin: &Path, how: &str) {
    let flags = if how.ends_with("lazy") {
        Flags::LAZY
    } else {
        Flags::NOW
    };
    let found = if how.starts_with("original") {
        unsafe { Library::open(plugin, flags) }.map(|library| answer(&library))
    } else {
        unsafe { Module::load(plugin, flags) }.map(|module| {
            let first = answer(&module.enter().unwrap());
            assert_eq!(unsafe { module.reload() }.unwrap(), 2);
            assert_eq!(answer(&module.enter().unwrap()), first);
            first
        })
    };
    match found {
        Ok(answer) => println!("the answer: {answer}"),
        Err(error) => println!("the answer: {error:?}"),
    }
}

#[test]
fn a_copy_finds_what_the_loader_finds_for_the_original() {
    if let (Some(plugin), Ok(how)) = (child::argument(), std::env::var(HOW)) {
        return child(&plugin, &how);
    }
    let workshop = Workshop::new();
    let named = |name: &str| format!("-Wl,-soname,{}", name.rsplit('/').next().unwrap());
    // A library with a function that returns a number: `plain` without a soname, `number` with one.
    let plain = |name: &str, function: &str, number: i32| {
        let source = format!("int {function}(void) {{ return {number}; }}");
        workshop.c(name, &source, &[])
    };
    let number = |name: &str, function: &str, number: i32| {
        let source = format!("int {function}(void) {{ return {number}; }}");
        workshop.c(name, &source, &[&named(name)])
    };
    let adding = |name: &str, function: &str, other: &str, arguments: &[&str]| {
        let source = format!("int {other}(void); int {function}(void) {{ return {other}() + 1; }}");
        let soname = named(name);
        let mut all = vec![
            "-L.",
            "-Ldeps",
            "-Llib",
            "-Wl,--disable-new-dtags,--enable-new-dtags",
            &soname,
        ];
        all.extend_from_slice(arguments);
        workshop.c(name, &source, &all)
    };
    let check = |plugin: &Path, flags: &str, library_path: Option<PathBuf>, expected: i32| {
        let found = answers(plugin, flags, library_path);
        assert_eq!(found, [Ok(expected), Ok(expected)], "{}", plugin.display());
    };

    number("deps/libnamed.so", "named", 11);
    let path = adding(
        "a1.so",
        "answer",
        "named",
        &["-lnamed", "-Wl,-rpath,$ORIGIN/deps"],
    );
    check(&path, "now", None, 12);

    plain("deps/libdeeper.so", "deeper", 5);
    workshop.c(
        "deps/libnameless.so",
        "int deeper(void); int nameless(void) { return deeper() + 8; }",
        &["-Ldeps", "-ldeeper", "-Wl,-rpath,$ORIGIN"],
    );
    let arguments = ["-lnameless", "-Wl,-rpath,$ORIGIN/deps", "-Wl,-rpath-link,deps"];
    check(
        &adding("a2.so", "answer", "nameless", &arguments),
        "now",
        None,
        14,
    );

    // A library beside the plugin that needs another one there, but has no run path: the plugin needs both.
    number("libbase.so", "base", 20);
    adding("libmiddle.so", "middle", "base", &["-lbase"]);
    let arguments = ["-Wl,--no-as-needed", "-lbase", "-lmiddle", "-Wl,-rpath,$ORIGIN"];
    check(&adding("a3.so", "answer", "middle", &arguments), "now", None, 22);

    // By DT_RPATH, which also applies to indirect dependencies, and for a library in a subdirectory.
    let old = "-Wl,--disable-new-dtags";
    let arguments = [old, "-lmiddle", "-Wl,-rpath,$ORIGIN", "-Wl,-rpath-link,."];
    check(&adding("a4.so", "answer", "middle", &arguments), "now", None, 22);
    adding("deps/liblower.so", "lower", "base", &["-lbase"]);
    let arguments = [
        old,
        "-llower",
        "-Wl,-rpath,${ORIGIN}/deps:$ORIGIN",
        "-Wl,-rpath-link,.",
    ];
    check(&adding("a5.so", "answer", "lower", &arguments), "now", None, 22);

    // A library that uses a function of the plugin.
    workshop.c(
        "libback.so",
        "int home(void); int back(void) { return home(); }",
        &["-Wl,-soname,libback.so"],
    );
    let path = workshop.c(
        "a6.so",
        "int back(void); int home(void) { return 31; } int answer(void) { return back(); }",
        &["-L.", "-lback", "-Wl,-rpath,$ORIGIN"],
    );
    check(&path, "now", None, 31);

    // A library that refers to an undefined function, but does not call it.
    workshop.c(
        "liblazy.so",
        "int no_such_function(void); int lazy(int call) { return call ? no_such_function() : 41; }",
        &["-Wl,-soname,liblazy.so", "-Wl,-z,lazy"],
    );
    let path = workshop.c(
        "a7.so",
        "int lazy(int); int answer(void) { return lazy(0); }",
        &["-L.", "-llazy", "-Wl,-rpath,$ORIGIN", "-Wl,-z,lazy"],
    );
    check(&path, "lazy", None, 41);
    let [original, copy] = answers(&path, "now", None);
    let name = "no_such_function";
    assert!(
        original.unwrap_err().contains(name) && copy.unwrap_err().contains(name),
        "both have the loader's message"
    );

    // From a directory above.
    number("lib/libabove.so", "above", 50);
    let arguments = ["-labove", "-Wl,-rpath,$ORIGIN/../../lib"];
    let path = adding("plugins/p/a8.so", "answer", "above", &arguments);
    check(&path, "now", None, 51);

    // The first match is used: from another run path, or from `LD_LIBRARY_PATH`.
    number("deps/libtwice.so", "twice", 60);
    number("elsewhere/libtwice.so", "twice", 70);
    let elsewhere = workshop.path("elsewhere");
    let run_path = format!("-Wl,-rpath,{}:$ORIGIN/deps", elsewhere.display());
    check(
        &adding("a9.so", "answer", "twice", &["-ltwice", &run_path]),
        "now",
        None,
        71,
    );
    let path = adding(
        "a10.so",
        "answer",
        "twice",
        &["-ltwice", "-Wl,-rpath,$ORIGIN/deps"],
    );
    check(&path, "now", None, 61);
    check(&path, "now", Some(elsewhere.clone()), 71);
    // But DT_RPATH has priority over `LD_LIBRARY_PATH`.
    let path = adding(
        "a11.so",
        "answer",
        "twice",
        &[old, "-ltwice", "-Wl,-rpath,$ORIGIN/deps"],
    );
    check(&path, "now", Some(elsewhere), 61);
}

/// What a plugin opens itself, at any time, by what ld.so(8) resolves relative to its file.
#[test]
fn what_a_copy_opens_itself_is_what_the_original_opens() {
    let workshop = Workshop::new();
    let number = |name: &str, number: i32| {
        workshop.c(name, &format!("int number(void) {{ return {number}; }}"), &[]);
    };
    for (name, value) in [
        ("p/libh.so", 1),
        ("p/sub/libs.so", 2),
        ("lib/libup.so", 3),
        ("p/lib/x86_64-linux-gnu/libm5.so", 4),
        ("p/lib64/libm5.so", 4),
        ("p/lib/libm5.so", 4),
        ("p/x86_64/libpf.so", 5),
        ("p/haswell/libpf.so", 5),
        ("p/xeon_phi/libpf.so", 5),
    ] {
        number(name, value);
    }
    workshop.write("p/data.txt", "6");
    let opens = "#define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdio.h>
        #include <string.h>
        static int opened(const char *name) {
            void *library = dlopen(name, RTLD_NOW);
            int (*number)(void) = library ? (int (*)(void))dlsym(library, \"number\") : 0;
            return number ? number() : 0;
        }
        static int beside(void) {
            Dl_info info;
            char path[4096];
            if (!dladdr((void *)beside, &info)) return 0;
            strcpy(path, info.dli_fname);
            strcpy(strrchr(path, '/'), \"/data.txt\");
            FILE *file = fopen(path, \"r\");
            int digit = file ? fgetc(file) - '0' : 0;
            if (file) fclose(file);
            return digit;
        }
        int ANSWER(void) {
            return opened(\"libh.so\") + 10 * opened(\"$ORIGIN/sub/libs.so\") + 100 * opened(\"${ORIGIN}/../lib/libup.so\")
                + 1000 * opened(\"$ORIGIN/$LIB/libm5.so\") + 10000 * opened(\"$ORIGIN/$PLATFORM/libpf.so\") + 100000 * beside();
        }";
    let run_path = "-Wl,-rpath,$ORIGIN";
    let check = |plugin: &Path| {
        let [original, copy] = answers(plugin, "now", None);
        assert_eq!(original, Ok(654_321));
        assert_eq!(copy, original);
    };
    check(&workshop.c("p/direct.so", &opens.replace("ANSWER", "answer"), &[run_path]));
    // A library that the plugin needs does the same.
    workshop.c("p/libopens.so", &opens.replace("ANSWER", "opens"), &[run_path]);
    let source = "int opens(void); int answer(void) { return opens(); }";
    let plugin = workshop.c("p/indirect.so", source, &["-Lp", "-lopens", run_path]);
    check(&plugin);
    // Through a symlink, `..` leads to the directory above its target.
    std::os::unix::fs::symlink(workshop.path("p"), workshop.path("link")).unwrap();
    check(&workshop.path("link/direct.so"));
}

/// The loader uses the first image of a name in memory: a version that was reloaded must not be used in silence.
#[test]
fn a_version_that_was_reloaded_is_not_used_for_its_name() {
    let test = "dependencies::a_version_that_was_reloaded_is_not_used_for_its_name";
    let Some(directory) = child::argument() else {
        let workshop = Workshop::new();
        let source = "int state; int add(void) { return ++state; }";
        workshop.c("libshared.so", source, &["-Wl,-soname,libshared.so"]);
        for name in ["first.so", "second.so", "third.so"] {
            let source = "int add(void); int answer(void) { return add(); }";
            workshop.c(name, source, &["-L.", "-lshared", "-Wl,-rpath,$ORIGIN"]);
        }
        child::succeeds(&mut child::command(test, workshop.path("")));
        return;
    };
    let load = |name: &str| unsafe { Module::load(directory.join(name), Flags::NOW) };
    let shared = load("libshared.so").unwrap();
    let first = load("first.so").unwrap();
    let add = unsafe { shared.enter().unwrap().symbol::<extern "C" fn() -> i32>("add") }.unwrap()();
    assert_eq!(
        (add, answer(&first.enter().unwrap())),
        (1, 2),
        "as with dlopen, both use one image"
    );
    assert_eq!(unsafe { shared.reload() }.unwrap(), 2);
    let error = load("second.so").unwrap_err();
    assert!(
        matches!(&error, Error::Outdated { needed, .. } if needed == "libshared.so"),
        "{error:?}"
    );
    // A plugin that is loaded keeps what it has, and so does its next version.
    assert_eq!(answer(&first.enter().unwrap()), 3);
    // After the old version is unmapped, the name leads to the new one.
    drop(first);
    drop(shared);
    let error = load("third.so").unwrap_err();
    assert!(matches!(&error, Error::Outdated { .. }), "{error:?}");
}

/// While a call or a symbol keeps the old version open too.
#[test]
fn a_version_that_was_reloaded_is_not_used_for_its_name_while_it_is_open() {
    let test = "dependencies::a_version_that_was_reloaded_is_not_used_for_its_name_while_it_is_open";
    let Some(directory) = child::argument() else {
        let workshop = Workshop::new();
        let source = "int add(void) { return 1; }";
        workshop.c("libshared.so", source, &["-Wl,-soname,libshared.so"]);
        let source = "int add(void); int answer(void) { return add(); }";
        workshop.c("user.so", source, &["-L.", "-lshared", "-Wl,-rpath,$ORIGIN"]);
        child::succeeds(&mut child::command(test, workshop.path("")));
        return;
    };
    let load = |name: &str| unsafe { Module::load(directory.join(name), Flags::NOW) };
    let shared = load("libshared.so").unwrap();
    let symbol = unsafe { shared.enter().unwrap().symbol::<extern "C" fn() -> i32>("add") }.unwrap();
    assert_eq!(unsafe { shared.reload() }.unwrap(), 2);
    let error = load("user.so").unwrap_err();
    assert!(matches!(error, Error::Outdated { .. }), "{error:?}");
    drop(symbol);
    let call = shared.enter().unwrap();
    shared.retire(std::time::Duration::ZERO).unwrap();
    let error = load("user.so").unwrap_err();
    assert!(matches!(error, Error::Outdated { .. }), "{error:?}");
    drop(call);
}

/// A library that was opened from its own file has no newer version: a plugin may need it after it was closed.
#[test]
fn a_library_that_was_closed_is_used_for_its_name() {
    let test = "dependencies::a_library_that_was_closed_is_used_for_its_name";
    let Some(directory) = child::argument() else {
        let workshop = Workshop::new();
        let source = "int add(void) { return 6; }";
        workshop.c("libshared.so", source, &["-Wl,-soname,libshared.so"]);
        let source = "#include <unistd.h>
            int add(void); int answer(void) { return getpid() > 0 ? add() : 0; }";
        workshop.c("user.so", source, &["-L.", "-lshared", "-Wl,-rpath,$ORIGIN"]);
        child::succeeds(&mut child::command(test, workshop.path("")));
        return;
    };
    drop(unsafe { Library::open_by_name("libc.so.6", Flags::NOW) }.unwrap());
    drop(unsafe { Library::open(directory.join("libshared.so"), Flags::NOW) }.unwrap());
    let module = unsafe { Module::load(directory.join("user.so"), Flags::NOW) }.unwrap();
    assert_eq!(answer(&module.enter().unwrap()), 6);
}

#[test]
fn a_damaged_dependency_does_not_reach_the_loader() {
    let workshop = Workshop::new();
    let beside = workshop.c("deps/libbroken.so", "int broken(void) { return 1; }", &[]);
    let source = "int broken(void); int answer(void) { return broken(); }";
    let path = workshop.c(
        "libm10.so",
        source,
        &["-Ldeps", "-lbroken", "-Wl,-rpath,$ORIGIN/deps"],
    );
    let whole = std::fs::read(&beside).unwrap();
    std::fs::write(&beside, &whole[..5000]).unwrap();
    let error = unsafe { Module::load(&path, Flags::NOW) }.unwrap_err();
    assert!(
        matches!(&error, Error::Header { path, source: HeaderError::Truncated { .. }, .. } if path.ends_with("libbroken.so")),
        "{error:?}"
    );
    std::fs::write(&beside, whole).unwrap();
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    assert_eq!(answer(&module.enter().unwrap()), 1);
}

#[test]
fn unusual_run_paths_and_dependencies_do_no_harm() {
    let workshop = Workshop::new();
    // Libraries that need each other, a missing directory, one too many levels up, and the plugin's own name.
    workshop.c("libone.so", "int one(void) { return 1; }", &[]);
    workshop.c(
        "libtwo.so",
        "int one(void); int two(void) { return one() + 1; }",
        &["-L.", "-lone", "-Wl,-rpath,$ORIGIN"],
    );
    workshop.c(
        "libone.so",
        "int two(void); int one(void) { return 1; } int three(void) { return two() + 1; }",
        &["-L.", "-ltwo", "-Wl,-rpath,$ORIGIN"],
    );
    let far = format!(
        "-Wl,-rpath,$ORIGIN/gone:$ORIGIN/{}:$ORIGIN/./:$ORIGIN/..",
        "../".repeat(40)
    );
    let path = workshop.c(
        "libfour.so",
        "int three(void); int answer(void) { return three() + 1; }",
        &["-L.", "-lone", &far, "-Wl,-rpath-link,."],
    );
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    assert_eq!(answer(&module.enter().unwrap()), 4);
    let copy = module
        .enter()
        .unwrap()
        .generation()
        .library()
        .mapped_path()
        .to_owned();
    assert!(copy.ends_with("libfour.so"), "{}", copy.display());
}
