//! The command-line arguments of `cargo xtask`.

use crate::failure::Failure;

/// The arguments that have not been consumed.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn from_env() -> Arguments {
        Arguments(std::env::args().skip(1).collect())
    }

    /// Removes and returns the first argument unless it is an option. `-h` and `--help` do not count as options.
    pub(crate) fn positional(&mut self) -> Option<String> {
        let found = self
            .0
            .first()
            .is_some_and(|word| !word.starts_with('-') || word == "-h" || word == "--help");
        found.then(|| self.0.remove(0))
    }

    /// Removes the flag `--name` and returns whether it was present, at any position.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < before
    }

    /// Removes `--name VALUE` or `--name=VALUE`, at any position, and returns the value.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(at) = self.0.iter().position(|word| {
            word.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        }) else {
            return Ok(None);
        };
        let word = self.0.remove(at);
        if let Some((_, value)) = word.split_once('=') {
            return Ok(Some(value.to_owned()));
        }
        if at < self.0.len() {
            return Ok(Some(self.0.remove(at)));
        }
        Err(Failure::new(format!("{name} requires a value")))
    }

    /// Returns the remaining arguments, to pass them to another program.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Returns an error if an argument has not been consumed.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(Failure::new(format!(
                "unknown argument `{word}`: see `cargo xtask help`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Arguments {
        Arguments(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn flags_and_values_are_found_at_any_position() {
        let mut arguments = of(&["--quick", "--only=docs", "--from", "fmt"]);
        assert!(arguments.flag("--quick") && !arguments.flag("--quick"));
        assert_eq!(arguments.value("--only").unwrap().as_deref(), Some("docs"));
        assert_eq!(arguments.value("--from").unwrap().as_deref(), Some("fmt"));
        assert_eq!(arguments.value("--from").unwrap(), None);
        arguments.end().unwrap();
    }

    #[test]
    fn unknown_arguments_and_missing_values_are_errors() {
        assert!(of(&["--what"]).end().unwrap_err().to_string().contains("--what"));
        assert!(of(&["--prefix"]).value("--prefix").is_err());
        assert_eq!(of(&["--prefixes", "x"]).value("--prefix").unwrap(), None);
    }

    #[test]
    fn an_option_is_not_positional() {
        let mut arguments = of(&["test", "--list"]);
        assert_eq!(arguments.positional().as_deref(), Some("test"));
        assert_eq!(arguments.positional(), None);
    }
}
