//! The configuration that instances share with their sandbox.

use crate::{
    authority::Authority,
    clock::{Clock, ClockScope},
    host::{Console, Entropy, HostFunctions},
    metering::budget::FuelBudget,
};
use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use dynload_caps::{Limits, Scopes};

/// The settings of a sandbox that an instance keeps from its creation on.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) authority: Authority,
    pub(crate) scopes: Scopes,
    /// The directories of the scopes, open.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) grants: crate::services::Grants,
    /// The GPUs.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) gpu: Option<Arc<dyn crate::gpu::Gpu>>,
    pub(crate) functions: HostFunctions,
    pub(crate) console: Console,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_scope: ClockScope,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Whether the entropy may depend on the number of an instance.
    pub(crate) numbers_instances: bool,
    pub(crate) budget: Option<FuelBudget>,
    pub(crate) args: Vec<String>,
    /// Makes the HTTP requests of Extism plugins.
    #[cfg(feature = "extism")]
    pub(crate) http_client: Option<crate::bytes::HttpFunction>,
    /// What guests read with `config_get`.
    pub(crate) plugin_config: BTreeMap<String, String>,
    pub(crate) fixed_slice: Option<u64>,
}
