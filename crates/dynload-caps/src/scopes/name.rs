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
    /// The name, exactly; there are no patterns, because a pattern opens names that nobody thought of.
    pub name: String,
    /// The value that the guest sees; `None` is the host's own.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub value: Option<String>,
}

impl EnvScope {
    /// A variable with the value that it has on the host.
    ///
    /// # Grants
    /// Shows the guest that value.
    ///
    /// # Errors
    /// [`ScopeError::Env`] when `name` is empty or has a `=` or a NUL.
    pub fn host(name: impl Into<String>) -> Result<EnvScope, ScopeError> {
        let variable = EnvScope {
            name: name.into(),
            value: None,
        };
        variable.validate()?;
        Ok(variable)
    }

    /// A variable with a value of its own, whatever the host has.
    ///
    /// # Errors
    /// [`ScopeError::Env`] when `name` is empty or has a `=` or a NUL, or `value` has a NUL.
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
            "the name has a `=` or a NUL character"
        } else if self.value.as_ref().is_some_and(|value| value.contains('\0')) {
            "the value has a NUL character"
        } else {
            return Ok(());
        };
        Err(ScopeError::Env {
            name: self.name.clone(),
            reason,
        })
    }
}
