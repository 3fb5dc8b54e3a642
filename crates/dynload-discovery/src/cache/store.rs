//! The cache file.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::codec::{Input, put_block};
use super::fit::drop_largest;

/// The first bytes of every version of the file.
const MAGIC: &[u8; 7] = b"dynload";
/// The version of the format. The version of this crate is also in the header.
const VERSION: u8 = 2;
/// The records of more than a hundred thousand plugins; a larger file is not a cache.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// The largest record, several times that of the largest real modules. The author of a plugin chooses the size of its record,
/// and must not displace those of others.
pub(super) const MAX_RECORD: usize = 256 << 10;

/// The position of a record in the file: its key and its value.
#[derive(Clone, Debug)]
struct Position {
    key: Range<usize>,
    value: Range<usize>,
}

/// The encoded records of a cache, each under the path of the file that it is about.
#[derive(Debug, Default)]
pub(crate) struct Store {
    bytes: Vec<u8>,
    /// Sorted by key.
    index: Vec<Position>,
    /// Records that are not in the file yet, and their size.
    fresh: BTreeMap<PathBuf, Vec<u8>>,
    fresh_bytes: usize,
}

impl Store {
    /// Reads a cache file, for a host described by `stamp`. `Ok(None)` if it does not exist, or if another version wrote it or
    /// it is for another platform.
    ///
    /// # Errors
    ///
    /// The reason why the file is discarded, for the report.
    pub(crate) fn load(path: &Path, stamp: &str) -> Result<Option<Store>, &'static str> {
        // Another user could have put a link or a pipe there. It could also appear after this check, so the opened file is
        // checked again.
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_file() => return Err("it is not a regular file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        let unreadable = |_| "it cannot be read";
        let file = open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err("it is not a regular file");
        }
        if is_foreign(&metadata) {
            return Err("it belongs to another user");
        }
        if writable_by_others(&metadata) {
            return Err("users other than its owner can write to it");
        }
        if metadata.len() > MAX_BYTES as u64 {
            return Err("it is too large");
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.take(MAX_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let index = read_index(&bytes, stamp)?;
        Ok(index.map(|index| Store {
            bytes,
            index,
            ..Store::default()
        }))
    }

    /// Returns the record about `file`.
    pub(crate) fn get(&self, file: &Path) -> Option<&[u8]> {
        if let Some(bytes) = self.fresh.get(file) {
            return Some(bytes);
        }
        let at = self
            .index
            .binary_search_by(|position| self.bytes[position.key.clone()].cmp(key(file)));
        at.ok().map(|at| &self.bytes[self.index[at].value.clone()])
    }

    /// Adds a record. Returns the files whose records are not kept: this one if it is too large, and the largest ones if all
    /// together are.
    pub(crate) fn put(&mut self, file: &Path, bytes: Vec<u8>) -> Vec<PathBuf> {
        if bytes.len() > MAX_RECORD {
            return vec![file.to_owned()];
        }
        self.fresh_bytes += bytes.len();
        let old = self.fresh.insert(file.to_owned(), bytes);
        self.fresh_bytes -= old.map_or(0, |old| old.len());
        if self.fresh_bytes <= MAX_BYTES {
            return Vec::new();
        }
        // To a half, so that this is seldom done.
        let mut records = self
            .fresh
            .iter()
            .map(|(file, value)| (key(file), value.as_slice()))
            .collect();
        let dropped: Vec<PathBuf> = drop_largest(&mut records, MAX_BYTES / 2)
            .into_iter()
            .filter_map(path_of)
            .collect();
        for file in &dropped {
            self.fresh_bytes -= self.fresh.remove(file).map_or(0, |old| old.len());
        }
        dropped
    }

    /// Adds the records of `other` that are not in its file yet.
    pub(crate) fn take_fresh(&mut self, other: Store) {
        self.fresh.extend(other.fresh);
        self.fresh_bytes = self.fresh.values().map(Vec::len).sum();
    }

    /// Drops the records about files that no longer exist.
    pub(crate) fn forget_missing(&mut self) {
        let exists = |file: &Path| {
            let found = fs::symlink_metadata(file);
            !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let bytes = &self.bytes;
        self.index
            .retain(|position| path_of(&bytes[position.key.clone()]).is_none_or(|file| exists(&file)));
        self.fresh.retain(|file, _| exists(file));
        self.fresh_bytes = self.fresh.values().map(Vec::len).sum();
    }

    /// Writes the records to `path`, which contains either all of the old or all of the new ones at any moment.
    ///
    /// Two processes that write at the same time each write a whole file; the last one remains. The records of the other are
    /// computed again when they are needed.
    ///
    /// Returns the files whose records do not fit, the largest records first: many small records are worth more than a few
    /// large ones.
    pub(crate) fn save(&self, path: &Path, stamp: &str) -> io::Result<Vec<PathBuf>> {
        let mut records: BTreeMap<&[u8], &[u8]> = self
            .index
            .iter()
            .map(|position| {
                (
                    &self.bytes[position.key.clone()],
                    &self.bytes[position.value.clone()],
                )
            })
            .collect();
        records.extend(
            self.fresh
                .iter()
                .map(|(file, value)| (key(file), value.as_slice())),
        );
        let dropped = drop_largest(&mut records, MAX_BYTES);
        let dropped = dropped.into_iter().filter_map(path_of).collect();
        let mut body = Vec::with_capacity(self.bytes.len());
        put_block(&mut body, stamp.as_bytes());
        for (key, value) in records {
            put_block(&mut body, key);
            put_block(&mut body, value);
        }
        let mut out = Vec::with_capacity(body.len() + 128);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&checksum(&body).to_le_bytes());
        out.extend_from_slice(&body);
        replace(path, &out)?;
        Ok(dropped)
    }
}

/// Returns the key of a path.
fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Returns the path of a key. Keys are compared and never displayed, so off Unix only those that are valid text are decoded.
fn path_of(key: &[u8]) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(key);
        Some(PathBuf::from(name))
    }
    #[cfg(not(unix))]
    {
        std::str::from_utf8(key).ok().map(PathBuf::from)
    }
}

