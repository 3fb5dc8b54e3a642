//! Environment variables.

use alloc::string::String;

use super::ScopeError;

/// An environment variable that a guest may see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct EnvScope {
    /// The exact name. There are no patterns, because a pattern also opens names that its author did not think of.
    pub name: String,
    /// The value that the guest sees; `None` stands for the value in the host's environment.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub value: Option<String>,
}

impl EnvScope {
    /// Creates a scope for a variable with the value that it has in the host's environment.
    ///
    /// # Grants
    ///
    /// Shows the guest that value.
    ///
    /// # Errors
    ///
    /// [`ScopeError::Env`] when `name` is empty or contains a `=` or a NUL.
    pub fn host(name: impl Into<String>) -> Result<EnvScope, ScopeError> {
        let variable = EnvScope {
            name: name.into(),
            value: None,
        };
        variable.validate()?;
        Ok(variable)
    }

    /// Creates a scope for a variable with a fixed value, independent of the host's environment.
    ///
    /// # Errors
    ///
    /// [`ScopeError::Env`] when `name` is empty or contains a `=` or a NUL, or `value` contains a NUL.
    pub fn fixed(name: impl Into<String>, value: impl Into<String>) -> Result<EnvScope, ScopeError> {
        let variable = EnvScope {
            name: name.into(),
            value: Some(value.into()),
        };
        variable.validate()?;
        Ok(variable)
    }

    pub(super) fn validate(&self) -> Result<(), ScopeError> {
        let reason = if self.name.is_empty() {
            "the name is empty"
        } else if self.name.contains(['=', '\0']) {
            "the name contains a `=` or a NUL character"
        } else if self.value.as_ref().is_some_and(|value| value.contains('\0')) {
            "the value contains a NUL character"
        } else {
            return Ok(());
        };
        Err(ScopeError::Env {
            name: self.name.clone(),
            reason,
        })
    }
}
