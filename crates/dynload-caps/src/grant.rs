//! Flags and scopes together: everything a plugin is given.

use crate::{Capabilities, Scopes};

/// What a plugin is given, or asks for: the flags and what they reach.
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
    /// Which powers.
    pub capabilities: Capabilities,
    /// What those powers reach. An entry without its flag opens nothing, and neither does a flag without an entry.
    pub scopes: Scopes,
}

impl Grant {
    /// Nothing at all; also [`Default`].
    #[must_use]
    pub fn none() -> Grant {
        Grant::default()
    }

    /// The same grant with these capabilities added.
    ///
    /// # Grants
    /// Widens what the plugin may do. Capabilities that have a scope still need an entry in [`Grant::scopes`].
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Grant {
        self.capabilities |= capabilities;
        self
    }

    /// The same grant with these scopes instead of its own.
    ///
    /// # Grants
    /// Widens what the plugin may do where the flags are there already.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Grant {
        self.scopes = scopes;
        self
    }

    /// What this host grants, cut down to what the plugin `asked` for: the result allows something only if both
    /// allow it. See [`Scopes::intersection`] for how scopes are cut.
    #[must_use]
    pub fn intersection(&self, requested: &Grant) -> Grant {
        Grant {
            capabilities: self.capabilities & requested.capabilities,
            scopes: self.scopes.intersection(&requested.scopes),
        }
    }
}