/// Returns the positions of the records; `None` if another version wrote the file, or for another platform.
fn read_index(bytes: &[u8], stamp: &str) -> Result<Option<Vec<Position>>, &'static str> {
    const SHORT: &str = "it is damaged";
    let mut input = Input(bytes);
    if input.bytes(MAGIC.len()) != Some(MAGIC) {
        return Err("it is not a cache file");
    }
    if input.bytes(1).ok_or(SHORT)? != [VERSION] {
        return Ok(None);
    }
    let sum = input.bytes(8).ok_or(SHORT)?;
    if sum != checksum(input.0).to_le_bytes() {
        return Err(SHORT);
    }
    if input.block().ok_or(SHORT)? != stamp.as_bytes() {
        return Ok(None);
    }
    let mut index: Vec<Position> = Vec::new();
    while !input.0.is_empty() {
        let key = input.block().ok_or(SHORT)?.len();
        let key = bytes.len() - input.0.len() - key..bytes.len() - input.0.len();
        let value = input.block().ok_or(SHORT)?.len();
        let value = bytes.len() - input.0.len() - value..bytes.len() - input.0.len();
        // Keys are unique and in order.
        if index
            .last()
            .is_some_and(|last| bytes[last.key.clone()] >= bytes[key.clone()])
        {
            return Err(SHORT);
        }
        index.push(Position { key, value });
    }
    Ok(Some(index))
}

/// Detects damage, not tampering: whoever can write the file can also write the checksum, and only its owner can.
///
/// Each step is a bijection of the state for a given word and of the word for a given state, so damage within one word
/// is always detected.
fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| (state ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = words.iter().fold(bytes.len() as u64, |state, word| {
        mix(state, u64::from_le_bytes(*word))
    });
    for byte in rest {
        state = mix(state, u64::from(*byte));
    }
    mix(state, state >> 32)
}

/// Writes `bytes` to a temporary file and renames it to `path`.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    make_private_dir(dir)?;
    sweep(dir, &name.to_string_lossy());
    let temporary = temporary_name(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| {
            // No sync: after a crash of the machine, the checksum shows that the content was not written.
            fs::rename(&temporary, path)
        });
    if written.is_err() {
        // If this fails, `sweep` removes the file later, like that of a killed process.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time = super::now();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{time:x}-{number}.tmp", std::process::id()));
    PathBuf::from(name)
}

/// Removes the temporary files of processes that were killed while writing.
fn sweep(dir: &Path, name: &str) {
    const OLD: Duration = Duration::from_secs(600);
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let ours = found.to_str().is_some_and(|found| {
            found
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".tmp"))
        });
        let old = || {
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
            SystemTime::now()
                .duration_since(modified)
                .ok()
                .map(|age| age > OLD)
        };
        if ours && old() == Some(true) {
            // Another process may have swept it first.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Opens a file without following a symbolic link and without waiting for the writer of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    options.open(path)
}

/// Returns whether a file belongs to neither this user nor root, so that its owner can change it at any time.
fn is_foreign(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        let owner = std::os::unix::fs::MetadataExt::uid(metadata);
        owner != 0 && owner != rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Returns whether the group or others may write to a file; `false` on platforms without these permission bits.
pub(crate) fn writable_by_others(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::mode(metadata) & 0o022 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}
