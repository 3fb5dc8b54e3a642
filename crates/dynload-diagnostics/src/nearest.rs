//! The known name that a misspelled one probably meant.

use alloc::vec::Vec;

/// Returns the candidate that is closest to `word`, for the "did you mean" of an error message.
///
/// Letter case is ignored and `-` equals `_`. The distance is the number of letters to insert, delete, replace or swap with a
/// neighbor. A candidate that differs in more than about a third of its letters is not suggested. The first of several equally
/// close candidates is returned.
///
/// # Examples
///
/// ```
/// assert_eq!(dynload_diagnostics::nearest_name("fs-raed", ["env", "fs_read", "fs_write"]), Some("fs_read"));
/// assert_eq!(dynload_diagnostics::nearest_name("quantum", ["env", "gpu"]), None);
/// ```
pub fn nearest_name<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A longer word is not a typing error, and the table below is quadratic.
    const LONGEST: usize = 64;
    let word: Vec<char> = fold(word).take(LONGEST + 1).collect();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = fold(candidate).take(LONGEST).collect();
        let distance = distance(&word, &letters);
        let allowed = (word.len().max(letters.len()) / 3).max(1);
        if distance <= allowed && best.is_none_or(|(shortest, _)| distance < shortest) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> impl Iterator<Item = char> + '_ {
    word.chars()
        .map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
}

/// Optimal string alignment distance: Levenshtein distance, where swapping two neighbors counts once.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = previous[j] + usize::from(x != y);
            let mut cost = replaced.min(previous[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = core::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest_name;

    #[test]
    fn finds_typing_errors_and_nothing_else() {
        let names = ["console", "time", "network"];
        assert_eq!(nearest_name("Consle", names), Some("console"));
        assert_eq!(nearest_name("tmie", names), Some("time"));
        assert_eq!(nearest_name("netwrok", names), Some("network"));
        assert_eq!(nearest_name("x", names), None);
        assert_eq!(nearest_name("", names), None);
        assert_eq!(nearest_name("n".repeat(10_000).as_str(), names), None);
    }
}
