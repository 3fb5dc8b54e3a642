//! Matching of paths with glob patterns.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// One component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of directories.
    Any,
    /// A name with wildcards.
    Name(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
    Class { not: bool, ranges: Vec<(char, char)> },
}

/// A path that may contain wildcards, split into the directory before the first wildcard and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    /// The part without wildcards; absolute.
    pub(crate) base: PathBuf,
    rest: Vec<Segment>,
}

impl Glob {
    /// Parses an absolute path. A name with wildcards that is not Unicode is used literally, without wildcards.
    pub(crate) fn new(path: &Path) -> Self {
        let mut base = PathBuf::new();
        let mut rest = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) if !rest.is_empty() || has_wildcard(name) => {
                    rest.push(Segment::new(&name.to_string_lossy()));
                }
                part => base.push(part),
            }
        }
        Self { base, rest }
    }

    /// Returns whether the pattern matches the path. A pattern without wildcards matches its base and everything
    /// below it.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.base) else {
            return false;
        };
        let names: Vec<_> = below.iter().map(OsStr::to_string_lossy).collect();
        self.rest.is_empty() || matches(&self.rest, &names)
    }

    /// Returns whether a path below this directory can match.
    pub(crate) fn may_match_below(&self, dir: &Path) -> bool {
        let Ok(below) = dir.strip_prefix(&self.base) else {
            return false;
        };
        let depth = below.iter().count();
        self.rest.is_empty() || self.rest.contains(&Segment::Any) || depth < self.rest.len()
    }
}

fn has_wildcard(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.contains(['*', '?', '[']))
}

impl Segment {
    fn new(name: &str) -> Self {
        if name == "**" {
            return Self::Any;
        }
        let mut tokens = Vec::new();
        let mut rest = name;
        while let Some(first) = rest.chars().next() {
            rest = &rest[first.len_utf8()..];
            tokens.push(match first {
                '*' => Token::Many,
                '?' => Token::One,
                '[' => match class(rest) {
                    Some((token, after)) => {
                        rest = after;
                        token
                    }
                    // Without a closing bracket it is a literal `[`, as in a shell.
                    None => Token::Char('['),
                },
                other => Token::Char(other),
            });
        }
        Self::Name(tokens)
    }
}

/// Parses a bracket expression after its `[`: `abc]`, `!a-z]`, `]x]` (POSIX 2.13.1, "Patterns Matching a Single
/// Character").
fn class(text: &str) -> Option<(Token, &str)> {
    let (not, body) = match text.strip_prefix(['!', '^']) {
        Some(body) => (true, body),
        None => (false, text),
    };
    let first = body.chars().next()?;
    let end = first.len_utf8() + body[first.len_utf8()..].find(']')?;
    let chars: Vec<char> = body[..end].chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if at + 2 < chars.len() && chars[at + 1] == '-' {
            ranges.push((chars[at], chars[at + 2]));
            at += 3;
        } else {
            ranges.push((chars[at], chars[at]));
            at += 1;
        }
    }
    Some((Token::Class { not, ranges }, &body[end + 1..]))
}

fn matches<S: AsRef<str>>(pattern: &[Segment], names: &[S]) -> bool {
    // Dynamic programming, row by row: `open[i]` says whether the pattern so far can match the first `i` names.
    let mut open = vec![false; names.len() + 1];
    open[0] = true;
    for segment in pattern {
        let mut next = vec![false; names.len() + 1];
        match segment {
            Segment::Any => {
                let mut any = false;
                for (to, from) in next.iter_mut().zip(&open) {
                    any |= from;
                    *to = any;
                }
            }
            Segment::Name(tokens) => {
                for (i, name) in names.iter().enumerate() {
                    next[i + 1] = open[i] && name_matches(tokens, name.as_ref());
                }
            }
        }
        open = next;
    }
    open[names.len()]
}

fn name_matches(tokens: &[Token], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut open = vec![false; name.len() + 1];
    open[0] = true;
    for token in tokens {
        let mut next = vec![false; name.len() + 1];
        if *token == Token::Many {
            let mut any = false;
            for (to, from) in next.iter_mut().zip(&open) {
                any |= from;
                *to = any;
            }
        } else {
            for (i, c) in name.iter().enumerate() {
                next[i + 1] = open[i]
                    && match token {
                        Token::Char(expected) => c == expected,
                        Token::Class { not, ranges } => {
                            ranges.iter().any(|(low, high)| (low..=high).contains(&c)) != *not
                        }
                        Token::One | Token::Many => true,
                    };
            }
        }
        open = next;
    }
    open[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_the_table() {
        let cases = [
            ("/a/*.rs", "/a/x.rs", true),
            ("/a/*.rs", "/a/b/x.rs", false),
            ("/a/**/*.rs", "/a/x.rs", true),
            ("/a/**/*.rs", "/a/b/c/x.rs", true),
            ("/a/**/*.rs", "/b/x.rs", false),
            ("/a/**", "/a/b/c", true),
            ("/a/b?d", "/a/bcd", true),
            ("/a/b?d", "/a/bd", false),
            ("/a/[a-c]x", "/a/bx", true),
            ("/a/[!a-c]x", "/a/bx", false),
            ("/a/[]]x", "/a/]x", true),
            ("/a/[x", "/a/[x", true),
            ("/a/ü*", "/a/über", true),
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/c/d", true),
            ("/a/b", "/a/bc", false),
            ("/**/x/**/y", "/a/x/b/c/y", true),
            ("/**/x/**/y", "/a/b/c/y", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(
                Glob::new(pattern.as_ref()).matches(path.as_ref()),
                expected,
                "{pattern} {path}"
            );
        }
        let glob = Glob::new("/a/b/*/c*.h".as_ref());
        assert_eq!(glob.base, Path::new("/a/b"));
        assert!(glob.may_match_below("/a/b".as_ref()) && glob.may_match_below("/a/b/x".as_ref()));
        assert!(!glob.may_match_below("/a/b/x/y".as_ref()) && !glob.may_match_below("/a".as_ref()));
    }

    /// The naive algorithm, which takes exponential time.
    fn oracle(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|eaten| oracle(rest, &text[eaten..])),
            ['?', rest @ ..] => !text.is_empty() && oracle(rest, &text[1..]),
            [c, rest @ ..] => text.first() == Some(c) && oracle(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn a_name_matches_as_in_the_naive_algorithm(pattern in "[ab*?]{1,8}", name in "[ab]{1,8}") {
            prop_assume!(!pattern.contains("**"));
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let Segment::Name(tokens) = Segment::new(&pattern) else { unreachable!() };
            prop_assert_eq!(name_matches(&tokens, &name), oracle(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,24}", path in "\\PC{0,24}") {
            let glob = Glob::new(&Path::new("/").join(pattern));
            let path = Path::new("/").join(path);
            glob.may_match_below(&path);
            glob.matches(&path);
        }
    }
}
