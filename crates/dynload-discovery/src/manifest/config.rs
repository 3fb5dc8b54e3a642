//! The settings that a plugin has.

use std::fmt;

/// The type of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
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

    /// The name in a manifest.
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
    /// A whole number.
    Integer(i64),
    /// A number; never NaN or infinite when it comes from a manifest.
    Float(f64),
    /// A text.
    String(String),
    /// A list of texts.
    Strings(Vec<String>),
}

impl ConfigValue {
    /// The type that it is of.
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
    /// What it is when nobody sets it.
    pub default: Option<ConfigValue>,
    /// Whether somebody has to set it. A setting with a default is never required.
    pub required: bool,
    /// What it is for; empty when the manifest does not say.
    pub description: String,
}

impl ConfigField {
    /// A setting of this type, with no default and not required.
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
