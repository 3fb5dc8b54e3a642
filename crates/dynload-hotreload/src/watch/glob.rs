//! Matching of paths with glob patterns.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::path::{self, Component, Path, PathBuf};

/// What builds write, or what belongs to a version control system. A pattern matches it only if one of its own names ends in
/// the same way.
const OUTPUT_DIRECTORIES: [&str; 3] = [".git", ".vais-cache", "target"];
const OUTPUT_EXTENSION: &str = ".ll";

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
    /// Whether it also matches what builds write.
    takes_outputs: bool,
}

impl Glob {
    /// Parses a path. If it is relative, it is relative to the current directory, whose own name has no wildcards. A name
    /// with wildcards that is not Unicode is used literally, without wildcards.
    ///
    /// # Errors
    ///
    /// As for [`std::path::absolute`].
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let mut base = PathBuf::new();
        let mut rest = Vec::new();
        for part in path.components() {
            if rest.is_empty() && !has_wildcard(part) {
                base.push(part);
            } else {
                rest.push(Segment::new(&part.as_os_str().to_string_lossy()));
            }
        }
        if base.as_os_str().is_empty() && !rest.is_empty() {
            base.push(Component::CurDir);
        }
        let base = path::absolute(&base)?;
        Ok(Self {
            base,
            rest,
            takes_outputs: false,
        })
    }

    /// Matches an absolute path and everything below it, whatever the names.
    pub(crate) fn literal(path: PathBuf) -> Self {
        Self {
            base: path,
            rest: Vec::new(),
            takes_outputs: true,
        }
    }

    /// Returns whether the pattern matches the path. A pattern without wildcards matches its base and everything
    /// below it.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.names_below(path)
            .is_some_and(|names| self.rest.is_empty() || matches(&self.rest, &names))
    }

    /// Returns whether a path below this directory can match.
    pub(crate) fn may_match_below(&self, dir: &Path) -> bool {
        self.names_below(dir).is_some_and(|names| {
            self.rest.is_empty() || self.rest.contains(&Segment::Any) || names.len() < self.rest.len()
        })
    }

    /// Returns the names that follow the base. Returns `None` if the path is not below the base, or if one of the names
    /// is not that of an input.
    fn names_below<'a>(&self, path: &'a Path) -> Option<Vec<Cow<'a, str>>> {
        let names: Vec<_> = path
            .strip_prefix(&self.base)
            .ok()?
            .iter()
            .map(OsStr::to_string_lossy)
            .collect();
        let is_input = |name: &Cow<str>| {
            let end = match &**name {
                name if OUTPUT_DIRECTORIES.contains(&name) => name,
                name if name.ends_with(OUTPUT_EXTENSION) => OUTPUT_EXTENSION,
                _ => return true,
            };
            self.rest.iter().any(|segment| segment.ends_with(end))
        };
        (self.takes_outputs || names.iter().all(is_input)).then_some(names)
    }
}

/// Returns whether a component of a path is a name with wildcards. The prefix of a path of Windows is none: `\\?\C:`.
fn has_wildcard(part: Component<'_>) -> bool {
    match part {
        Component::Normal(name) => name.to_str().is_some_and(|name| name.contains(['*', '?', '['])),
        _ => false,
    }
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

    fn ends_with(&self, end: &str) -> bool {
        match self {
            Self::Any => false,
            Self::Name(tokens) => tokens.ends_with(&end.chars().map(Token::Char).collect::<Vec<_>>()),
        }
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

    /// Returns an absolute path as this system writes it: with a drive on Windows.
    fn absolute(path: &str) -> PathBuf {
        path::absolute(path).unwrap()
    }

    #[cfg(windows)]
    #[test]
    fn the_prefix_of_a_path_has_no_wildcards() {
        let glob = Glob::new(r"\\?\C:\a\*.h".as_ref()).unwrap();
        assert_eq!(glob.base, Path::new(r"\\?\C:\a"));
        assert!(glob.matches(r"\\?\C:\a\x.h".as_ref()));
    }

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
            ("/a/*/../b", "/a/b", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(
                Glob::new(pattern.as_ref()).unwrap().matches(&absolute(path)),
                expected,
                "{pattern} {path}"
            );
        }
        let glob = Glob::new("/a/b/*/c*.h".as_ref()).unwrap();
        assert_eq!(glob.base, absolute("/a/b"));
        assert!(glob.may_match_below(&absolute("/a/b")) && glob.may_match_below(&absolute("/a/b/x")));
        assert!(!glob.may_match_below(&absolute("/a/b/x/y")) && !glob.may_match_below(&absolute("/a")));
    }

    #[test]
    fn what_builds_write_is_an_input_only_if_the_pattern_spells_it_out() {
        let cases = [
            ("/a", "/a/x.ll", false),
            ("/a/**", "/a/b/x.ll", false),
            ("/a/x.ll", "/a/x.ll", true),
            ("/a/**/*.ll", "/a/b/x.ll", true),
            ("/a/**/x?.ll", "/a/b/xy.ll", true),
            ("/a", "/a/ll", true),
            ("/a", "/a/target/x.h", false),
            ("/a/**/*.h", "/a/b/target/c/x.h", false),
            ("/a/target", "/a/target/c/x.h", true),
            ("/a/*/target/*.h", "/a/b/target/x.h", true),
            ("/a", "/a/targets/x.h", true),
            ("/a", "/a/.vais-cache/x", false),
            ("/a/.vais-cache/**", "/a/.vais-cache/b/x", true),
            ("/a/**", "/a/b/.git/config", false),
            // The directories above the base do not count.
            ("/target/a/*.h", "/target/a/x.h", true),
        ];
        for (pattern, path, expected) in cases {
            let glob = Glob::new(pattern.as_ref()).unwrap();
            assert_eq!(glob.matches(&absolute(path)), expected, "{pattern} {path}");
        }
        let all = Glob::new("/a".as_ref()).unwrap();
        assert!(all.may_match_below(&absolute("/a/b")) && !all.may_match_below(&absolute("/a/b/target")));
        let named = Glob::new("/a/**/target/*.h".as_ref()).unwrap();
        assert!(named.may_match_below(&absolute("/a/b/target")));
    }

    #[test]
    fn the_name_of_the_current_directory_has_no_wildcards() {
        let here = std::env::current_dir().unwrap();
        for (pattern, base) in [
            ("*.h", here.clone()),
            ("./*.h", here.clone()),
            ("a/*.h", here.join("a")),
            ("a/b", here.join("a/b")),
        ] {
            assert_eq!(Glob::new(pattern.as_ref()).unwrap().base, base, "{pattern}");
        }
        assert!(Glob::new("".as_ref()).is_err());
        let literal = Glob::literal("/a/[b]".into());
        assert!(literal.matches("/a/[b]/c".as_ref()) && !literal.matches("/a/b".as_ref()));
        // The module `target` of a Rust crate is code.
        assert!(literal.matches("/a/[b]/target/mod.rs".as_ref()));
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
            let glob = Glob::new(&Path::new("/").join(pattern)).unwrap();
            let path = Path::new("/").join(path);
            glob.may_match_below(&path);
            glob.matches(&path);
        }
    }
}
