//! Tests of many edits in a row, with every kind of save: none is missed and none is loaded twice, with calls
//! running throughout.

use std::fs;
use std::io::Write;
#[cfg(unix)]
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynload_hotreload::{EventKind, WatchMode};

use crate::harness::*;

/// Makes `edits` edits with `save` and checks that each becomes exactly one version.
fn edits_in_a_row(edits: u64, mode: WatchMode, mut save: impl FnMut(&Path, &str)) {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(0));
    // On a busy disk, the writer may be delayed in the middle of a write.
    let config = text_config(&source)
        .with_watch_mode(mode)
        .with_settle_timeout(ROOM);
    let reloader = Arc::new(text_reloader(config));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1, "{:?}", reloader.last_error());
    let callers = Callers::start(&reloader, Text::call);
    for edit in 1..=edits {
        save(&source, &text(edit));
        await_version(&reloader, edit + 1);
        assert_eq!(reloader.current().unwrap().call(), edit);
    }
    let seen = callers.finish();
    assert!(seen.iter().all(|number| *number <= edits));
    reloader.stop();
    assert_eq!(trace.count("swapped") as u64, edits + 1);
    assert_eq!(trace.failures(), [""; 0]);
    assert_eq!(
        trace.count("retired") as u64,
        edits,
        "not every version except the last was retired"
    );
}

fn by_rename(source: &Path, content: &str) {
    replace(source, content.as_bytes());
}

fn by_delete_and_create(source: &Path, content: &str) {
    fs::remove_file(source).unwrap();
    fs::write(source, content).unwrap();
}

#[test]
fn rename_1000() {
    edits_in_a_row(1000, WatchMode::Auto, by_rename);
}

#[test]
fn truncate_and_write_1000() {
    edits_in_a_row(1000, WatchMode::Auto, |source, content| {
        fs::write(source, content).unwrap()
    });
}

#[test]
#[cfg_attr(windows, ignore = "Wine loses notifications that follow a removal")]
fn delete_and_create_1000() {
    edits_in_a_row(1000, WatchMode::Auto, by_delete_and_create);
}

#[test]
fn write_in_pieces_200() {
    edits_in_a_row(200, WatchMode::Auto, |source, content| {
        let mut file = fs::File::create(source).unwrap();
        for byte in content.as_bytes() {
            file.write_all(&[*byte]).unwrap();
        }
    });
}

#[test]
#[cfg_attr(
    windows,
    ignore = "in Wine, a removed file keeps its name until its last reader closes it"
)]
fn hard_link_into_place_200() {
    edits_in_a_row(200, WatchMode::Auto, |source, content| {
        let new = source.with_extension("new");
        let _ = fs::remove_file(&new);
        fs::write(&new, content).unwrap();
        fs::remove_file(source).unwrap();
        fs::hard_link(&new, source).unwrap();
    });
}

#[cfg(unix)]
#[test]
fn symlink_flip_200() {
    edits_in_a_row(200, WatchMode::Auto, |source, content| {
        let target = source.with_extension(content.replace(' ', "-"));
        fs::write(&target, content).unwrap();
        let link = source.with_extension("link");
        symlink(&target, &link).unwrap();
        fs::rename(&link, source).unwrap();
    });
}

#[cfg(unix)]
#[test]
fn write_through_a_symlink_200() {
    let dir = Dir::new();
    let real = dir.write("elsewhere/real.txt", text(0));
    let links = Dir::new();
    symlink(&real, links.at("plugin.txt")).unwrap();
    let reloader = text_reloader(text_config(&links.at("plugin.txt")));
    reloader.start().unwrap();
    for edit in 1..=200 {
        match edit % 2 {
            0 => by_rename(&real, &text(edit)),
            _ => fs::write(&real, text(edit)).unwrap(),
        }
        await_version(&reloader, edit + 1);
        assert_eq!(reloader.current().unwrap().call(), edit);
    }
}

/// The way in which Kubernetes and Nix publish: a whole directory behind a link that is retargeted.
#[cfg(unix)]
#[test]
fn directory_symlink_flip_100() {
    let dir = Dir::new();
    dir.write("v0/plugin.txt", text(0));
    symlink("v0", dir.at("current")).unwrap();
    let reloader = text_reloader(text_config(&dir.at("current/plugin.txt")));
    reloader.start().unwrap();
    for edit in 1..=100 {
        dir.write(&format!("v{edit}/plugin.txt"), text(edit));
        symlink(format!("v{edit}"), dir.at("next")).unwrap();
        fs::rename(dir.at("next"), dir.at("current")).unwrap();
        await_version(&reloader, edit + 1);
        assert_eq!(reloader.current().unwrap().call(), edit);
    }
}

