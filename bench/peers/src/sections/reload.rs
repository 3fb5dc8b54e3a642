//! From renaming a library into place until its new code has been called.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dynload_bench_report::{Row, Unit};
use dynload_hotreload::{Config, NativePlugin, Reloader, native_loader};
use hot_lib_reloader::LibReloader;

use super::Found;
use crate::race::alone;
use crate::{Effort, Outcome};

const WHAT: &str = "reload";
const IDLE: &str = "processor time while nothing changes, of one core";
const OURS: &str = "dynload-hotreload";
/// The budget of the median, in seconds.
const LATENCY: f64 = 3e-3;
/// The budget, as a share of one core.
const IDLE_SHARE: f64 = 0.001;
/// Long enough for all threads to go to sleep, as between two edits of a person.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let folder = tempfile::tempdir()?;
    let versions = Versions::build(folder.path())?;
    let mut rows = ours(&versions, effort.of(100, 15), effort.of(10, 3))?;
    for (side, debounce, count) in [
        // Its watcher survives when it is dropped, so the side that needs less comes first.
        ("hot-lib-reloader, its default of 500 ms", None, effort.of(8, 2)),
        (
            "hot-lib-reloader, 1 ms",
            Some(Duration::from_millis(1)),
            effort.of(30, 5),
        ),
    ] {
        rows.extend(theirs(&versions, side, debounce, count, effort.of(5, 2))?);
    }
    Ok(Found { rows, curves: vec![] })
}

/// Two versions of a library, which replace each other.
struct Versions {
    folder: PathBuf,
    built: [PathBuf; 2],
}

impl Versions {
    fn build(folder: &Path) -> Outcome<Versions> {
        let build = |value: i64| -> Outcome<PathBuf> {
            let source = folder.join(format!("v{value}.c"));
            fs::write(&source, format!("long long value(void) {{ return {value}; }}"))?;
            let library = folder.join(format!("v{value}.so"));
            let status = Command::new("cc")
                .args(["-O2", "-shared", "-fPIC", "-o"])
                .args([&library, &source])
                .status()?;
            if status.success() {
                Ok(library)
            } else {
                Err("`cc` failed to build the library".into())
            }
        };
        Ok(Versions {
            folder: folder.to_owned(),
            built: [build(0)?, build(1)?],
        })
    }

    /// Creates a folder with version 0 of the library, and returns the library's path.
    fn installed(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder)?;
        let place = folder.join("libplugin.so");
        fs::copy(&self.built[0], &place)?;
        Ok(place)
    }

    /// Renames a version into place, and returns the time just before the rename.
    fn replace(&self, place: &Path, version: usize) -> Outcome<Instant> {
        let new = place.with_extension("new");
        fs::copy(&self.built[version], &new)?;
        fs::File::open(&new)?.sync_all()?;
        std::thread::sleep(PAUSE);
        let start = Instant::now();
        fs::rename(&new, place)?;
        Ok(start)
    }
}

fn ours(versions: &Versions, count: usize, idle_seconds: u64) -> Outcome<Vec<Row>> {
    let place = versions.installed("ours")?;
    // SAFETY: the libraries have no constructors, and define the called function with the type that it is called with.
    let loader = unsafe { native_loader!() };
    let reloader = Reloader::new(Config::new(&place).with_debounce(Duration::ZERO), loader)?;
    reloader.start()?;
    let call = || -> Outcome<i64> {
        let plugin: dynload_hotreload::Guard<NativePlugin> = reloader.current().ok_or("nothing is loaded")?;
        // SAFETY: the libraries define the function with this type.
        let value = unsafe { plugin.library().symbol::<extern "C" fn() -> i64>("value") }?;
        Ok(value())
    };
    let mut times = Vec::new();
    for n in 1..=count {
        let start = versions.replace(&place, n % 2)?;
        reloader
            .wait(Duration::from_secs(10))
            .ok_or("no reload was reported within 10 s")?;
        let value = call()?;
        times.push(start.elapsed().as_secs_f64());
        assert_eq!(value, (n % 2) as i64, "the old code was called");
    }
    let idle = idle_share(Duration::from_secs(idle_seconds))?;
    let rows = [
        alone(WHAT, OURS, Unit::Seconds, &times, Some(LATENCY)),
        alone(IDLE, OURS, Unit::Share, &[idle], Some(IDLE_SHARE)),
    ];
    Ok(rows.into_iter().flatten().collect())
}

fn theirs(
    versions: &Versions,
    side: &str,
    debounce: Option<Duration>,
    count: usize,
    idle_seconds: u64,
) -> Outcome<Vec<Row>> {
    let place = versions.installed(if debounce.is_some() { "theirs" } else { "default" })?;
    let folder = place.parent().ok_or("the library has no parent folder")?;
    let mut reloader = LibReloader::new(folder, "plugin", debounce, None)?;
    let changes = reloader.subscribe_to_file_changes();
    let mut times = Vec::new();
    for n in 1..=count {
        let start = versions.replace(&place, n % 2)?;
        loop {
            changes.recv_timeout(Duration::from_secs(10))?;
            if reloader.update()? {
                break;
            }
        }
        // SAFETY: the libraries define the function with this type.
        let value = unsafe { reloader.get_symbol::<extern "C" fn() -> i64>(b"value\0") }?();
        times.push(start.elapsed().as_secs_f64());
        assert_eq!(value, (n % 2) as i64, "the old code was called");
    }
    let idle = idle_share(Duration::from_secs(idle_seconds))?;
    let rows = [
        alone(WHAT, side, Unit::Seconds, &times, None),
        alone(IDLE, side, Unit::Share, &[idle], None),
    ];
    Ok(rows.into_iter().flatten().collect())
}

/// Returns the processor time of this process while it sleeps, as a share of the time (proc(5), schedstat: nanoseconds).
fn idle_share(time: Duration) -> Outcome<f64> {
    let before = used()?;
    std::thread::sleep(time);
    Ok(used()?.saturating_sub(before) as f64 / time.as_nanos() as f64)
}

fn used() -> Outcome<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        // The thread may have ended meanwhile.
        let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += stat
            .split(' ')
            .next()
            .and_then(|time| time.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(sum)
}
