//! Tests of noticing changes: removed directories, polling, limits.

use std::fs;
#[cfg(target_os = "linux")]
use std::process::Command;
use std::time::Duration;

use dynload_hotreload::{EventKind, PollReason, StartError, WatchError, WatchLimit, WatchMode, WatchState};

use crate::harness::*;

#[test]
#[cfg_attr(windows, ignore = "a directory that is watched cannot be removed on Windows")]
fn a_directory_that_is_removed_and_created_again() {
    let dir = Dir::new();
    let source = dir.write("a/b/plugin.txt", text(0));
    let reloader = text_reloader(text_config(&source).with_settle_timeout(ROOM));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    for edit in 1..=20 {
        fs::remove_dir_all(dir.at(if edit % 2 == 0 { "a" } else { "a/b" })).unwrap();
        if edit % 5 == 0 {
            let missing = trace.await_some("loss", |kind| match kind {
                EventKind::Watch {
                    state: WatchState::Lost { missing, .. },
                    ..
                } => Some(missing.clone()),
                _ => None,
            });
            assert!(source.starts_with(missing));
        }
        assert_eq!(
            reloader.current().unwrap().call(),
            edit - 1,
            "the running version was lost"
        );
        dir.write("a/b/plugin.txt", text(edit));
        await_version(&reloader, edit + 1);
        assert_eq!(reloader.current().unwrap().call(), edit);
    }
    await_until("the directory is watched again", || {
        reloader.watch_state() == WatchState::Active
    });
    assert_eq!(trace.failures(), [""; 0]);
}

#[test]
fn a_directory_that_is_replaced_by_another() {
    let dir = Dir::new();
    let source = dir.write("dist/lib/plugin.txt", text(0));
    let reloader = text_reloader(text_config(&source));
    reloader.start().unwrap();
    for edit in 1..=4 {
        // The directory itself, or its parent, whose replacement no event reports and the periodic check finds.
        let replaced = if edit % 2 == 0 { "dist" } else { "dist/lib" };
        let file = if edit % 2 == 0 {
            "new/lib/plugin.txt"
        } else {
            "new/plugin.txt"
        };
        dir.write(file, text(edit));
        fs::rename(dir.at(replaced), dir.at(&format!("old{edit}"))).unwrap();
        fs::rename(dir.at("new"), dir.at(replaced)).unwrap();
        await_version(&reloader, edit + 1);
        assert_eq!(reloader.current().unwrap().call(), edit);
        // Later changes in the new directory are noticed too.
        fs::write(dir.at(&format!("old{edit}")).join("decoy.txt"), "x").unwrap();
    }
    fs::write(&source, text(5)).unwrap();
    await_version(&reloader, 6);
}

#[test]
fn a_path_that_does_not_exist_yet_is_loaded_when_it_appears() {
    let dir = Dir::new();
    let reloader = text_reloader(text_config(&dir.at("x/y/z/plugin.txt")));
    reloader.start().unwrap();
    assert_eq!(reloader.watch_state(), WatchState::Lost { missing: dir.at("x") });
    dir.write("x/y/z/plugin.txt", text(1));
    await_version(&reloader, 1);
}

#[test]
#[cfg_attr(windows, ignore = "counts threads in /proc")]
fn many_reloaders_share_one_watching_thread() {
    let dir = Dir::new();
    let reloaders: Vec<_> = (0..30)
        .map(|number| {
            let source = dir.write(&format!("d{}/plugin{number}.txt", number % 3), text(0));
            let reloader = text_reloader(text_config(&source));
            reloader.start().unwrap();
            reloader
        })
        .collect();
    let watching = || {
        fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|name| name.trim_end() == "dynload watch")
            .count()
    };
    // The thread of another test that has just ended may still be exiting.
    await_until("one thread watches", || watching() == 1);
    for round in 1..=3 {
        for (number, reloader) in reloaders.iter().enumerate() {
            fs::write(reloader.source(), text(round * 100 + number as u64)).unwrap();
        }
        for (number, reloader) in reloaders.iter().enumerate() {
            await_version(reloader, round + 1);
            assert_eq!(reloader.current().unwrap().call(), round * 100 + number as u64);
        }
    }
}

