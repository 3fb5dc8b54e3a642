//! Files that are not libraries, or are incomplete ones.

use std::path::{Path, PathBuf};

use dynload_native::inspect::{Format, HeaderError, inspect, inspect_bytes};
use dynload_native::{Error, Flags, Library, is_plugin_library};

use crate::build::Workshop;
use crate::child;

#[track_caller]
fn header_error(path: &Path) -> HeaderError {
    match unsafe { Library::open(path, Flags::NOW) } {
        Err(Error::Header { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_of_wrong_file_has_its_own_error() {
    let workshop = Workshop::new();
    assert!(matches!(
        header_error(&workshop.write("empty.so", "")),
        HeaderError::Empty
    ));
    assert!(matches!(
        header_error(&workshop.path("none.so")),
        HeaderError::Read(_)
    ));
    std::fs::create_dir(workshop.path("directory.so")).unwrap();
    let directory = header_error(&workshop.path("directory.so"));
    assert!(
        matches!(
            directory,
            HeaderError::NotAFile {
                kind: "a directory",
                ..
            }
        ),
        "{directory:?}"
    );
    assert!(matches!(
        header_error(Path::new("/dev/null")),
        HeaderError::NotAFile { kind: "a device", .. }
    ));
    for (content, found) in [
        ("#!/bin/sh\nexit 0\n".as_bytes(), "a script"),
        (b"/* GNU ld script */ GROUP ( libc.so.6 )", "a text file"),
        (b"!<arch>\n", "a static library"),
        (b"\0asm\x01\0\0\0", "a WebAssembly module"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "a Java class"),
        (&[0; 100], "a file of zeros, perhaps not written yet"),
        (b"\x01\x02\x03\x04", "data of an unknown format"),
        ("§".as_bytes(), "a text file"),
    ] {
        let error = header_error(&workshop.write("wrong.so", content));
        assert!(
            matches!(error, HeaderError::NotALibrary { found: f, .. } if f == found),
            "{found}: {error:?}"
        );
    }
    for (content, format) in [
        (b"MZ\x90\0".as_slice(), Format::Pe),
        (b"\xcf\xfa\xed\xfe", Format::MachO),
    ] {
        let error = header_error(&workshop.write("foreign.so", content));
        assert!(
            matches!(error, HeaderError::WrongFormat { found, .. } if found == format),
            "{error:?}"
        );
    }
}

#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let workshop = Workshop::new();
    let pipe = workshop.path("pipe.so");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert!(matches!(
        header_error(&pipe),
        HeaderError::NotAFile { kind: "a pipe", .. }
    ));
    let staged = dynload_native::Options::new().stage(&pipe).unwrap_err();
    assert_eq!(staged.step(), dynload_native::Step::Stage);
}

#[test]
fn errors_name_other_machines_and_file_kinds() {
    let workshop = Workshop::new();
    let library = std::fs::read(workshop.answering("liba.so", 1)).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut library = library.clone();
        library[at..at + bytes.len()].copy_from_slice(bytes);
        inspect_bytes(&library).unwrap_err()
    };
    let half = |at: usize, value: u16| with(at, &value.to_ne_bytes());
    // SPARC is none of the machines for which the tests are built.
    assert!(matches!(half(18, 43), HeaderError::WrongArchitecture { found, .. } if found == "sparc64"));
    assert!(
        matches!(half(18, 32_767), HeaderError::WrongArchitecture { found, .. } if found.contains("32767"))
    );
    let (other_class, other) = if usize::BITS == 64 { (1, 32) } else { (2, 64) };
    match with(4, &[other_class]) {
        HeaderError::WrongWordSize { found, expected, .. } => {
            assert_eq!((found, expected), (other, usize::BITS));
        }
        error => panic!("{error:?}"),
    }
    let other_order = if cfg!(target_endian = "little") { 2 } else { 1 };
    assert!(matches!(with(5, &[other_order]), HeaderError::WrongByteOrder));
    assert!(matches!(
        half(16, 1),
        HeaderError::NotALibrary {
            found: "an object file",
            ..
        }
    ));
    assert!(matches!(
        half(16, 2),
        HeaderError::NotALibrary {
            found: "an executable program",
            ..
        }
    ));
    assert!(matches!(
        half(16, 4),
        HeaderError::NotALibrary {
            found: "a core dump",
            ..
        }
    ));
    // A position-independent executable has the ELF type of a library.
    let program = header_error(&std::env::current_exe().unwrap());
    assert!(
        matches!(
            program,
            HeaderError::NotALibrary {
                found: "an executable program",
                ..
            }
        ),
        "{program:?}"
    );
    let object = workshop.write("a.c", "int a;");
    let out = workshop.path("a.o");
    let built = std::process::Command::new("cc")
        .arg("-c")
        .arg(object)
        .arg("-o")
        .arg(&out)
        .status()
        .unwrap();
    assert!(built.success());
    assert!(matches!(
        header_error(&out),
        HeaderError::NotALibrary {
            found: "an object file",
            ..
        }
    ));
}

#[test]
fn headers_contain_names_and_dependencies() {
    let workshop = Workshop::new();
    workshop.c(
        "libdep.so",
        "int dep(void) { return 1; }",
        &["-Wl,-soname,libdep.so.3"],
    );
    let source = "int dep(void); int answer(void) { return dep(); }";
    let arguments = [
        "-L.",
        "-ldep",
        "-Wl,-soname,libself.so.1",
        "-Wl,-rpath,$ORIGIN:/opt/x",
    ];
    let info = inspect(workshop.c("libself.so", source, &arguments)).unwrap();
    assert_eq!(info.format, Format::Elf);
    assert_eq!(info.architecture, std::env::consts::ARCH);
    assert_eq!(info.name.as_deref(), Some("libself.so.1"));
    assert!(
        info.needed.iter().any(|needed| needed == "libdep.so.3"),
        "{info:?}"
    );
    assert_eq!(info.run_paths, ["$ORIGIN", "/opt/x"]);
}

#[test]
fn plugin_libraries_are_recognized_by_name_and_header() {
    let workshop = Workshop::new();
    let library = workshop.answering("liba.so", 1);
    let versioned = workshop.path("liba.so.1.2");
    std::fs::copy(&library, &versioned).unwrap();
    let misnamed = workshop.path("liba.txt");
    std::fs::copy(&library, &misnamed).unwrap();
    assert!(is_plugin_library(&library));
    assert!(is_plugin_library(&versioned));
    assert!(!is_plugin_library(misnamed));
    assert!(!is_plugin_library(workshop.write("libb.so", "text")));
    assert!(is_plugin_library(workshop.path("missing.so")));
    std::os::unix::fs::symlink("nowhere", workshop.path("link.so")).unwrap();
    assert!(!is_plugin_library(workshop.path("link.so")));
    assert!(!is_plugin_library(""));
    assert!(!is_plugin_library("/"));
}

/// The size in bytes of the largest third-party library that the default run inspects; inspecting all of them takes
/// minutes.
fn largest() -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        u64::MAX
    } else {
        1 << 20
    }
}

