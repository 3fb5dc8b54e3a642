//! The header matches the source, and compiles without warnings wherever it may be included.

use std::fs;

use dynload_tests::artifacts::root;
use dynload_tests::header;
use dynload_tests::host::expect_success;

#[test]
fn the_header_is_current() {
    let path = root().join("crates/dynload-ffi/include/dynload.h");
    let wanted = header::generate(&root()).unwrap();
    if std::env::var_os("DYNLOAD_WRITE_HEADER").is_some() {
        // Replaced atomically: other tests read it at the same time.
        let new = path.with_extension("h.new");
        fs::write(&new, &wanted).unwrap();
        fs::rename(&new, &path).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "`{}` is out of date: run `cargo xtask header`",
        path.display()
    );
}

#[test]
fn it_compiles_without_warnings_alone_twice_and_with_system_headers() {
    let dir = tempfile::tempdir().unwrap();
    let orders = [
        "#include <dynload.h>\n#include <dynload.h>\n",
        "#include <dlfcn.h>\n#include <stdlib.h>\n#include <dynload.h>\n",
        "#include <dynload.h>\n#include <dlfcn.h>\n#include <stdlib.h>\n#include <stdio.h>\n",
        "#define DYNLOAD_ONLY_PRIMITIVES\n#include <dynload.h>\nint64_t sandbox_new(void);\n",
    ];
    let languages = [
        ("cc", vec!["-std=c99", "-x", "c"]),
        ("cc", vec!["-std=c11", "-x", "c"]),
        (
            "c++",
            vec![
                "-std=c++98",
                "-Wno-long-long",
                "-Wno-variadic-macros",
                "-x",
                "c++",
            ],
        ),
        ("c++", vec!["-std=c++20", "-x", "c++"]),
        ("clang", vec!["-std=c99", "-x", "c"]),
    ];
    for (n, includes) in orders.iter().enumerate() {
        let source = dir.path().join(format!("{n}.txt"));
        fs::write(
            &source,
            format!("{includes}int use(void);\nint use(void) {{ return (int)CAP_GPU + RTLD_NOW; }}\n"),
        )
        .unwrap();
        for (compiler, flags) in &languages {
            let mut command = std::process::Command::new(compiler);
            command
                .args(["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"])
                .args(flags);
            command
                .arg("-I")
                .arg(root().join("crates/dynload-ffi/include"))
                .arg(&source);
            expect_success(&mut command);
        }
    }
}