#[test]
fn polling_15_of_each() {
    let mode = WatchMode::Poll(Duration::from_millis(2));
    edits_in_a_row(15, mode, by_rename);
    edits_in_a_row(15, mode, |source, content| fs::write(source, content).unwrap());
    edits_in_a_row(15, mode, by_delete_and_create);
}

#[test]
fn saving_the_same_content_repeatedly_makes_one_version() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source).with_settle_timeout(ROOM));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    for _ in 0..50 {
        by_rename(&source, &text(1));
        fs::write(&source, text(1)).unwrap();
        fs::File::open(&source)
            .unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
        by_delete_and_create(&source, &text(1));
    }
    // A later save with other content is noticed, and is the second version.
    by_rename(&source, &text(2));
    await_version(&reloader, 2);
    assert_eq!(trace.count("swapped"), 2);
    assert_eq!(trace.failures(), [""; 0]);
}

#[test]
fn a_partly_written_file_is_waited_for() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source).with_settle_timeout(ROOM));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let mut file = fs::File::create(&source).unwrap();
    file.write_all(b"text 2").unwrap();
    // Longer than the wait for a quiet writer: the file is looked at, and found to be incomplete.
    assert_eq!(reloader.wait(Duration::from_millis(600)), None);
    assert_eq!(reloader.current().unwrap().call(), 1);
    file.write_all(b" end").unwrap();
    drop(file);
    await_version(&reloader, 2);
    assert_eq!(trace.failures(), [""; 0]);
    assert_eq!(reloader.current().unwrap().call(), 2);
}

#[test]
fn a_file_that_stays_incomplete_is_a_failure_and_the_old_version_stays() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    by_rename(&source, "text 2");
    let (step, error) = trace.await_failure();
    assert_eq!(step.to_string(), "load");
    assert_eq!(error.report(), "cannot load the new version: the end is missing");
    assert_eq!(reloader.current().unwrap().call(), 1);
    assert_eq!(reloader.last_error().unwrap().report(), error.report());
    by_rename(&source, &text(1));
    trace.await_name("unchanged");
    assert!(
        reloader.last_error().is_none(),
        "the file is identical to the running version"
    );
    assert_eq!(reloader.version(), 1);
}

/// A linker makes its output executable when it is done, which may be after the file was looked at.
#[test]
#[cfg(unix)]
fn a_change_of_the_mode_is_not_a_second_failure() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    by_rename(&source, "text two end");
    trace.await_failure();
    for mode in [0o755, 0o644, 0o755, 0o644] {
        fs::set_permissions(&source, fs::Permissions::from_mode(mode)).unwrap();
        // Enough time for one look at each change.
        std::thread::sleep(Duration::from_millis(100));
    }
    by_rename(&source, &text(1));
    trace.await_name("unchanged");
    assert_eq!(trace.failures().len(), 1, "{:?}", trace.failures());
    // Content that is saved again is tried again: a missing dependency may exist now.
    by_rename(&source, "text two end");
    trace.await_failure();
    by_rename(&source, "text two end");
    trace.await_failure();
}

#[test]
fn a_writer_that_never_closes_the_file_does_not_block_the_reload() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(text_config(&source));
    reloader.start().unwrap();
    let mut file = fs::File::create(&source).unwrap();
    file.write_all(text(2).as_bytes()).unwrap();
    await_version(&reloader, 2);
    drop(file);
}

#[test]
fn debounce_uses_the_trailing_edge() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(0));
    // Longer than a busy machine pauses between two saves.
    let debounce = Duration::from_secs(2);
    let reloader = text_reloader(text_config(&source).with_debounce(debounce));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    for edit in 1..=20 {
        by_rename(&source, &text(edit));
        std::thread::sleep(Duration::from_millis(5));
    }
    await_version(&reloader, 2);
    assert_eq!(reloader.current().unwrap().call(), 20);
    trace.await_some("the second version", |kind| {
        matches!(kind, EventKind::Swapped { version: 2, .. }).then_some(())
    });
    let waited = trace.seen.last().unwrap().since_change.unwrap();
    assert!(waited >= debounce + Duration::from_millis(19 * 5), "{waited:?}");
}
