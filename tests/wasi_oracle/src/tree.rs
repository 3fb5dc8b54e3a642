//! The directory that every sequence starts with, and what is compared of it afterwards.

use crate::outcome::explicit;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

/// The name of the guest's directory. The directory that contains it is compared too, to detect escapes.
pub(crate) const ROOT: &str = "root";

/// Bytes of a file that are compared. No sequence writes beyond, but the size can be set to more.
const COMPARED: u64 = 1 << 20;

/// Everything below a directory, by path.
pub type Tree = BTreeMap<String, Node>;

/// A file of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is, with its contents.
    pub kind: Kind,
    /// The number of hard links; 0 for directories.
    pub links: u64,
    /// The permissions.
    pub mode: u32,
    /// The access time, if it was set explicitly.
    pub atim: Option<u64>,
    /// The modification time, if it was set explicitly.
    pub mtim: Option<u64>,
}

/// The kind of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its size.
        size: u64,
        /// Its first bytes.
        bytes: Vec<u8>,
    },
    /// A symlink.
    Symlink(String),
    /// Anything else.
    Other,
}

/// Creates the tree.
///
/// # Panics
///
/// If a file cannot be created.
pub(crate) fn create(top: &Path) {
    let root = top.join(ROOT);
    for directory in ["d/e", "x", "g"] {
        fs::create_dir_all(root.join(directory)).expect("creates a directory");
    }
    fs::create_dir(top.join("outside")).expect("creates a directory");
    let many: Vec<u8> = (0..5000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let files: [(&str, &[u8]); 8] = [
        ("root/a", b"alpha"),
        ("root/b", &many),
        ("root/c", b""),
        ("root/d/a", b"nested"),
        ("root/d/e/f", b"deep"),
        ("root/g/h", b"one"),
        ("root/\u{e9}", b"not ASCII"),
        ("outside/secret", b"secret"),
    ];
    for (path, bytes) in files {
        fs::write(top.join(path), bytes).expect("creates a file");
    }
    let links = [
        ("a", "l"),
        ("d", "ld"),
        ("d/", "slash"),
        ("missing", "dangling"),
        ("loop", "loop"),
        ("l", "chain"),
        (".", "self"),
        ("../outside", "out"),
        ("/etc", "abs"),
        ("d/../a", "round"),
        ("../a", "d/up"),
        ("../..", "d/upper"),
        ("../ld", "d/back"),
    ];
    for (target, path) in links {
        symlink(target, root.join(path)).expect("creates a symlink");
    }
}

/// Returns everything below a directory.
///
/// # Panics
///
/// If something cannot be read.
pub(crate) fn snapshot(top: &Path) -> Tree {
    let mut found = Tree::new();
    below(top, "", &mut found);
    found
}

fn below(top: &Path, path: &str, found: &mut Tree) {
    for entry in fs::read_dir(top.join(path)).expect("reads a directory") {
        let name = entry.expect("reads a directory").file_name();
        let name = name.to_str().expect("names are UTF-8");
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}/{name}")
        };
        let at = top.join(&path);
        // First, because reading changes the access time.
        let metadata = fs::symlink_metadata(&at).expect("the entry exists");
        let nanoseconds = |seconds: i64, rest: i64| {
            let seconds = u64::try_from(seconds).ok()?;
            explicit(seconds.saturating_mul(1_000_000_000).saturating_add(rest as u64))
        };
        let ty = metadata.file_type();
        let kind = if ty.is_dir() {
            Kind::Directory
        } else if ty.is_symlink() {
            let target = fs::read_link(&at).expect("reads a symlink");
            Kind::Symlink(target.to_string_lossy().into_owned())
        } else if ty.is_fifo() || !ty.is_file() {
            Kind::Other
        } else {
            let mut bytes = Vec::new();
            let file = fs::File::open(&at).expect("opens a file");
            file.take(COMPARED).read_to_end(&mut bytes).expect("reads a file");
            Kind::File {
                size: metadata.len(),
                bytes,
            }
        };
        let node = Node {
            links: if ty.is_dir() { 0 } else { metadata.nlink() },
            mode: metadata.mode(),
            atim: nanoseconds(metadata.atime(), metadata.atime_nsec()),
            mtim: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            kind,
        };
        found.insert(path.clone(), node);
        if ty.is_dir() {
            below(top, &path, found);
        }
    }
}

/// Returns a line for each entry in which two trees differ.
#[must_use]
pub fn differences(sandbox: &Tree, wasmtime: &Tree) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = sandbox.keys().chain(wasmtime.keys()).collect();
    paths
        .into_iter()
        .filter(|path| sandbox.get(*path) != wasmtime.get(*path))
        .map(|path| {
            let [sandbox, wasmtime] = [sandbox.get(path), wasmtime.get(path)].map(describe);
            format!("{path}: {sandbox} in the sandbox, {wasmtime} in Wasmtime")
        })
        .collect()
}

fn describe(node: Option<&Node>) -> String {
    let Some(node) = node else {
        return "missing".to_owned();
    };
    let kind = match &node.kind {
        Kind::Directory => "directory".to_owned(),
        Kind::File { size, bytes } => {
            let shown = &bytes[..bytes.len().min(40)];
            format!("file of {size} bytes \"{}\"", shown.escape_ascii())
        }
        Kind::Symlink(target) => format!("symlink to \"{target}\""),
        Kind::Other => "special file".to_owned(),
    };
    format!(
        "{kind} ({} links, mode {:o}, atim {:?}, mtim {:?})",
        node.links, node.mode, node.atim, node.mtim
    )
}
