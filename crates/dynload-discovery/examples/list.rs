//! Lists plugins, what is wrong with them, and what their audits find:
//! `cargo run -p dynload-discovery --example list -- DIR...`. The command `dynload` of `dynload-cli` does this too.

use dynload_discovery::{Scanner, SearchPath};

fn main() {
    let dirs = std::env::args_os().skip(1);
    let scanner = Scanner::new(dirs.fold(SearchPath::standard(), SearchPath::with_dir));
    let found = scanner.scan();
    for problem in &found.problems {
        println!("{problem}");
    }
    for plugin in &found.plugins {
        println!("{} ({}, {})", plugin.id(), plugin.format(), plugin.source());
        match scanner.audit(plugin) {
            Ok(audit) => {
                audit.undeclared.iter().for_each(|one| println!("    {one}"));
                audit.findings.iter().for_each(|one| println!("    {one}"));
                if !audit.unused.is_empty() {
                    println!("    declares {} but never uses it", audit.unused);
                }
            }
            Err(error) => println!("    {error}"),
        }
    }
    for problem in found.resolve_all().problems {
        println!("{problem}");
    }
}
