//! Flags and scopes together: everything that a plugin is granted.

use crate::{Capabilities, Scopes};

/// What a plugin is granted, or requests: the flags and what they reach.
///
/// # Examples
///
/// ```
/// use dynload_caps::{Capabilities, Grant};
///
/// let grant = Grant::none().with_capabilities(Capabilities::CONSOLE | Capabilities::TIME);
/// assert!(grant.capabilities.has(Capabilities::TIME));
/// assert_eq!(Grant::none().intersection(&grant), Grant::none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Grant {
    /// The flags.
    pub capabilities: Capabilities,
    /// What the flags reach. An entry without its flag opens nothing, and neither does a flag without an entry.
    pub scopes: Scopes,
}

impl Grant {
    /// Returns the empty grant, which is also the [`Default`].
    #[must_use]
    pub fn none() -> Grant {
        Grant::default()
    }

    /// Replaces the capabilities of the grant.
    ///
    /// # Grants
    ///
    /// Widens what the plugin may do. Capabilities that have a scope still need an entry in [`Grant::scopes`].
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Grant {
        self.capabilities = capabilities;
        self
    }

    /// Replaces the scopes of the grant.
    ///
    /// # Grants
    ///
    /// Widens what the plugin may do where the grant has the flags already.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Grant {
        self.scopes = scopes;
        self
    }

    /// Returns what the host grants (`self`), reduced to what the plugin `requested`: the result allows something only
    /// if both allow it.
    ///
    /// [`Scopes::intersection`] describes how scopes are intersected.
    #[must_use]
    pub fn intersection(&self, requested: &Grant) -> Grant {
        Grant {
            capabilities: self.capabilities & requested.capabilities,
            scopes: self.scopes.intersection(&requested.scopes),
        }
    }
}
