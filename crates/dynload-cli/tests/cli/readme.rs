//! The examples of the README.

use super::Workplace;

const README: &str = include_str!("../../README.md");

/// Returns the blocks of a language.
fn blocks(language: &str) -> impl Iterator<Item = &str> {
    let start = format!("```{language}\n");
    README
        .split("\n\n")
        .filter_map(move |part| part.strip_prefix(start.as_str())?.strip_suffix("```"))
}

/// Runs the commands about the modules whose source is in the README, and compares what they print.
#[test]
fn the_examples_with_sources_print_what_the_readme_says() {
    let place = Workplace::new();
    for source in blocks("wat") {
        let (name, _) = source.strip_prefix(";; ").unwrap().split_once('\n').unwrap();
        place.write(name, source);
    }
    // The time differs from run to run.
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("time: "));
        lines.map(str::to_owned).collect()
    };
    let mut run = 0;
    for example in blocks("text").flat_map(|block| block.split("$ dynload ")) {
        let Some((command, printed)) = example.split_once('\n') else {
            continue;
        };
        let has_source = ["hello.wat", "greeter.wat", "greeter.prepared", "twice.wat"];
        if !has_source.iter().any(|file| command.contains(file)) {
            continue;
        }
        let ended = place.words(command);
        assert_eq!(lines(&(ended.out + &ended.err)), lines(printed), "{command}");
        run += 1;
    }
    assert_eq!(run, 9);
}
