//! The page `docs/plugins.md` shows the code and the commands that the tests build.

use std::fs;

use super::build::{ASSEMBLY_SCRIPT, C, Toolchain, arguments, root};
use dynload_caps::imports::{self, ImportNeeds, VAIS};

fn page() -> String {
    fs::read_to_string(root().join("docs/plugins.md")).unwrap()
}

/// Returns the blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let blocks = page.split(&*start).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn its_code_is_that_of_the_sources() {
    let page = page();
    for (toolchain, language, count) in [
        (C, "c", 2),
        (Toolchain::Rust, "rust", 1),
        (Toolchain::Wat, "wat", 1),
        (Toolchain::Zig, "zig", 2),
        (ASSEMBLY_SCRIPT, "ts", 2),
    ] {
        let file = format!("docs/plugins/text.{}", toolchain.extension());
        let mut source = fs::read_to_string(root().join(file)).unwrap();
        if language == "c" {
            // The native plugin, which the tests of `dynload-native` build.
            source += &fs::read_to_string(root().join("docs/plugins/native.c")).unwrap();
        }
        let blocks = blocks(&page, language);
        let found = blocks.iter().filter(|block| source.contains(**block)).count();
        assert_eq!(found, count, "{language}: {blocks:#?}");
        // One block is the host's.
        assert_eq!(blocks.len(), count + usize::from(language == "rust"));
    }
}

#[test]
fn its_commands_are_those_of_the_tests() {
    let page = page();
    let commands: Vec<&str> = blocks(&page, "sh")
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    for (toolchain, start) in [
        (C, "clang --target=wasm32 "),
        (Toolchain::WasiLibc, "clang --target=wasm32-wasi "),
        (Toolchain::Zig, "zig "),
        (ASSEMBLY_SCRIPT, "asc "),
    ] {
        let command = commands
            .iter()
            .find(|command| command.starts_with(start))
            .unwrap();
        let tested = arguments(toolchain);
        for word in command.split(' ').skip(1).filter(|word| !word.contains("text.")) {
            assert!(
                tested.iter().any(|tested| tested == word),
                "{word} is not in {tested:?}"
            );
        }
    }
}

#[test]
fn its_table_has_every_import() {
    let page = page();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for import in imports::all().filter(|import| import.module == VAIS) {
        let needs = match import.needs {
            ImportNeeds::Nothing => String::new(),
            needs => format!("{} ", needs.capabilities()),
        };
        let name = format!("`{}`", import.name);
        let end = format!("| `{}` | {needs}|", import.signature);
        assert!(
            rows.iter().any(|row| row.contains(&name) && row.ends_with(&end)),
            "{name} {end}"
        );
    }
}
