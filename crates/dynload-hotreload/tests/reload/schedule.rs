//! Tests of random schedules of edits against a model of what must be loaded.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dynload_hotreload::{EventKind, Guard, WatchMode};
use proptest::prelude::*;

use crate::harness::*;

#[derive(Clone, Debug)]
enum Step {
    Save(Kind, Content),
    Touch,
    Delete,
    /// The directory is removed and created again, empty.
    Directory,
    /// Wait until every step so far has had its effect.
    Settle,
    Pause(u64),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rename,
    Truncate,
    DeleteAndCreate,
    Pieces,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Good(u64),
    /// Complete, but does not load.
    Broken(u64),
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Good(number) => text(number),
            Self::Broken(number) => format!("text broken{number} end"),
        }
    }
}

fn content() -> impl Strategy<Value = Content> {
    // Few numbers, so that the same content is repeated.
    prop_oneof![4 => (0..4u64).prop_map(Content::Good), 1 => (0..2u64).prop_map(Content::Broken)]
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(Kind::Rename),
        Just(Kind::Truncate),
        Just(Kind::DeleteAndCreate),
        Just(Kind::Pieces)
    ];
    prop_oneof![
        8 => (kind, content()).prop_map(|(kind, content)| Step::Save(kind, content)),
        1 => Just(Step::Touch),
        1 => Just(Step::Delete),
        1 => Just(Step::Directory),
        4 => Just(Step::Settle),
        2 => (0..8u64).prop_map(Step::Pause),
    ]
}

fn save(source: &Path, kind: Kind, content: &str) {
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    match kind {
        Kind::Rename => replace(source, content.as_bytes()),
        Kind::Truncate => fs::write(source, content).unwrap(),
        Kind::DeleteAndCreate => {
            let _ = fs::remove_file(source);
            fs::write(source, content).unwrap();
        }
        Kind::Pieces => {
            use std::io::Write;
            let mut file = fs::File::create(source).unwrap();
            content.bytes().for_each(|byte| file.write_all(&[byte]).unwrap());
        }
    }
}

/// The required behaviour of the reloader.
#[derive(Default)]
struct Model {
    /// The content of the file, if the file exists.
    file: Option<Content>,
    /// Every good content that was saved, in order, with a mark for content that must have been loaded.
    saved: Vec<(u64, bool)>,
}

impl Model {
    /// Returns the number that must be running when everything has settled: that of the file's content; `None` if
    /// that is broken or missing, because then the previous version keeps running.
    fn must_run(&self) -> Option<u64> {
        match self.file {
            Some(Content::Good(number)) => Some(number),
            _ => None,
        }
    }
}

fn play(steps: &[Step], mode: WatchMode) {
    let dir = Dir::new();
    let source = dir.write("dir/plugin.txt", text(100));
    let config = text_config(&source)
        .with_settle_timeout(Duration::from_secs(5))
        .with_watch_mode(mode);
    let reloader = text_reloader(config);
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let mut model = Model {
        file: Some(Content::Good(100)),
        saved: vec![(100, true)],
    };
    for step in steps {
        match step {
            Step::Save(kind, content) => {
                save(&source, *kind, &content.text());
                model.file = Some(*content);
                if let Content::Good(number) = content {
                    model.saved.push((*number, false));
                }
            }
            Step::Touch => {
                if let Ok(file) = fs::File::options().write(true).open(&source) {
                    file.set_modified(std::time::SystemTime::now()).unwrap();
                }
            }
            Step::Delete => {
                let _ = fs::remove_file(&source);
                model.file = None;
            }
            Step::Directory => {
                let _ = fs::remove_dir_all(dir.at("dir"));
                fs::create_dir(dir.at("dir")).unwrap();
                model.file = None;
            }
            Step::Pause(time) => std::thread::sleep(Duration::from_millis(*time)),
            Step::Settle => settle(&reloader, &mut model),
        }
    }
    // The last save is always good, so that there is something to wait for.
    save(&source, Kind::Rename, &text(101));
    model.file = Some(Content::Good(101));
    model.saved.push((101, false));
    settle(&reloader, &mut model);
    let runs = Guard::version(&reloader.current().unwrap());
    reloader.stop();

    trace.names();
    let hashes: Vec<_> = trace
        .seen
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Staged { hash, .. } => Some((event.attempt, hash)),
            _ => None,
        })
        .collect();
    let swapped: Vec<_> = trace
        .seen
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Swapped { .. }))
        .map(|event| {
            hashes
                .iter()
                .find(|(attempt, _)| *attempt == event.attempt)
                .unwrap()
                .1
        })
        .collect();
    assert_eq!(
        swapped.len() as u64,
        runs,
        "the number of swaps is not the version"
    );
    assert!(
        swapped.windows(2).all(|pair| pair[0] != pair[1]),
        "the same content was loaded twice in a row"
    );
    // Every loaded version was saved, in this order, and none that had to be loaded was missed.
    let mut at = 0;
    for hash in &swapped {
        let found = model.saved[at..]
            .iter()
            .position(|(number, _)| dynload_hotreload::ContentHash::of(text(*number).as_bytes()) == *hash);
        let found = at + found.expect("a version was never saved, or loaded out of order");
        at = found;
    }
    let must: Vec<_> = {
        let mut must: Vec<u64> = model
            .saved
            .iter()
            .filter(|(_, must)| *must)
            .map(|(number, _)| *number)
            .collect();
        must.dedup();
        must
    };
    let mut left = must
        .iter()
        .map(|number| dynload_hotreload::ContentHash::of(text(*number).as_bytes()))
        .peekable();
    for hash in &swapped {
        left.next_if_eq(hash);
    }
    assert_eq!(left.count(), 0, "a save that had to be loaded was missed");
}

/// Waits until the required version is running, and marks it as loaded.
#[track_caller]
fn settle(reloader: &dynload_hotreload::Reloader<TextLoader>, model: &mut Model) {
    let Some(number) = model.must_run() else { return };
    await_until("the content of the file is running", || {
        reloader.current().is_some_and(|guard| guard.call() == number)
    });
    model.saved.last_mut().unwrap().1 = true;
}

fn config(cases: u32) -> ProptestConfig {
    let cases = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        cases * 20
    } else {
        cases
    };
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    #[cfg_attr(windows, ignore = "Wine loses notifications that follow a removal")]
    fn schedules_with_notifications(steps in proptest::collection::vec(step(), 1..40)) {
        play(&steps, WatchMode::Native);
    }
}

proptest! {
    #![proptest_config(config(6))]

    #[test]
    fn schedules_with_polling(steps in proptest::collection::vec(step(), 1..20)) {
        play(&steps, WatchMode::Poll(Duration::from_millis(3)));
    }
}
