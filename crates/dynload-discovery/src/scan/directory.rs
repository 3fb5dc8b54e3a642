//! Plugins that are a directory with a `plugin.toml`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::list::Candidate;
use super::writable::{self, replaceable, writable, writable_cap};
use super::{Found, is_escape, open_file};
use crate::audit::hash;
use crate::cache::{Code, DirRecord, EntryRecord, Fingerprint, KeptManifest, Summary, now};
use crate::manifest::{EntryPath, Manifest};
use crate::plugin::Entry;
use crate::scan::scanner::Settings;
use crate::{Incompatibility, Plugin, Problem, ProblemKind, Severity};

/// Looks at one directory. `record` is what the cache has about it.
pub(super) fn look(
    candidate: &Candidate,
    record: Option<(DirRecord, KeptManifest)>,
    settings: &Settings,
) -> Found {
    let mut look = Look {
        candidate,
        settings,
        found: Found::default(),
        refused: false,
    };
    if let Err(error) = look.run(record) {
        look.found.problems.push(Problem::io(candidate.path(), error));
    }
    look.found
}

pub(super) struct Look<'a> {
    pub(super) candidate: &'a Candidate,
    settings: &'a Settings,
    pub(super) found: Found,
    /// Whether something about it is not accepted, so that it will not be listed.
    refused: bool,
}

