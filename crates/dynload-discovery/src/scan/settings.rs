//! The settings of a scan.

use semver::Version;

use crate::Platform;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) platform: Platform,
    pub(super) host_version: Option<Version>,
    pub(super) refuse_writable: bool,
}
