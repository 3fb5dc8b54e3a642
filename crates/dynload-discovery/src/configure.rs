//! Checks the host's settings for a plugin against those that its manifest declares.

use std::collections::BTreeMap;
use std::fmt;

use dynload_diagnostics::{listed, nearest_name, printable};

use crate::manifest::{ConfigType, ConfigValue, Manifest};

/// A setting that a plugin cannot have, or does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// The manifest declares no setting of this name.
    #[non_exhaustive]
    Unknown {
        /// The name.
        name: String,
        /// A declared setting with a similar name.
        nearest: Option<String>,
    },
    /// The value has another type than the manifest declares.
    #[non_exhaustive]
    WrongType {
        /// The name of the setting.
        name: String,
        /// The declared type.
        expected: ConfigType,
        /// The type of the value.
        found: ConfigType,
        /// The line of the declaration in the manifest.
        line: u32,
    },
    /// The manifest requires a value, and there is none.
    #[non_exhaustive]
    Missing {
        /// The name of the setting.
        name: String,
        /// Its type.
        expected: ConfigType,
        /// The line of the declaration in the manifest.
        line: u32,
    },
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigProblem::Unknown { name, nearest } => {
                write!(f, "the plugin has no setting `{}`", printable(name))?;
                match nearest {
                    Some(nearest) => write!(f, ": did you mean `{}`?", printable(nearest)),
                    None => f.write_str(": remove it"),
                }
            }
            ConfigProblem::WrongType {
                name,
                expected,
                found,
                line,
            } => write!(
                f,
                "the setting `{}` has the type {found}, but line {line} of plugin.toml declares {expected}",
                printable(name)
            ),
            ConfigProblem::Missing { name, expected, line } => write!(
                f,
                "the setting `{}` ({expected}) has no value, and line {line} of plugin.toml requires one: set it",
                printable(name)
            ),
        }
    }
}

/// Everything that is wrong with the settings for a plugin, in the order of their names.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigProblems(Vec<ConfigProblem>);

impl ConfigProblems {
    /// Returns the problems; there is at least one.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        listed(&self.0).fmt(f)
    }
}

impl std::error::Error for ConfigProblems {}

dynload_diagnostics::debug_with_causes!(ConfigProblems);

impl Manifest {
    /// Returns the settings of the plugin: the host's values, and the defaults of those that it does not set.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use dynload_discovery::{ConfigValue, Manifest};
    ///
    /// let manifest = Manifest::parse(r#"
    ///     [plugin]
    ///     id = "thumbnails"
    ///     version = "1.0.0"
    ///     format = "wasm"
    ///     entry = "thumbnails.wasm"
    ///
    ///     [config.quality]
    ///     type = "integer"
    ///     default = 80
    ///
    ///     [config.account]
    ///     type = "string"
    ///     required = true
    /// "#)?;
    /// let mut values = BTreeMap::from([("acount".to_owned(), ConfigValue::String("ada".to_owned()))]);
    /// let problems = manifest.configure(&values).unwrap_err();
    /// assert_eq!(
    ///     problems.problems()[0].to_string(),
    ///     "the setting `account` (string) has no value, and line 12 of plugin.toml requires one: set it"
    /// );
    /// assert_eq!(
    ///     problems.problems()[1].to_string(),
    ///     "the plugin has no setting `acount`: did you mean `account`?"
    /// );
    ///
    /// values = BTreeMap::from([("account".to_owned(), ConfigValue::String("ada".to_owned()))]);
    /// assert_eq!(manifest.configure(&values)?["quality"], ConfigValue::Integer(80));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigProblems`] if a value is not declared or has another type, or if a required one is missing.
    pub fn configure(
        &self,
        values: &BTreeMap<String, ConfigValue>,
    ) -> Result<BTreeMap<String, ConfigValue>, ConfigProblems> {
        let mut problems = Vec::new();
        let mut config = BTreeMap::new();
        for (name, field) in &self.config {
            let expected = field.value_type;
            match values.get(name).or(field.default.as_ref()) {
                Some(value) if value.value_type() == expected => {
                    config.insert(name.clone(), value.clone());
                }
                Some(value) => problems.push(ConfigProblem::WrongType {
                    name: name.clone(),
                    expected,
                    found: value.value_type(),
                    line: field.line(),
                }),
                None if field.required => problems.push(ConfigProblem::Missing {
                    name: name.clone(),
                    expected,
                    line: field.line(),
                }),
                None => {}
            }
        }
        for name in values.keys().filter(|name| !self.config.contains_key(*name)) {
            let nearest = nearest_name(name, self.config.keys().map(String::as_str));
            problems.push(ConfigProblem::Unknown {
                name: name.clone(),
                nearest: nearest.map(str::to_owned),
            });
        }
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigProblems(problems))
        }
    }
}
