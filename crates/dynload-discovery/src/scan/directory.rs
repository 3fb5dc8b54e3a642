//! Plugins that are a directory with a `plugin.toml`.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::list::{Candidate, writable};
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

struct Look<'a> {
    candidate: &'a Candidate,
    settings: &'a Settings,
    found: Found,
    /// Whether something about it is not accepted, so that it will not be listed.
    refused: bool,
}

/// A manifest as it was read from its file.
struct ReadManifest {
    text: Vec<u8>,
    file: Fingerprint,
}

impl Look<'_> {
    fn run(&mut self, record: Option<(DirRecord, KeptManifest)>) -> io::Result<()> {
        let real = &self.candidate.real;
        let real = if self.candidate.link {
            fs::canonicalize(real)?
        } else {
            real.clone()
        };
        if let Some((record, manifest)) = record
            && self.still_holds(&real, &record, &manifest)?
        {
            self.found.cached = true;
            self.finish(real, record.summary, manifest, record.entry);
            return Ok(());
        }
        let dir = Dir::open_ambient_dir(&real, ambient_authority())?;
        self.check_writable_cap("", &dir.dir_metadata()?);
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
            let record = DirRecord {
                manifest_file: read.file,
                manifest_hash: hash(&read.text),
                read_at: started,
                summary: summary.clone(),
                entry: entry.clone(),
            };
            let mut form = Vec::with_capacity(512);
            record.put(&mut form);
            manifest.put(&mut form);
            self.found.fresh = Some(form);
        }
        self.finish(real, summary, KeptManifest::read(manifest), entry);
        Ok(())
    }

    /// Whether what the record was made from is still there and the same. These are looked at by their paths: the same
    /// device, inode, size and times say that the file is the one that was opened inside of the directory before.
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
        let entry = match &record.entry {
            None => None,
            Some(entry) => {
                path.pop();
                path.push(entry.path.as_path());
                // Through links, as it was found: the file behind them must be the same.
                match fs::metadata(&path) {
                    Ok(found) if found.is_file() && Fingerprint::of(&found) == entry.file => {
                        Some((entry.path.as_str(), found))
                    }
                    _ => return Ok(false),
                }
            }
        };
        self.check_writable("", &dir);
        self.check_writable(Manifest::FILE_NAME, &manifest);
        if let Some((path, found)) = entry {
            self.check_writable(path, &found);
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

    /// `below` is a path in the plugin's directory; empty for the directory itself.
    fn check_writable(&mut self, below: &str, metadata: &Metadata) {
        if let Some(kind) = writable(metadata) {
            self.writable(below, kind);
        }
    }

    /// The same, for what was opened inside of a directory.
    fn check_writable_cap(&mut self, below: &str, metadata: &cap_std::fs::Metadata) {
        #[cfg(unix)]
        {
            let mode = cap_std::fs::MetadataExt::mode(metadata);
            if mode & 0o022 != 0 {
                self.writable(below, ProblemKind::WritableByOthers { mode });
            }
        }
        #[cfg(not(unix))]
        let _ = (below, metadata);
    }

    fn writable(&mut self, below: &str, kind: ProblemKind) {
        let path = match below {
            "" => self.candidate.path().to_owned(),
            below => self.candidate.path().join(below),
        };
        let severity = if self.settings.refuse_writable {
            Severity::Error
        } else {
            Severity::Warning
        };
        self.refused |= self.settings.refuse_writable;
        self.found.problems.push(Problem::new(&path, severity, kind));
    }

    fn problem(&mut self, path: &Path, kind: ProblemKind) {
        self.found.problems.push(Problem::error(path, kind));
    }

    /// The text of the manifest, from one state of the file.
    fn read_manifest(&mut self, dir: &Dir) -> io::Result<Option<ReadManifest>> {
        let path = self.candidate.path().join(Manifest::FILE_NAME);
        // A file that is still being written settles, or the next scan finds it.
        for _ in 0..3 {
            let mut file = match open_file(dir, Path::new(Manifest::FILE_NAME)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let note = Problem::new(self.candidate.path(), Severity::Note, ProblemKind::NoManifest);
                    self.found.problems.push(note);
                    return Ok(None);
                }
                Err(error) if is_escape(&error) => {
                    self.problem(
                        &path,
                        ProblemKind::EntryEscapes {
                            entry: Manifest::FILE_NAME.to_owned(),
                        },
                    );
                    return Ok(None);
                }
                Err(error) => {
                    self.found.problems.push(Problem::io(&path, error));
                    return Ok(None);
                }
            };
            let before = file.metadata()?;
            if !before.is_file() {
                self.problem(&path, ProblemKind::NotAFile);
                return Ok(None);
            }
            if before.len() > Manifest::MAX_BYTES {
                self.problem(
                    &path,
                    ProblemKind::TooLarge {
                        bytes: before.len(),
                        limit: Manifest::MAX_BYTES,
                    },
                );
                return Ok(None);
            }
            let print = Fingerprint::of(&before);
            let mut text = vec![0; before.len() as usize];
            match file.read_exact(&mut text) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => {
                    self.found.problems.push(Problem::io(&path, error));
                    return Ok(None);
                }
            }
            // The same size and times before and after: this is one state of the file.
            if print == Fingerprint::of(&file.metadata()?) {
                self.check_writable(Manifest::FILE_NAME, &before);
                return Ok(Some(ReadManifest { text, file: print }));
            }
        }
        self.problem(&path, ProblemKind::Changing);
        Ok(None)
    }

    fn parse(&mut self, read: &ReadManifest) -> Option<Manifest> {
        let path = self.candidate.path().join(Manifest::FILE_NAME);
        let text = match std::str::from_utf8(&read.text) {
            Ok(text) => text,
            Err(error) => {
                let before = &read.text[..error.valid_up_to()];
                let line = before.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
                let kind = ProblemKind::NotUtf8 {
                    at: error.valid_up_to(),
                };
                self.found.problems.push(Problem {
                    line: Some(line),
                    ..Problem::error(&path, kind)
                });
                return None;
            }
        };
        match Manifest::parse(text) {
            Ok(manifest) => Some(manifest),
            Err(errors) => {
                for error in errors.into_errors() {
                    let line = Some(error.line());
                    let kind = ProblemKind::Manifest(error.into_kind());
                    self.found.problems.push(Problem {
                        line,
                        ..Problem::error(&path, kind)
                    });
                }
                None
            }
        }
    }

    /// The entry, when it is a file inside of the directory, whatever links lead to it.
    fn look_at_entry(&mut self, dir: &Dir, entry: &EntryPath) -> Option<EntryRecord> {
        let path = self.candidate.path().join(entry.as_path());
        let kind = match dir.metadata(entry.as_path()) {
            Ok(metadata) if metadata.is_file() => {
                let file = Fingerprint::of_cap(&metadata);
                self.check_writable_cap(entry.as_str(), &metadata);
                return Some(EntryRecord {
                    path: entry.clone(),
                    file,
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
