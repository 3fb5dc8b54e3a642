//! Which crates of the workspace each crate may depend on: dependencies run in one direction only.

use crate::cargo::{PUBLISHED, cargo, output};
use crate::failure::Failure;

/// Each crate, and the other crates that it may depend on. `ARCHITECTURE.md` says why.
const MAY_USE: &[(&str, &[&str])] = &[
    ("dynload-guest", &[]),
    ("dynload-diagnostics", &[]),
    ("dynload-caps", &["dynload-diagnostics"]),
    ("dynload-native", &["dynload-diagnostics"]),
    ("dynload-process", &[]),
    (
        "dynload-sandbox",
        &["dynload-diagnostics", "dynload-caps", "dynload-process"],
    ),
    (
        "dynload-gpu",
        &[
            "dynload-diagnostics",
            "dynload-caps",
            "dynload-process",
            "dynload-sandbox",
        ],
    ),
    ("dynload-discovery", &["dynload-diagnostics", "dynload-caps"]),
    (
        "dynload-hotreload",
        &["dynload-diagnostics", "dynload-native", "dynload-process"],
    ),
    (
        "dynload-plugins",
        &[
            "dynload-diagnostics",
            "dynload-caps",
            "dynload-native",
            "dynload-sandbox",
            "dynload-discovery",
            "dynload-hotreload",
        ],
    ),
    (
        "dynload-ffi",
        &[
            "dynload-diagnostics",
            "dynload-caps",
            "dynload-native",
            "dynload-sandbox",
            "dynload-discovery",
            "dynload-hotreload",
            "dynload-plugins",
            "dynload-gpu",
        ],
    ),
    (
        "dynload-cli",
        &[
            "dynload-diagnostics",
            "dynload-caps",
            "dynload-native",
            "dynload-sandbox",
            "dynload-discovery",
            "dynload-hotreload",
            "dynload-gpu",
            "dynload-plugins",
        ],
    ),
];

pub(crate) fn check() -> Result<(), Failure> {
    for name in PUBLISHED {
        let Some((_, allowed)) = MAY_USE.iter().find(|(user, _)| user == name) else {
            return Err(Failure::new(format!(
                "`{name}` has no entry in xtask/src/layers.rs"
            )));
        };
        let tree = output(&mut cargo([
            "tree",
            "-p",
            name,
            "--edges",
            "normal,build",
            "--depth",
            "1",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--all-features",
        ]))?;
        let wrong = foreign(&tree, name, allowed);
        if !wrong.is_empty() {
            return Err(Failure::new(format!(
                "`{name}` depends on {}; of the workspace it may depend only on [{}]",
                wrong.join(", "),
                allowed.join(", ")
            )));
        }
    }
    Ok(())
}

/// Returns the crates of the workspace in a tree of depth 1 that are neither `name` nor in `allowed`.
fn foreign<'a>(tree: &'a str, name: &str, allowed: &[&str]) -> Vec<&'a str> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|used| used.starts_with("dynload-") && *used != name && !allowed.contains(used))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_dependency_is_reported() {
        let tree = "dynload-sandbox v0.1.0 (/d)\ndynload-caps v0.1.0 (/c)\nwasmi v2.0.0\n";
        assert!(foreign(tree, "dynload-sandbox", &["dynload-caps"]).is_empty());
        assert_eq!(foreign(tree, "dynload-sandbox", &[]), ["dynload-caps"]);
    }

    #[test]
    fn each_crate_may_depend_only_on_crates_before_it() {
        let order = |name: &str| PUBLISHED.iter().position(|published| *published == name).unwrap();
        for (name, allowed) in MAY_USE {
            assert!(allowed.iter().all(|used| order(used) < order(name)), "{name}");
        }
    }
}
