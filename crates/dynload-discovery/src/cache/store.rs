//! The file of the cache.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::codec::{Input, put_block};

/// Changes with the form of the file. The version of this crate is in the header too.
const MAGIC: &[u8; 8] = b"dynload\x02";
/// More than a hundred thousand plugins; what is larger is no cache.
const MAX_BYTES: u64 = 256 << 20;

/// The position of a record in the file: its key and its value.
#[derive(Clone, Debug)]
struct Position {
    key: Range<usize>,
    value: Range<usize>,
}

/// The records of a cache in binary form, each under the path of the file that it is about.
#[derive(Debug, Default)]
pub(crate) struct Store {
    bytes: Vec<u8>,
    /// Sorted by key.
    index: Vec<Position>,
    /// Records that are not in the file yet.
    fresh: BTreeMap<PathBuf, Vec<u8>>,
}

impl Store {
    /// What a file of the cache holds, for a host described by `stamp`. `Ok(None)` when there is no file.
    ///
    /// # Errors
    /// What is odd about the file, for the report.
    pub(crate) fn load(path: &Path, stamp: &str) -> Result<Option<Store>, &'static str> {
        // Somebody else could have put a link there, or a pipe, and put it there only now.
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_file() => return Err("it is no regular file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        let unreadable = |_| "it cannot be read";
        let file = open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err("it is no regular file");
        }
        if is_foreign(&metadata) {
            return Err("it belongs to another user");
        }
        if writable_by_others(&metadata) {
            return Err("others than its owner can write to it");
        }
        if metadata.len() > MAX_BYTES {
            return Err("it is too large");
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        let index = read_index(&bytes, stamp)?;
        Ok(Some(Store {
            bytes,
            index,
            fresh: BTreeMap::new(),
        }))
    }

    /// The record about `file`.
    pub(crate) fn get(&self, file: &Path) -> Option<&[u8]> {
        if let Some(bytes) = self.fresh.get(file) {
            return Some(bytes);
        }
        let at = self
            .index
            .binary_search_by(|position| self.bytes[position.key.clone()].cmp(key(file)));
        at.ok().map(|at| &self.bytes[self.index[at].value.clone()])
    }

    pub(crate) fn put(&mut self, file: &Path, bytes: Vec<u8>) {
        self.fresh.insert(file.to_owned(), bytes);
    }

    /// Adds the records that are not in the file of `other` yet.
    pub(crate) fn take_fresh(&mut self, other: Store) {
        self.fresh.extend(other.fresh);
    }

    /// Drops the records about files that no longer exist.
    pub(crate) fn forget_missing(&mut self) {
        let exists = |file: &Path| {
            let found = fs::symlink_metadata(file);
            !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let bytes = &self.bytes;
        self.index
            .retain(|position| path(&bytes[position.key.clone()]).is_none_or(|file| exists(&file)));
        self.fresh.retain(|file, _| exists(file));
    }

    /// Writes the records to `path`, which holds either all of the old or all of the new ones at any moment.
    ///
    /// Two processes that write at once each write a whole file; the last one stays. What the other had found is found
    /// again when it is needed.
    pub(crate) fn save(&self, path: &Path, stamp: &str) -> io::Result<()> {
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
        let mut body = Vec::with_capacity(self.bytes.len());
        for (key, value) in records {
            put_block(&mut body, key);
            put_block(&mut body, value);
        }
        let mut out = Vec::with_capacity(body.len() + 128);
        out.extend_from_slice(MAGIC);
        put_block(&mut out, stamp.as_bytes());
        out.extend_from_slice(&checksum(&body).to_le_bytes());
        out.extend_from_slice(&body);
        if out.len() as u64 > MAX_BYTES {
            let message = "the cache would be larger than 256 MiB: delete it";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        replace(path, &out)
    }
}

/// The key of a path.
fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The path of a key. Keys are compared and never shown, so only those that are valid text, or bytes of Unix, are decoded.
fn path(key: &[u8]) -> Option<PathBuf> {
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

fn read_index(bytes: &[u8], stamp: &str) -> Result<Vec<Position>, &'static str> {
    const SHORT: &str = "it is damaged";
    let mut input = Input(bytes);
    if input.bytes(MAGIC.len()) != Some(MAGIC) {
        return Err("it is no cache of this version");
    }
    if input.block() != Some(stamp.as_bytes()) {
        return Err("it is of another version or for another platform");
    }
    let sum = input.bytes(8).ok_or(SHORT)?;
    if sum != checksum(input.0).to_le_bytes() {
        return Err(SHORT);
    }
    let mut index: Vec<Position> = Vec::new();
    while !input.0.is_empty() {
        let key = input.block().ok_or(SHORT)?.len();
        let key = bytes.len() - input.0.len() - key..bytes.len() - input.0.len();
        let value = input.block().ok_or(SHORT)?.len();
        let value = bytes.len() - input.0.len() - value..bytes.len() - input.0.len();
        // Each key once, and in order.
        if index
            .last()
            .is_some_and(|last| bytes[last.key.clone()] >= bytes[key.clone()])
        {
            return Err(SHORT);
        }
        index.push(Position { key, value });
    }
    Ok(index)
}

/// Finds damage, not malice: whoever can write the file can write the sum too, and that is its owner.
///
/// Each step is a bijection of the state for a given word and of the word for a given state, so damage within one word
/// never goes unseen.
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

/// Puts `bytes` into a file of its own and renames it into place.
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
            // No sync: after a crash of the machine the sum tells that the content did not arrive.
            fs::rename(&temporary, path)
        });
    if written.is_err() {
        // Nothing more can be done about the leftover than what is done about one of a killed process.
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

/// Removes what processes that were killed in the middle left behind.
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

/// Opens a file, and neither follows a link nor waits for whoever writes to a pipe.
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

/// Whether a file is neither this user's nor the administrator's, so that its owner can change it at any time.
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

/// Whether group or others may write; never where there are no such bits.
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
