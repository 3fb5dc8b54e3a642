//! Plugins that are a directory with a `plugin.toml`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::candidates::Candidate;
use super::permissions::{self, replaceable, writable, writable_cap};
use super::settings::Settings;
use super::{Found, is_escape, open_file};
use crate::cache::Fingerprint;
use crate::manifest::{EntryPath, Manifest};
use crate::plugin::Entry;
use crate::{Incompatibility, Plugin, Problem, ProblemKind, Severity};

/// Examines one directory.
pub(super) fn look(candidate: &Candidate, settings: &Settings) -> Found {
    let name = candidate.path().file_name().and_then(OsStr::to_str);
    let mut look = Look {
        candidate,
        settings,
        found: Found {
            id: name.and_then(|name| name.parse().ok()),
            ..Found::default()
        },
        refused: false,
    };
    if let Err(error) = look.run() {
        look.found.problems.push(Problem::io(candidate.path(), error));
    }
    look.found
}

pub(super) struct Look<'a> {
    pub(super) candidate: &'a Candidate,
    settings: &'a Settings,
    pub(super) found: Found,
    /// Whether the plugin is refused, so that it is not listed.
    refused: bool,
}

impl Look<'_> {
    fn run(&mut self) -> io::Result<()> {
        let real = &self.candidate.real;
        let real = if self.candidate.link {
            fs::canonicalize(real)?
        } else {
            real.clone()
        };
        if let (true, Some(parent)) = (self.candidate.link, real.parent()) {
            self.check(parent, replaceable(parent));
        }
        let dir = Dir::open_ambient_dir(&real, ambient_authority())?;
        self.check(Path::new(""), writable_cap(&dir.dir_metadata()?));
        let Some(text) = self.read_manifest(&dir)? else {
            return Ok(());
        };
        let Some(manifest) = self.parse(&text) else {
            return Ok(());
        };
        let entry = match manifest.entry.for_platform(self.settings.platform) {
            Some(entry) => match self.inspect_entry(&dir, entry) {
                Some(entry) => Some(entry),
                None => return Ok(()),
            },
            None => None,
        };
        self.found.parsed = true;
        self.finish(real, manifest, entry);
        Ok(())
    }

    /// Reports a path that others can write to. `below` is relative to the plugin's directory; empty for the directory itself.
    pub(super) fn check(&mut self, below: &Path, kind: Option<ProblemKind>) {
        if kind.is_none() {
            return;
        }
        let path = match below.as_os_str().is_empty() {
            true => self.candidate.path().to_owned(),
            false => self.candidate.path().join(below),
        };
        let refuse = self.settings.refuse_writable;
        self.refused |= permissions::report(&path, kind, refuse, &mut self.found.problems);
    }

    pub(super) fn problem(&mut self, path: &Path, kind: ProblemKind) {
        self.found.problems.push(Problem::error(path, kind));
    }

    /// Returns the entry, if it is a readable file inside the directory after following all links.
    fn inspect_entry(&mut self, dir: &Dir, entry: &EntryPath) -> Option<Entry> {
        let path = self.candidate.path().join(entry.as_path());
        let opened = open_file(dir, entry.as_path()).and_then(|file| file.metadata());
        let kind = match opened {
            Ok(metadata) if metadata.is_file() => {
                self.check_ancestors(dir, entry.as_path());
                self.check(entry.as_path(), writable(&metadata));
                return Some(Entry {
                    path: entry.as_path().to_owned(),
                    file: Fingerprint::of(&metadata),
                });
            }
            Ok(_) => ProblemKind::NotAFile,
            Err(error) if error.kind() == io::ErrorKind::NotFound => ProblemKind::EntryMissing {
                entry: entry.to_string(),
            },
            Err(error) if is_escape(&error) => ProblemKind::EntryEscapes {
                entry: entry.to_string(),
            },
            Err(error) => ProblemKind::Unreadable(error.into()),
        };
        self.problem(&path, kind);
        None
    }

    /// Checks the directories between the plugin's directory and a file below it, along its path and along the
    /// targets of links.
    pub(super) fn check_ancestors(&mut self, dir: &Dir, file: &Path) {
        /// The number of links that Linux follows (path_resolution(7)).
        const LINKS: usize = 40;
        let is_file = || dir.symlink_metadata(file).is_ok_and(|found| found.is_file());
        if file.components().count() == 1 && is_file() {
            return;
        }
        let mut between: BTreeSet<PathBuf> = file.ancestors().skip(1).map(Path::to_owned).collect();
        let mut at = file.to_owned();
        for _ in 0..LINKS {
            let parent = at.parent().unwrap_or(Path::new("")).join(".");
            let real = dir.canonicalize(&parent).unwrap_or_default();
            between.extend(real.ancestors().map(Path::to_owned));
            match dir.read_link_contents(&at) {
                Ok(target) => at = real.join(target),
                Err(_) => break,
            }
        }
        for below in between {
            // The plugin's own directory has been checked.
            if below
                .components()
                .any(|part| matches!(part, Component::Normal(_)))
                && let Ok(metadata) = dir.metadata(&below)
            {
                self.check(&below, writable_cap(&metadata));
            }
        }
    }

    fn finish(&mut self, dir: PathBuf, manifest: Manifest, entry: Option<Entry>) {
        let capabilities = manifest.capabilities.without_scope();
        if !capabilities.is_empty() {
            self.warn(ProblemKind::CapabilityWithoutScope { capabilities });
        }
        let capabilities = manifest.capabilities.scope_only();
        if !capabilities.is_empty() {
            self.warn(ProblemKind::ScopeWithoutCapability { capabilities });
        }
        let id = &manifest.id;
        let mut incompatible = Vec::new();
        if entry.is_none() {
            let available = manifest.entry.iter().map(|(key, _)| key.to_string()).collect();
            incompatible.push(Incompatibility::Platform {
                id: id.clone(),
                platform: self.settings.platform,
                available,
            });
        }
        if let (Some(wanted), Some(host)) = (&manifest.host_version, &self.settings.host_version)
            && !wanted.matches(host)
        {
            incompatible.push(Incompatibility::Host {
                id: id.clone(),
                host: host.clone(),
                required: wanted.clone(),
            });
        }
        for one in &incompatible {
            self.warn(ProblemKind::Incompatible(one.clone()));
        }
        if self.refused {
            return;
        }
        let path = self.candidate.path();
        self.found.plugin = Some(Plugin {
            id: id.clone(),
            format: manifest.format,
            found_at: (path != dir).then(|| path.to_owned()),
            dir,
            version: Some(manifest.version.clone()),
            manifest: Some(Box::new(manifest)),
            entry,
            source: self.candidate.source,
            rank: self.candidate.rank,
            incompatible,
        });
    }

    fn warn(&mut self, kind: ProblemKind) {
        let file = self.candidate.path().join(Manifest::FILE_NAME);
        self.found
            .problems
            .push(Problem::new(&file, Severity::Warning, kind));
    }
}
