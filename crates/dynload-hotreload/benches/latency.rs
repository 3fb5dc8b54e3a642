//! Measures the time from a rename into place to the call of the new code, without build and debounce; and the cost
//! of waiting.
//!
//! `cargo bench -p dynload-hotreload` prints the times and fails if the median exceeds its budget. A number as
//! argument sets the number of reloads.
#![cfg_attr(not(unix), allow(unused))]

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use dynload_hotreload::{Config, NativePlugin, Reloader, native_loader};

/// The budget for the median time from the rename to the first call of the new code.
const LATENCY_BUDGET: Duration = Duration::from_millis(3);
/// The budget for the share of one processor that an idle reloader uses.
const IDLE_BUDGET: f64 = 0.001;

fn main() -> ExitCode {
    let reloads = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next()
        .unwrap_or(200);
    let dir = tempfile::tempdir().unwrap();
    let libraries: Vec<_> = (0..2)
        .map(|value| {
            let source = dir.path().join(format!("v{value}.c"));
            fs::write(&source, format!("long long value(void) {{ return {value}; }}")).unwrap();
            let library = dir.path().join(format!("v{value}.so"));
            let status = Command::new("cc")
                .args(["-O2", "-shared", "-fPIC", "-o"])
                .args([&library, &source])
                .status();
            assert!(status.unwrap().success());
            library
        })
        .collect();
    let plugins = dir.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let source = plugins.join("plugin.so");
    fs::copy(&libraries[0], &source).unwrap();

    // SAFETY: the library above has no constructors.
    let loader = unsafe { native_loader!() };
    let reloader = Reloader::new(Config::new(&source).with_debounce(Duration::ZERO), loader).unwrap();
    reloader.start().unwrap();
    assert_eq!(call(&reloader.current().unwrap()), 0);

    let mut times = Vec::new();
    for reload in 1..=reloads {
        let value = reload % 2;
        let new = plugins.join("new.so");
        fs::copy(&libraries[value], &new).unwrap();
        fs::File::open(&new).unwrap().sync_all().unwrap();
        // Long enough for all threads to fall asleep, as between two edits of a person.
        std::thread::sleep(Duration::from_millis(20));
        let saved = Instant::now();
        fs::rename(&new, &source).unwrap();
        reloader.wait(Duration::from_secs(10)).expect("a reload");
        let answered = call(&reloader.current().unwrap());
        times.push(saved.elapsed());
        assert_eq!(answered, value as i64);
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "rename to new code called, {reloads} reloads: median {:.2?} (budget {LATENCY_BUDGET:?}), fastest {:.2?}, p90 \
         {:.2?}, p99 {:.2?}",
        at(0.5),
        at(0.0),
        at(0.9),
        at(0.99)
    );
    let mut good = at(0.5) <= LATENCY_BUDGET;

    if let Some(share) = idle_share(Duration::from_secs(10)) {
        println!(
            "idle for 10 s: {:.4} % of one processor (budget {:.1} %)",
            share * 100.0,
            IDLE_BUDGET * 100.0
        );
        good &= share < IDLE_BUDGET;
    }
    if good {
        ExitCode::SUCCESS
    } else {
        println!("over budget");
        ExitCode::FAILURE
    }
}

fn call(plugin: &NativePlugin) -> i64 {
    // SAFETY: the libraries above define it with this type.
    let value = unsafe { plugin.library().symbol::<extern "C" fn() -> i64>("value") }.unwrap();
    value()
}

/// Returns the processor time of this process while it sleeps, as a share of the elapsed time (proc(5), schedstat:
/// nanoseconds).
fn idle_share(time: Duration) -> Option<f64> {
    let used = || -> Option<u64> {
        let mut sum = 0;
        for task in fs::read_dir("/proc/self/task").ok()? {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            sum += stat.split(' ').next()?.parse::<u64>().ok()?;
        }
        Some(sum)
    };
    let before = used()?;
    std::thread::sleep(time);
    Some((used()? - before) as f64 / time.as_nanos() as f64)
}