#[cfg(unix)]
#[test]
fn two_reloaders_of_one_directory_do_not_disturb_each_other() {
    let dir = Dir::new();
    let real = dir.write("real/a.txt", text(0));
    dir.write("real/b.txt", text(0));
    std::os::unix::fs::symlink("real", dir.at("alias")).unwrap();
    let a = text_reloader(text_config(&real));
    let b = text_reloader(text_config(&dir.at("alias/b.txt")));
    a.start().unwrap();
    b.start().unwrap();
    dir.write("real/a.txt", text(1));
    await_version(&a, 2);
    dir.write("real/b.txt", text(1));
    await_version(&b, 2);
    a.stop();
    dir.write("alias/b.txt", text(2));
    await_version(&b, 3);
    assert_eq!(a.version(), 2);
}

#[test]
fn polling_is_reported_and_finds_changes() {
    let dir = Dir::new();
    let interval = Duration::from_millis(5);
    let source = dir.write("plugin.txt", text(0));
    let reloader = text_reloader(text_config(&source).with_watch_mode(WatchMode::Poll(interval)));
    reloader.start().unwrap();
    assert_eq!(
        reloader.watch_state(),
        WatchState::Polling {
            interval,
            reason: PollReason::Configured
        }
    );
    // The same length as before, within the same tick of the file system's clock.
    for edit in 1..=9 {
        fs::write(&source, text(edit)).unwrap();
        await_version(&reloader, edit + 1);
    }
}

/// Runs one of the tests below in a user namespace with an inotify limit of `value`.
#[cfg(target_os = "linux")]
fn with_limit(setting: &str, value: u32, test: &str) {
    let command = format!("echo {value} > /proc/sys/user/{setting} && exec \"$0\" --exact --ignored {test}");
    let output = Command::new("unshare")
        .args(["-Ur", "sh", "-c", &command])
        .arg(std::env::current_exe().unwrap())
        .output();
    match output {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("1 passed") => {}
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            // Not every machine allows users to create namespaces; then the limit cannot be set.
            let is_forbidden = errors.contains("unshare failed") || errors.contains("uid_map");
            assert!(
                is_forbidden,
                "{}{errors}",
                String::from_utf8_lossy(&output.stdout)
            );
            eprintln!("skipped: {errors}");
        }
        Err(error) => eprintln!("skipped: no `unshare`: {error}"),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn exhausted_inotify_instances_lead_to_polling() {
    with_limit("max_inotify_instances", 0, "watching::without_instances");
}

#[test]
#[cfg(target_os = "linux")]
fn exhausted_inotify_watches_lead_to_polling() {
    with_limit("max_inotify_watches", 0, "watching::without_watches");
}

#[test]
#[ignore = "started by `exhausted_inotify_instances_lead_to_polling` where the limit is 0"]
fn without_instances() {
    falls_back(WatchLimit::Instances);
}

#[test]
#[ignore = "started by `exhausted_inotify_watches_lead_to_polling` where the limit is 0"]
fn without_watches() {
    falls_back(WatchLimit::Watches);
}

fn falls_back(expected: WatchLimit) {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(0));
    let native = text_reloader(text_config(&source).with_watch_mode(WatchMode::Native));
    match native.start() {
        Err(StartError::Watch(WatchError::Limit { limit, .. })) if limit == expected => {}
        other => panic!("{other:?}"),
    }
    assert!(!native.is_running());
    let reloader = text_reloader(text_config(&source));
    reloader.start().unwrap();
    match reloader.watch_state() {
        WatchState::Polling {
            reason: PollReason::Limit(limit),
            ..
        } if limit == expected => {}
        other => panic!("{other:?}"),
    }
    fs::write(&source, text(1)).unwrap();
    await_version(&reloader, 2);
}

#[test]
fn a_limit_error_names_its_setting() {
    let error = WatchError::Limit {
        limit: WatchLimit::Watches,
        value: Some(8192),
    };
    assert_eq!(
        error.to_string(),
        "the limit fs.inotify.max_user_watches (8192) is exhausted: raise it with `sysctl \
         fs.inotify.max_user_watches=N`, or use polling"
    );
}