/// No library of this system is reported as damaged, whatever linker created it.
#[test]
fn every_library_of_the_system_is_accepted() {
    let mut inspected = 0;
    for directory in [
        "/lib",
        "/usr/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        // Debian's libraries for cross compilers.
        "/usr/aarch64-linux-gnu/lib",
        "/usr/i686-linux-gnu/lib",
        "/usr/s390x-linux-gnu/lib",
    ] {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_library = name.ends_with(".so") || name.contains(".so.");
            if !is_library
                || !path
                    .metadata()
                    .is_ok_and(|file| file.is_file() && file.len() <= largest())
            {
                continue;
            }
            match inspect(&path) {
                Ok(_) => inspected += 1,
                // Linker scripts, and libraries for other machines.
                Err(HeaderError::NotALibrary {
                    found: "a text file", ..
                }) => {}
                Err(error) if is_for_another_machine(&error) => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    assert!(inspected > 20, "only {inspected} libraries were found");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: if std::env::var_os("DYNLOAD_PROVE").is_some() { 200_000 } else { 2_000 },
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..Default::default()
    })]

    /// Any bytes after any magic number are refused without a panic.
    #[test]
    fn any_bytes_are_refused(
        magic in proptest::sample::select(vec![
            b"\x7fELF\x02\x01\x01".as_slice(), b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!", b"",
        ]),
        rest in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
    ) {
        let bytes = [magic, &rest].concat();
        proptest::prop_assert!(inspect_bytes(&bytes).is_err());
    }

    /// Several changes at the same time to a real library cause no panic.
    #[test]
    fn a_library_with_many_changes_causes_no_panic(
        changes in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u64::ANY, 1..9usize), 1..12),
    ) {
        static LIBRARY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let library = LIBRARY.get_or_init(|| std::fs::read(Workshop::new().answering("liba.so", 1)).unwrap());
        let mut library = library.clone();
        for (at, value, size) in changes {
            let at = at % (library.len() - 8);
            library[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        // Either result is right; the test is that the call returns.
        let _ = inspect_bytes(&library);
    }
}

/// The shared libraries of the Rust toolchain: its standard library, and the compiler itself.
fn toolchain_libraries() -> Vec<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc)
        .args(["--print", "sysroot", "--print", "target-libdir"])
        .output()
        .unwrap();
    // The second line is the directory for this machine; there may be others for other targets.
    let text = String::from_utf8(output.stdout).unwrap();
    let (sysroot, own) = text.trim().split_once('\n').unwrap();
    let library = Path::new(sysroot).join("lib");
    let entries = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut found = entries(&library);
    found.extend(entries(Path::new(own)));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "so"));
    found
}

fn is_for_another_machine(error: &HeaderError) -> bool {
    matches!(
        error,
        HeaderError::WrongWordSize { .. }
            | HeaderError::WrongArchitecture { .. }
            | HeaderError::WrongByteOrder
    )
}

