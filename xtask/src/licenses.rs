//! The licenses of everything that the published crates are built from.

use crate::cargo::{PUBLISHED, cargo, output};
use crate::failure::Failure;

/// Licenses that require no more than a notice.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(crate) fn check() -> Result<(), Failure> {
    let mut arguments = vec![
        "tree",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}\t{l}",
        "--all-features",
        "--no-dedupe",
    ];
    for name in PUBLISHED {
        arguments.extend(["-p", name]);
    }
    let tree = output(&mut cargo(arguments))?;
    let mut refused: Vec<&str> = tree
        .lines()
        .filter(|line| {
            !line.is_empty()
                && !line
                    .split_once('\t')
                    .is_some_and(|(_, terms)| is_permissive(terms))
        })
        .collect();
    refused.sort_unstable();
    refused.dedup();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "these dependencies are not available under the licenses in xtask/src/licenses.rs alone:\n    {}",
        refused.join("\n    ")
    )))
}

/// Returns whether an SPDX expression allows use under the listed licenses alone.
fn is_permissive(expression: &str) -> bool {
    let known = |terms: &str| PERMISSIVE.contains(&terms.trim());
    // `/` is the notation for `OR` from before SPDX. In the expressions that crates use, parentheses enclose alternatives.
    expression
        .replace('/', " OR ")
        .split(" AND ")
        .all(|part| part.replace(['(', ')'], "").split(" OR ").any(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spdx_expressions_are_evaluated() {
        assert!(is_permissive("MIT OR Apache-2.0") && is_permissive("MIT/Apache-2.0"));
        assert!(is_permissive(
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT"
        ));
        assert!(is_permissive("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(is_permissive("MIT OR GPL-3.0-only"));
        assert!(
            !is_permissive("GPL-3.0-only") && !is_permissive("") && !is_permissive("MIT AND GPL-2.0-only")
        );
    }
}
