//! The links of copies, over time and with unusual names.

use dynload_native::staging::Staging;
use dynload_native::{Flags, Module, Options};

use crate::build::Workshop;
use crate::child;
use crate::module::answer;

/// A library stays in memory when the version that needed it is replaced, and opens another one relative to its own file.
#[test]
fn a_dependency_finds_its_files_after_a_reload() {
    let test = "links::a_dependency_finds_its_files_after_a_reload";
    if let Some(plugin) = child::argument() {
        let module = unsafe { Module::load(&plugin, Flags::NOW) }.unwrap();
        assert_eq!(unsafe { module.reload() }.unwrap(), 2);
        assert_eq!(answer(&module.enter().unwrap()), 5);
        return;
    }
    let opens = "#include <dlfcn.h>
        int opens(void) {
            void *library = dlopen(\"$ORIGIN/libnumber.so\", RTLD_NOW);
            int (*number)(void) = library ? (int (*)(void))dlsym(library, \"number\") : 0;
            return number ? number() : 0;
        }";
    for (directory, run_path) in [
        ("p", "$ORIGIN"),
        ("p/deps", "$ORIGIN/deps"),
        ("lib", "$ORIGIN/../lib"),
    ] {
        let workshop = Workshop::new();
        let number = format!("{directory}/libnumber.so");
        workshop.c(&number, "int number(void) { return 5; }", &[]);
        workshop.c(
            &format!("{directory}/libopens.so"),
            opens,
            &["-Wl,-soname,libopens.so"],
        );
        let (search, run_path) = (format!("-L{directory}"), format!("-Wl,-rpath,{run_path}"));
        let source = "int opens(void); int answer(void) { return opens(); }";
        let plugin = workshop.c("p/libp.so", source, &[&search, "-lopens", &run_path]);
        child::succeeds(&mut child::command(test, plugin));
    }
}

#[test]
fn a_copy_finds_directories_named_like_those_of_this_crate() {
    for name in [".dynload-deps", ".dynload-1", ".dynload-2", ".dynload-3"] {
        let workshop = Workshop::new();
        let source = "int x(void) { return 4; }";
        // Without a soname, so that each is another library for the loader.
        workshop.c(&format!("p/{name}/libx{name}.so"), source, &[]);
        let (search, run_path) = (format!("-Lp/{name}"), format!("-Wl,-rpath,$ORIGIN/{name}"));
        let needed = format!("-lx{name}");
        let source = "int x(void); int answer(void) { return x(); }";
        let plugin = workshop.c("p/libp.so", source, &[&search, &needed, &run_path]);
        let module = unsafe { Module::load(&plugin, Flags::NOW) }.unwrap();
        assert_eq!(answer(&module.enter().unwrap()), 4);
    }
}

/// Both continue to number the copies where the `fork` was.
#[test]
fn a_parent_and_its_child_stage_in_the_same_directory() {
    let test = "links::a_parent_and_its_child_stage_in_the_same_directory";
    let Some(directory) = child::argument() else {
        let workshop = Workshop::new();
        workshop.answering("libplain.so", 1);
        // Looks above its directory.
        let source = "#define _GNU_SOURCE
            #include <dlfcn.h>
            int x(void);
            int answer(void) { Dl_info info; return dladdr((void *)answer, &info) ? x() : 0; }";
        workshop.c("libx.so", "int x(void) { return 1; }", &[]);
        workshop.c("libabove.so", source, &["-L.", "-lx", "-Wl,-rpath,$ORIGIN"]);
        child::succeeds(&mut child::command(test, workshop.path("")));
        return;
    };
    let options = Options::new().with_staging(Staging::in_directory(&directory).unwrap());
    let modules = ["libplain.so", "libabove.so"]
        .map(|name| unsafe { options.clone().load(directory.join(name)) }.unwrap());
    let reload = || {
        modules
            .iter()
            .all(|module| unsafe { module.reload() }.is_ok() && answer(&module.enter().unwrap()) == 1)
    };
    let (mut reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the child uses nothing that another thread of this test may have locked.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let good = reload();
        if std::io::Write::write_all(&mut &writer, &[good.into()]).is_err() {
            std::process::exit(1);
        }
        // Its copies stay where they are until it is killed.
        loop {
            // SAFETY: it only waits for a signal.
            unsafe { libc::pause() };
        }
    }
    drop(writer);
    let mut good = [0];
    std::io::Read::read_exact(&mut reader, &mut good).unwrap();
    let parent = reload();
    // SAFETY: this is the number of a child that has not been waited for.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!((parent, good), (true, [1]));
}
