//! A library with one changed value is refused or loads, and the process survives.
//!
//! Code is not changed: headers do not tell what a library's own code does. Neither is the type of a symbol when the
//! change would turn a function into one that the loader calls (`STT_GNU_IFUNC`): it is code, but not a resolver.

use std::path::Path;

use dynload_native::{Error, Flags, Library, Unload};

use crate::build::Workshop;
use crate::child;

const SOURCE: &str = r#"
#include <stdlib.h>
#include <math.h>
extern __thread int counter;
__thread int counter = 3;
int value = 3;
static int *pointers[] = { &value, &value, 0 };
const char *names[] = { "one", "two", "three" };
int answer(void) { return *pointers[0] + counter + (int)sizeof(names); }
double question(double x) { char *p = malloc(10); free(p); return cos(x) + abs(3); }
__attribute__((weak)) int weak(void) { return 1; }
int ask(void) { return weak(); }
static int (*resolve(void))(void) { return answer; }
int chosen(void) __attribute__((ifunc("resolve")));
"#;

/// One changed value: `bytes` at `at`.
struct Change {
    at: usize,
    bytes: Vec<u8>,
}

/// Returns every change to this library, or a part of them that is the same in each run.
fn changes(library: &[u8]) -> Vec<Change> {
    let all = std::env::var_os("DYNLOAD_PROVE").is_some();
    let symbol_types = symbol_types(library);
    let mut changes = Vec::new();
    for at in 0..library.len() {
        let around = &library[at.saturating_sub(8)..(at + 8).min(library.len())];
        // Skip code, and the padding between sections, which is large.
        if is_code(library, at) || (!all && around.iter().all(|&byte| byte == 0)) {
            continue;
        }
        let flips: &[u8] = if all {
            &[1, 2, 4, 8, 16, 32, 64, 128, 255]
        } else {
            &[[1, 8, 128, 255][at % 4]]
        };
        let flipped = flips.iter().map(|flip| library[at] ^ flip);
        let flipped = flipped.filter(|byte| byte & 0xf != STT_GNU_IFUNC || !symbol_types.contains(&at));
        changes.extend(flipped.map(|byte| Change {
            at,
            bytes: vec![byte],
        }));
        if at % 8 == 0 && at + 8 <= library.len() {
            let words: &[u64] = &[0, u64::MAX, 1 << 63, 0x7fff_ffff, 0xffff_ffff, 8, 0x1000];
            let chosen = if all { words } else { &words[at / 8 % 7..][..1] };
            changes.extend(chosen.iter().map(|word| Change {
                at,
                bytes: word.to_le_bytes().to_vec(),
            }));
        }
    }
    changes
}

const STT_GNU_IFUNC: u8 = 10;

/// Returns the offsets of the types of the dynamic symbols, from the section headers of the unchanged library.
fn symbol_types(library: &[u8]) -> Vec<usize> {
    const SHT_DYNSYM: u32 = 11;
    let word = |at: usize| u64::from_le_bytes(library[at..at + 8].try_into().unwrap()) as usize;
    let kind = |at: usize| u32::from_le_bytes(library[at..at + 4].try_into().unwrap());
    let mut sections = (0..usize::from(library[60])).map(|n| word(40) + n * 64);
    let section = sections.find(|&section| kind(section + 4) == SHT_DYNSYM).unwrap();
    let (start, size) = (word(section + 24), word(section + 32));
    (0..size / 24).map(|n| start + n * 24 + 4).collect()
}

/// Returns whether a byte is in an executable segment, from the program headers of the unchanged library.
fn is_code(library: &[u8], at: usize) -> bool {
    let word = |at: usize| u64::from_le_bytes(library[at..at + 8].try_into().unwrap()) as usize;
    let (table, count) = (word(32), usize::from(library[56]));
    (0..count).map(|n| table + n * 56).any(|header| {
        let executed = library[header] == 1 && library[header + 4] & 1 != 0;
        executed && (word(header + 8)..word(header + 8) + word(header + 32)).contains(&at)
    })
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn a_damaged_library_is_refused_or_loads() {
    let test = "damage::a_damaged_library_is_refused_or_loads";
    if let Some(library) = child::argument() {
        return try_changes(&library);
    }
    let workshop = Workshop::new();
    let script = workshop.write(
        "versions",
        "ONE { global: answer; value; }; TWO { global: *; } ONE;",
    );
    let script = format!("-Wl,--version-script={}", script.display());
    let arguments = [
        &*script,
        "-nostartfiles",
        "-Wl,--hash-style=both",
        "-Wl,-z,now",
        "-Wl,-z,relro",
        "-lm",
        "-Wl,-soname,libd.so",
    ];
    let library = workshop.c("libdamaged.so", SOURCE, &arguments);
    let count = changes(&std::fs::read(&library).unwrap()).len();
    assert!(count > 1000, "only {count} changes");
    // After a child dies, the next child continues after the change that killed it.
    let mut deaths = Vec::new();
    loop {
        let output = child::command(test, &library).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let progress = std::fs::read_to_string(library.with_extension("progress")).unwrap();
        if output.status.success() {
            break;
        }
        deaths.push(format!("{progress}: {} {stdout}", output.status));
        assert!(
            deaths.len() < 20,
            "too many of {count} changes kill the process: {deaths:#?}"
        );
    }
    assert!(
        deaths.is_empty(),
        "{} of {count} changes kill the process: {deaths:#?}",
        deaths.len()
    );
}

/// In the child, tries each change that was not tried yet.
fn try_changes(library: &Path) {
    let whole = std::fs::read(library).unwrap();
    let progress = library.with_extension("progress");
    let done = std::fs::read_to_string(&progress).ok();
    let done = done.and_then(|done| done.split(' ').next()?.parse::<usize>().ok());
    let next = done.map_or(0, |done| done + 1);
    let (mut loaded, mut refused, mut by_loader) = (0, 0, 0);
    for (index, change) in changes(&whole).iter().enumerate().skip(next) {
        std::fs::write(&progress, format!("{index} {:#x} {:x?}", change.at, change.bytes)).unwrap();
        let mut damaged = whole.clone();
        damaged[change.at..change.at + change.bytes.len()].copy_from_slice(&change.bytes);
        let path = library.with_extension(format!("{index}.so"));
        std::fs::write(&path, damaged).unwrap();
        match unsafe { Library::open(&path, Flags::NOW) } {
            Ok(library) => {
                loaded += 1;
                // A failing search visits every chain and version.
                assert!(library.address("no_such_symbol").is_err());
                let _ = library.address("answer");
                let outcome = unsafe { library.unload() }.unwrap();
                assert!(
                    matches!(outcome, Unload::Unmapped | Unload::StillMapped),
                    "{outcome:?}"
                );
            }
            Err(Error::Header { .. }) => refused += 1,
            Err(Error::Open { .. }) => by_loader += 1,
            Err(other) => panic!("{other:?}"),
        }
        std::fs::remove_file(&path).unwrap();
    }
    println!("{loaded} loaded, {refused} refused by their headers, {by_loader} by the loader");
}
