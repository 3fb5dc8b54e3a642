//! The words after `cargo xtask`.

use crate::failure::Failure;

/// What is left of the command line.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn of_process() -> Arguments {
        Arguments(std::env::args().skip(1).collect())
    }

    /// Takes the first word if it is no option.
    pub(crate) fn positional(&mut self) -> Option<String> {
        let found = self
            .0
            .first()
            .is_some_and(|word| !word.starts_with('-') || word == "-h" || word == "--help");
        found.then(|| self.0.remove(0))
    }

    /// Takes `--name`, wherever it is.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < before
    }

    /// Takes `--name VALUE` or `--name=VALUE`.
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
        Err(Failure::new(format!("{name} needs a value")))
    }

    /// All that is left, for another program.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Refuses what nobody took.
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
    fn flags_and_values_are_taken_from_anywhere() {
        let mut arguments = of(&["--quick", "--only=docs", "--from", "fmt"]);
        assert!(arguments.flag("--quick") && !arguments.flag("--quick"));
        assert_eq!(arguments.value("--only").unwrap().as_deref(), Some("docs"));
        assert_eq!(arguments.value("--from").unwrap().as_deref(), Some("fmt"));
        assert_eq!(arguments.value("--from").unwrap(), None);
        arguments.end().unwrap();
    }

    #[test]
    fn what_nobody_takes_is_refused() {
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