#[test]
fn large_libraries_of_another_linker_are_accepted() {
    let mut inspected = 0;
    for path in toolchain_libraries() {
        if path.metadata().unwrap().len() > largest() * 16 {
            continue;
        }
        match inspect(&path) {
            Ok(_) => inspected += 1,
            Err(HeaderError::NotALibrary {
                found: "a text file", ..
            }) => {}
            Err(error) if is_for_another_machine(&error) => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    assert!(inspected > 0, "the standard library was not found");
}

/// At every length from 0 to the whole, the file is refused or loads, and the process survives.
#[test]
fn a_library_of_every_length_is_refused_or_loads() {
    let test = "inspect::a_library_of_every_length_is_refused_or_loads";
    let Some(library) = child::argument() else {
        let workshop = Workshop::new();
        let source = "int value = 3; const char *name = \"n\"; int answer(void) { return value; }";
        let library = workshop.c("libsmall.so", source, &["-nostdlib", "-Wl,-z,norelro", "-s"]);
        child::succeeds(&mut child::command(test, library));
        return;
    };
    let whole = std::fs::read(&library).unwrap();
    let part = library.with_file_name("libpart.so");
    let mut refused = 0;
    for length in 0..=whole.len() {
        // A new name each time: the loader remembers the names that it has loaded.
        let path = part.with_extension(format!("{length}.so"));
        std::fs::write(&path, &whole[..length]).unwrap();
        match unsafe { Library::open(&path, Flags::NOW) } {
            Ok(library) => {
                let answer = unsafe { library.symbol::<extern "C" fn() -> i32>("answer") }.unwrap();
                assert_eq!(answer(), 3);
            }
            Err(Error::Header { source, .. }) => {
                assert!(length < whole.len(), "the whole library was refused: {source}");
                refused += 1;
            }
            Err(other) => panic!("{length}: {other:?}"),
        }
        // The result for the bytes is the same as for the file.
        assert_eq!(inspect_bytes(&whole[..length]).is_ok(), inspect(&path).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
    // A linker puts the section headers at the end, so only the whole file is complete.
    assert_eq!(refused, whole.len());
}

/// Some linkers, LLD 14 among them, let `PT_GNU_RELRO` end with the page, and the segment that contains it end earlier.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_relro_segment_may_end_with_the_page() {
    let workshop = Workshop::new();
    let path = workshop.answering("rounded.so", 41);
    let mut bytes = std::fs::read(&path).unwrap();
    let word = |bytes: &[u8], at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    let table = word(&bytes, 32) as usize;
    let count = u16::from_ne_bytes([bytes[56], bytes[57]]) as usize;
    let header = |bytes: &[u8], kind: u32| {
        let mut headers = (0..count).map(|n| table + n * 56);
        headers
            .find(|at| bytes[*at..*at + 4] == kind.to_ne_bytes())
            .unwrap()
    };
    const RELRO: u32 = 0x6474_e552;
    let at = header(&bytes, RELRO);
    let (address, size) = (word(&bytes, at + 16), word(&bytes, at + 40));
    // First up to the end of the last segment's page, then one byte further.
    let end = (0..count)
        .map(|n| table + n * 56)
        .filter(|at| bytes[*at..*at + 4] == 1_u32.to_ne_bytes())
        .map(|at| word(&bytes, at + 16) + word(&bytes, at + 40))
        .max()
        .unwrap();
    let page_end = end.next_multiple_of(4096);
    assert!(address + size < page_end);
    bytes[at + 40..at + 48].copy_from_slice(&(page_end - address).to_ne_bytes());
    assert!(inspect_bytes(&bytes).is_ok());
    bytes[at + 40..at + 48].copy_from_slice(&(page_end + 1 - address).to_ne_bytes());
    assert!(matches!(
        inspect_bytes(&bytes),
        Err(HeaderError::Malformed { .. })
    ));
}

/// glibc calls constructors whose addresses come from relocations, and does not notice that the table is missing.
#[cfg(target_pointer_width = "64")]
#[test]
fn relocations_without_their_table_are_refused() {
    let workshop = Workshop::new();
    // It has constructors: those that the compiler adds to every library.
    let path = workshop.answering("plain.so", 41);
    let mut bytes = std::fs::read(&path).unwrap();
    const RELA: u64 = 7;
    const RELA_SIZE: u64 = 8;
    let words = |pair: &[u8]| u64::from_ne_bytes(pair.try_into().unwrap());
    let mut entries = (0..bytes.len() - 32).step_by(8);
    let tag = entries
        .find(|at| words(&bytes[*at..*at + 8]) == RELA && words(&bytes[*at + 16..*at + 24]) == RELA_SIZE)
        .expect("the table and its size are adjacent entries");
    bytes[tag..tag + 8].copy_from_slice(&(RELA ^ 0x80).to_ne_bytes());
    assert!(matches!(
        inspect_bytes(&bytes),
        Err(HeaderError::Malformed { .. })
    ));
}
