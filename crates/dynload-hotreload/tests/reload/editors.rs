//! Tests of the ways in which editors save, simulated step by step, and with some real editors.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::*;

const EDITS: u64 = 25;

/// Saves with `save` and expects one version each time, without a debounce and with a short one.
fn saves(save: impl Fn(&Path, &str)) {
    for debounce in [Duration::ZERO, Duration::from_millis(20)] {
        let dir = Dir::new();
        let source = dir.write("plugin.txt", text(0));
        let reloader = text_reloader(
            text_config(&source)
                .with_debounce(debounce)
                .with_settle_timeout(ROOM),
        );
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        for edit in 1..=EDITS {
            save(&source, &text(edit));
            await_version(&reloader, edit + 1);
            assert_eq!(reloader.current().unwrap().call(), edit);
        }
        assert_eq!(trace.failures(), [""; 0]);
    }
}

fn beside(source: &Path, name: &str) -> PathBuf {
    source.with_file_name(name)
}

fn write_and_sync(path: &Path, content: &str) {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.sync_all().unwrap();
}

/// Vim with `backupcopy=no`: creates a test file, renames the original to a backup, writes a new file, removes the
/// backup.
#[test]
fn vim_by_renaming() {
    saves(|source, content| {
        let probe = beside(source, "4913");
        drop(File::create(&probe).unwrap());
        fs::set_permissions(&probe, fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(&probe).unwrap();
        fs::write(beside(source, ".plugin.txt.swp"), content).unwrap();
        let backup = beside(source, "plugin.txt~");
        fs::rename(source, &backup).unwrap();
        write_and_sync(source, content);
        fs::set_permissions(source, fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(&backup).unwrap();
        fs::remove_file(beside(source, ".plugin.txt.swp")).unwrap();
    });
}

/// Vim with `backupcopy=yes`: copies the original to a backup, truncates and writes the original.
#[test]
fn vim_by_copying() {
    saves(|source, content| {
        let backup = beside(source, "plugin.txt~");
        fs::copy(source, &backup).unwrap();
        write_and_sync(source, content);
        fs::remove_file(&backup).unwrap();
    });
}

/// VS Code: truncates the file and writes it in place.
#[test]
fn vs_code() {
    saves(|source, content| {
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(source)
            .unwrap();
        file.write_all(content.as_bytes()).unwrap();
    });
}

/// VS Code and others when the file needs care: write a new file beside it and rename it over the original.
#[test]
fn atomic_save() {
    saves(|source, content| {
        let new = beside(source, "plugin.txt.vsctmp");
        write_and_sync(&new, content);
        fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).unwrap();
        fs::rename(&new, source).unwrap();
    });
}

/// Emacs: creates a lock that is a dangling link, renames the original to `~`, writes a new file, sets its mode.
#[test]
fn emacs() {
    saves(|source, content| {
        let lock = beside(source, ".#plugin.txt");
        let _ = fs::remove_file(&lock);
        std::os::unix::fs::symlink("user@host.1:1", &lock).unwrap();
        fs::rename(source, beside(source, "plugin.txt~")).unwrap();
        write_and_sync(source, content);
        fs::set_permissions(source, fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(&lock).unwrap();
    });
}

/// `sed -i`: writes a new file with a random name and renames it over the original.
#[test]
fn sed_itself() {
    saves(|source, content| {
        let expression = format!("s/.*/{content}/");
        let status = Command::new("sed")
            .args(["-i", "-e", &expression])
            .arg(source)
            .status()
            .unwrap();
        assert!(status.success());
    });
}

/// The real Vim, if it is installed, with all backup methods.
#[test]
fn vim_itself() {
    let vim = |source: &Path, content: &str, copy: &str| {
        Command::new("vim")
            .args([
                "-u",
                "NONE",
                "-es",
                "-c",
                &format!("set backupcopy={copy} writebackup"),
            ])
            .args(["-c", &format!("%s/.*/{content}/"), "-c", "wq"])
            .arg(source)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    };
    let dir = Dir::new();
    if vim(&dir.write("try.txt", "x"), "y", "no").is_err() {
        eprintln!("skipped: vim is not installed");
        return;
    }
    for copy in ["no", "yes", "auto"] {
        let source = dir.write(&format!("{copy}.txt"), text(0));
        let reloader = text_reloader(text_config(&source));
        reloader.start().unwrap();
        for edit in 1..=5 {
            assert!(vim(&source, &text(edit), copy).unwrap().success());
            await_version(&reloader, edit + 1);
            assert_eq!(reloader.current().unwrap().call(), edit);
        }
    }
}
