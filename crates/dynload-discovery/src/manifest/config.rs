//! The settings of a plugin.

use std::fmt;

/// The type of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// A 64-bit integer.
    Integer,
    /// A floating-point number.
    Float,
    /// A text.
    String,
    /// A list of texts.
    Strings,
}

impl ConfigType {
    pub(crate) const NAMES: [(&'static str, ConfigType); 5] = [
        ("boolean", ConfigType::Boolean),
        ("integer", ConfigType::Integer),
        ("float", ConfigType::Float),
        ("string", ConfigType::String),
        ("strings", ConfigType::Strings),
    ];

    /// Returns the name of the type in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        ConfigType::NAMES
            .iter()
            .find(|(_, known)| *known == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for ConfigType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConfigValue {
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A floating-point number; never NaN or infinite when it comes from a manifest.
    Float(f64),
    /// A text.
    String(String),
    /// A list of texts.
    Strings(Vec<String>),
}

impl ConfigValue {
    /// Returns the type of the value.
    #[must_use]
    pub const fn value_type(&self) -> ConfigType {
        match self {
            ConfigValue::Boolean(_) => ConfigType::Boolean,
            ConfigValue::Integer(_) => ConfigType::Integer,
            ConfigValue::Float(_) => ConfigType::Float,
            ConfigValue::String(_) => ConfigType::String,
            ConfigValue::Strings(_) => ConfigType::Strings,
        }
    }
}

impl fmt::Display for ConfigValue {
    /// Writes the value as plugins read it: numbers in decimal, a list with one text on each line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigValue::Boolean(value) => value.fmt(f),
            ConfigValue::Integer(value) => value.fmt(f),
            ConfigValue::Float(value) => value.fmt(f),
            ConfigValue::String(value) => f.write_str(value),
            ConfigValue::Strings(values) => f.write_str(&values.join("\n")),
        }
    }
}

impl ConfigType {
    /// Reads a value of this type from a text of the form that [`ConfigValue`] writes; `None` if it has another form.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_discovery::{ConfigType, ConfigValue};
    ///
    /// assert_eq!(ConfigType::Integer.parse("80"), Some(ConfigValue::Integer(80)));
    /// assert_eq!(ConfigType::Boolean.parse("yes"), None);
    /// ```
    #[must_use]
    pub fn parse(self, text: &str) -> Option<ConfigValue> {
        match self {
            ConfigType::Boolean => text.parse().ok().map(ConfigValue::Boolean),
            ConfigType::Integer => text.parse().ok().map(ConfigValue::Integer),
            ConfigType::Float => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(ConfigValue::Float)
            }
            ConfigType::String => Some(ConfigValue::String(text.to_owned())),
            ConfigType::Strings => {
                let lines = text.lines().map(str::to_owned).collect();
                Some(ConfigValue::Strings(lines))
            }
        }
    }
}

/// The line of a setting in its manifest, which is not part of what the setting is.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::manifest) struct Line(pub(in crate::manifest) u32);

impl PartialEq for Line {
    fn eq(&self, _: &Line) -> bool {
        true
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigField {
    /// Its type.
    pub value_type: ConfigType,
    /// The value that applies when none is set.
    pub default: Option<ConfigValue>,
    /// Whether a value has to be set. A setting with a default is never required.
    pub required: bool,
    /// Its purpose; empty when the manifest has no description.
    pub description: String,
    pub(in crate::manifest) line: Line,
}

impl ConfigField {
    /// Creates a setting of this type that has no default and is not required.
    #[must_use]
    pub const fn new(value_type: ConfigType) -> ConfigField {
        ConfigField {
            value_type,
            default: None,
            required: false,
            description: String::new(),
            line: Line(0),
        }
    }

    /// Returns its line in the manifest, from 1; 0 if it was not read from one. Settings that differ only in this are equal.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line.0
    }
}