impl Look<'_> {
    fn run(&mut self, record: Option<(DirRecord, KeptManifest)>) -> io::Result<()> {
        let real = &self.candidate.real;
        let real = if self.candidate.link {
            fs::canonicalize(real)?
        } else {
            real.clone()
        };
        if let (true, Some(parent)) = (self.candidate.link, real.parent()) {
            self.check(parent, replaceable(parent));
        }
        let record = match record {
            Some((record, manifest)) if self.still_holds(&real, &record, &manifest)? => {
                (self.found.cached, self.found.recorded) = (true, true);
                self.finish(real, record.summary, manifest, record.entry);
                return Ok(());
            }
            record => record.map(|(record, _)| record),
        };
        let dir = Dir::open_ambient_dir(&real, ambient_authority())?;
        self.check(Path::new(""), writable_cap(&dir.dir_metadata()?));
        let started = now();
        let Some(read) = self.read_manifest(&dir)? else {
            return Ok(());
        };
        let Some(manifest) = self.parse(&read) else {
            return Ok(());
        };
        let entry = match manifest.entry.for_platform(self.settings.platform) {
            Some(entry) => match self.look_at_entry(&dir, entry) {
                Some(entry) => Some(entry),
                None => return Ok(()),
            },
            None => None,
        };
        let summary = Summary::of(&manifest);
        self.found.parsed = true;
        if self.settings.keep {
            self.found.recorded = true;
            let mut fresh = DirRecord {
                manifest_file: read.file,
                manifest_hash: hash(&read.text),
                read_at: started,
                summary: summary.clone(),
                entry: entry.clone(),
            };
            // What was read only because links lead to it may be what the cache has.
            let known = record.is_some_and(|record| {
                fresh.read_at = record.read_at;
                let known = fresh == record && fresh.manifest_file.settled_at(record.read_at);
                fresh.read_at = started;
                known
            });
            if !known {
                let mut form = Vec::with_capacity(512);
                fresh.put(&mut form);
                manifest.put(&mut form);
                self.found.fresh = Some(form);
            }
        }
        self.finish(real, summary, KeptManifest::read(manifest), entry);
        Ok(())
    }

    /// Whether what the record was made from is still there and the same. These are looked at by their paths: the same
    /// device, inode, size and times say that the file is the one that was opened inside of the directory before, where
    /// no link leads to it. Where one does, it is opened anew.
    fn still_holds(&mut self, real: &Path, record: &DirRecord, kept: &KeptManifest) -> io::Result<bool> {
        let mut path = PathBuf::with_capacity(real.as_os_str().len() + 64);
        path.push(real);
        let dir = fs::metadata(&path)?;
        path.push(Manifest::FILE_NAME);
        let Ok(manifest) = fs::symlink_metadata(&path) else {
            return Ok(false);
        };
        if !manifest.is_file() || Fingerprint::of(&manifest) != record.manifest_file {
            return Ok(false);
        }
        if !record.manifest_file.settled_at(record.read_at) && !self.same_content(real, record, kept) {
            return Ok(false);
        }
        path.pop();
        // Others can write to these, with their paths in the directory.
        let mut open = Vec::new();
        if let Some(entry) = &record.entry {
            let mut parts = entry.path.as_path().components().peekable();
            while let Some(part) = parts.next() {
                path.push(part);
                let Ok(found) = fs::symlink_metadata(&path) else {
                    return Ok(false);
                };
                let holds = match parts.peek() {
                    Some(_) => found.is_dir(),
                    None => found.is_file() && Fingerprint::of(&found) == entry.file,
                };
                if !holds {
                    return Ok(false);
                }
                if let (Some(kind), Ok(below)) = (writable(&found), path.strip_prefix(real)) {
                    open.push((below.to_owned(), kind));
                }
            }
        }
        self.check(Path::new(""), writable(&dir));
        self.check(Path::new(Manifest::FILE_NAME), writable(&manifest));
        for (below, kind) in open {
            self.check(&below, Some(kind));
        }
        Ok(true)
    }

    /// Whether a manifest that was written just before it was read is still what was read, letter by letter. When it
    /// is, the record is good for longer from now on.
    fn same_content(&mut self, real: &Path, record: &DirRecord, kept: &KeptManifest) -> bool {
        let Ok(dir) = Dir::open_ambient_dir(real, ambient_authority()) else {
            return false;
        };
        let started = now();
        let Ok(file) = open_file(&dir, Path::new(Manifest::FILE_NAME)) else {
            return false;
        };
        let mut text = Vec::new();
        let read = file.take(Manifest::MAX_BYTES + 1).read_to_end(&mut text);
        if read.is_err() || hash(&text) != record.manifest_hash {
            return false;
        }
        if record.manifest_file.settled_at(started) {
            let mut form = Vec::new();
            DirRecord {
                read_at: started,
                ..record.clone()
            }
            .put(&mut form);
            form.extend_from_slice(kept.bytes().unwrap_or_default());
            self.found.fresh = Some(form);
        }
        true
    }

    /// Reports what others can write to. `below` is a path in the plugin's directory; empty for the directory itself.
    pub(super) fn check(&mut self, below: &Path, kind: Option<ProblemKind>) {
        if kind.is_none() {
            return;
        }
        let path = match below.as_os_str().is_empty() {
            true => self.candidate.path().to_owned(),
            false => self.candidate.path().join(below),
        };
        let refuse = self.settings.refuse_writable;
        self.refused |= writable::report(&path, kind, refuse, &mut self.found.problems);
    }

    pub(super) fn problem(&mut self, path: &Path, kind: ProblemKind) {
        self.found.problems.push(Problem::error(path, kind));
    }

    /// The entry, when it is a file inside of the directory that can be read, whatever links lead to it.
    fn look_at_entry(&mut self, dir: &Dir, entry: &EntryPath) -> Option<EntryRecord> {
        let path = self.candidate.path().join(entry.as_path());
        let opened = open_file(dir, entry.as_path()).and_then(|file| file.metadata());
        let kind = match opened {
            Ok(metadata) if metadata.is_file() => {
                self.check_way(dir, entry.as_path());
                self.check(entry.as_path(), writable(&metadata));
                return Some(EntryRecord {
                    path: entry.clone(),
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

    /// Checks the directories between the plugin's and a file below it, by their names and by where links lead.
    pub(super) fn check_way(&mut self, dir: &Dir, file: &Path) {
        /// As many as Linux follows (path_resolution(7)).
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
            // The plugin's own directory was looked at.
            if below
                .components()
                .any(|part| matches!(part, Component::Normal(_)))
                && let Ok(metadata) = dir.metadata(&below)
            {
                self.check(&below, writable_cap(&metadata));
            }
        }
    }

    fn finish(&mut self, dir: PathBuf, summary: Summary, manifest: KeptManifest, entry: Option<EntryRecord>) {
        let Summary {
            id,
            version,
            format,
            host_version,
            without_scope,
            scope_only,
        } = summary;
        if !without_scope.is_empty() {
            self.warn(ProblemKind::CapabilityWithoutScope {
                capabilities: without_scope,
            });
        }
        if !scope_only.is_empty() {
            self.warn(ProblemKind::ScopeWithoutCapability {
                capabilities: scope_only,
            });
        }
        let mut incompatible = Vec::new();
        if entry.is_none() {
            let entries = manifest.get().map(|manifest| manifest.entry.iter());
            let offered = entries
                .into_iter()
                .flatten()
                .map(|(key, _)| key.to_string())
                .collect();
            incompatible.push(Incompatibility::Platform {
                id: id.clone(),
                here: self.settings.platform,
                offered,
            });
        }
        if let (Some(wanted), Some(host)) = (host_version, &self.settings.host_version)
            && !wanted.matches(host)
        {
            incompatible.push(Incompatibility::Host {
                id: id.clone(),
                here: host.clone(),
                wanted,
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
            id,
            format,
            found_at: (path != dir).then(|| path.to_owned()),
            dir,
            version: Some(version),
            manifest: Some(manifest),
            entry: entry.map(|entry| Entry {
                path: PathBuf::from(entry.path.as_str()),
                file: entry.file,
            }),
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
