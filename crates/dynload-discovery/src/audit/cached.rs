//! Audits that are cached between runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Audit, Facts, hash, is_wat};
use crate::cache::{CacheLocation, Code, Fingerprint, Input, Store, now, record};
use crate::manifest::Format;
use crate::plugin::MAX_AUDIT_BYTES;
use crate::{EntryError, Platform, Plugin};

/// The facts about one file.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    file: Fingerprint,
    /// When the file was read.
    read_at: i64,
    hash: [u8; 32],
    facts: Facts,
}
record!(Record {
    file,
    read_at,
    hash,
    facts
});

/// Audits plugins, and caches the facts about their files.
#[derive(Debug)]
pub(crate) struct AuditCache {
    pub(crate) location: CacheLocation,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    store: Option<Store>,
    /// Whether the store has records that are not in the file.
    changed: bool,
    /// The files that were audited and whose records are too large for the store.
    left_out: BTreeSet<PathBuf>,
}

impl AuditCache {
    pub(crate) fn new(location: CacheLocation) -> AuditCache {
        AuditCache {
            location,
            state: Mutex::default(),
        }
    }

    /// Reads the cache file, unless it was read before.
    ///
    /// # Errors
    ///
    /// The path of the file, and the reason why it was discarded.
    pub(crate) fn open(&self, platform: Platform) -> Result<(), (PathBuf, &'static str)> {
        let mut state = self.state();
        if state.store.is_some() {
            return Ok(());
        }
        let Some(file) = self.location.path() else {
            return Ok(());
        };
        match Store::load(&file, &stamp(platform)) {
            Ok(store) => {
                state.store = Some(store.unwrap_or_default());
                Ok(())
            }
            Err(reason) => {
                state.store = Some(Store::default());
                Err((file, reason))
            }
        }
    }

    pub(crate) fn audit(&self, plugin: &Plugin, platform: Platform) -> Result<Audit, EntryError> {
        let (Some(path), Some(entry)) = (plugin.entry_path(), &plugin.entry) else {
            return Err(EntryError::None {
                id: plugin.id().clone(),
            });
        };
        // The scan reports a discarded file as a note; the audit starts without it.
        let _ = self.open(platform);
        let old = self.get(&path).filter(|old| old.facts.is_of(plugin.format()));
        if let Some(old) = &old
            && old.file == entry.file
            && old.file.settled_at(old.read_at)
            && crate::plugin::unchanged(&path, old.file)
        {
            return Ok(Audit::new(old.hash, old.facts.clone(), plugin, platform));
        }
        let read_at = now();
        let bytes = plugin.read_entry(MAX_AUDIT_BYTES)?;
        let hash = hash(&bytes);
        let facts = match old {
            Some(old) if old.hash == hash => old.facts,
            _ => Facts::of(plugin.format(), &bytes),
        };
        let record = Record {
            file: entry.file,
            read_at,
            hash,
            facts,
        };
        // The record does not say that the module was text, which other programs may not accept.
        if !(plugin.format() == Format::Wasm && is_wat(&bytes)) {
            self.put(&path, &record);
        }
        Ok(Audit::new(hash, record.facts, plugin, platform))
    }

    fn get(&self, file: &Path) -> Option<Record> {
        let state = self.state();
        let mut input = Input(state.store.as_ref()?.get(file)?);
        let record = Record::take(&mut input)?;
        input.0.is_empty().then_some(record)
    }

    fn put(&self, file: &Path, record: &Record) {
        let mut bytes = Vec::new();
        record.put(&mut bytes);
        let mut state = self.state();
        let left_out = state.store.get_or_insert_default().put(file, bytes);
        state.left_out.remove(file);
        state.left_out.extend(left_out);
        state.changed = !state.left_out.contains(file) || state.changed;
    }

    /// Writes the new records to the file, together with those that other programs have written since it was read. Returns the
    /// files whose records are not in it.
    pub(crate) fn save(&self, platform: Platform) -> std::io::Result<Vec<PathBuf>> {
        let mut state = self.state();
        let Some(file) = self.location.path() else {
            return Ok(Vec::new());
        };
        let mut missing: Vec<PathBuf> = state.left_out.iter().cloned().collect();
        if !state.changed {
            return Ok(missing);
        }
        let stamp = stamp(platform);
        let mut store = Store::load(&file, &stamp).ok().flatten().unwrap_or_default();
        store.take_fresh(state.store.take().unwrap_or_default());
        store.forget_missing();
        let saved = store.save(&file, &stamp);
        // Records that could not be written are written next time.
        state.changed = saved.is_err();
        state.store = Some(store);
        missing.extend(saved?);
        Ok(missing)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The store is consistent between two statements: a panic only loses records, which can be computed again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Identifies the readers of a cache file: another version may have other records, and another platform has other entries.
fn stamp(platform: Platform) -> String {
    format!(
        "{} {} {platform}",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let wasm = wat::parse_str(
            r#"(module (import "vais" "println" (func (param i32 i32))) (memory (export "memory") 1 2)
                (func (export "f") (param i64 f32) (result v128) unreachable))"#,
        )
        .unwrap();
        let native = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        [
            (Format::Wasm, &wasm[..]),
            (Format::Native, &native),
            (Format::Vais, b""),
        ]
        .into_iter()
        .map(|(format, bytes)| Record {
            file: Fingerprint::of(&std::fs::metadata(".").unwrap()),
            read_at: now(),
            hash: hash(bytes),
            facts: Facts::of(format, bytes),
        })
        .collect()
    }

    #[test]
    fn an_encoded_record_is_decoded_unchanged() {
        for record in records() {
            let mut bytes = Vec::new();
            record.put(&mut bytes);
            let mut input = Input(&bytes);
            assert_eq!(Record::take(&mut input), Some(record));
            assert!(input.0.is_empty());
        }
    }

    #[test]
    fn a_damaged_record_never_panics_and_a_truncated_one_is_refused() {
        for record in records() {
            let mut bytes = Vec::new();
            record.put(&mut bytes);
            for end in 0..bytes.len() {
                assert_eq!(
                    Record::take(&mut Input(&bytes[..end])),
                    None,
                    "truncated at {end}"
                );
            }
            for at in 0..bytes.len() {
                for value in [0, 0x7f, 0x80, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] = value;
                    let _ = Record::take(&mut Input(&damaged));
                }
            }
        }
    }
}
