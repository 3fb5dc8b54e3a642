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
        }
    }
}
