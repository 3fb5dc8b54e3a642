//! What is kept about one directory, and about one file that was audited.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use dynload_caps::Capabilities;
use semver::{Version, VersionReq};

use super::codec::{Code, Input, record};
use super::fingerprint::Fingerprint;
use crate::PluginId;
use crate::audit::Facts;
use crate::manifest::{EntryPath, Format, Manifest};

/// A plugin's directory whose manifest had nothing wrong with it: what a scan has to know. The manifest itself follows in
/// the file, and is read when somebody asks for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DirRecord {
    pub(crate) manifest_file: Fingerprint,
    pub(crate) manifest_hash: [u8; 32],
    /// When the manifest was read.
    pub(crate) read_at: i64,
    pub(crate) summary: Summary,
    pub(crate) entry: Option<EntryRecord>,
}
record!(DirRecord {
    manifest_file,
    manifest_hash,
    read_at,
    summary,
    entry
});

/// What a scan has to know of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) id: PluginId,
    pub(crate) version: Version,
    pub(crate) format: Format,
    pub(crate) host_version: Option<VersionReq>,
    pub(crate) without_scope: Capabilities,
    pub(crate) scope_only: Capabilities,
}
record!(Summary {
    id,
    version,
    format,
    host_version,
    without_scope,
    scope_only
});

impl Summary {
    pub(crate) fn of(manifest: &Manifest) -> Summary {
        Summary {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            format: manifest.format,
            host_version: manifest.host_version.clone(),
            without_scope: manifest.capabilities.without_scope(),
            scope_only: manifest.capabilities.scope_only(),
        }
    }
}

/// The entry for this platform, found to be a file inside of the directory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EntryRecord {
    pub(crate) path: EntryPath,
    pub(crate) file: Fingerprint,
}
record!(EntryRecord { path, file });

/// What the body of a file was found to hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuditRecord {
    pub(crate) file: Fingerprint,
    pub(crate) read_at: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) facts: Facts,
}
record!(AuditRecord {
    file,
    read_at,
    hash,
    facts
});

/// A manifest, or the place in the cache where it is.
#[derive(Clone, Debug)]
pub(crate) struct KeptManifest {
    manifest: OnceLock<Option<Box<Manifest>>>,
    kept: Option<(Arc<Vec<u8>>, Range<usize>)>,
}

impl KeptManifest {
    pub(crate) fn read(manifest: Manifest) -> KeptManifest {
        KeptManifest {
            manifest: OnceLock::from(Some(Box::new(manifest))),
            kept: None,
        }
    }

    pub(super) fn kept(bytes: Arc<Vec<u8>>, range: Range<usize>) -> KeptManifest {
        KeptManifest {
            manifest: OnceLock::new(),
            kept: Some((bytes, range)),
        }
    }

    /// The manifest. The sum over the file says that it was written by this version as it is; if it is not readable all the
    /// same, the plugin has none, asks for nothing and is given nothing.
    pub(crate) fn get(&self) -> Option<&Manifest> {
        self.manifest
            .get_or_init(|| Manifest::take(&mut Input(self.bytes()?)).map(Box::new))
            .as_deref()
    }

    /// The form that is in the cache.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.kept
            .as_ref()
            .and_then(|(bytes, range)| bytes.get(range.clone()))
    }
}
