//! "Hot Reload".

use std::io::Result;
use std::time::{Duration, Instant};

use dynload_ffi::ErrorCode;
use dynload_ffi::abi::HotReloader;
use dynload_ffi::flat::{
    get_load_error_code, hot_reloader_check, hot_reloader_destroy, hot_reloader_get_function,
    hot_reloader_new, hot_reloader_start, hot_reloader_stop, hot_reloader_version,
};

use super::native::answer;
use crate::plugin_files::{answer_c, save};
use crate::stage::Stage;
use crate::text::Text;

/// How long the compiler may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn play(stage: &mut Stage) -> Result<()> {
    stage.chapter(
        "Hot reload: edit the source, and the new version runs",
        "The reloader watches the source, builds it when it is saved, and swaps in the new version. A version that does not build \
         changes nothing.",
    );
    std::fs::create_dir(stage.path("src"))?;
    let source = stage.path("src/plugin.c");
    std::fs::write(&source, answer_c(1))?;
    stage.note("src/plugin.c is written; its function answer() returns 1");
    // SAFETY: here and below: the strings outlive the calls, and the source is the one written here.
    let mut reloader = unsafe { hot_reloader_new(Text::new("src/plugin.c").at()) };
    reloader = hot_reloader_start(reloader);
    let started = "reloader = hot_reloader_start(hot_reloader_new(...))";
    stage.answer(
        started,
        format_args!("running {}, version {}", reloader.running, reloader.version),
        "running 1, version 1",
    );
    stage.answer(
        "hot_reloader_get_function(reloader, \"answer\")()",
        current(reloader),
        1,
    );
    stage.answer("hot_reloader_check(reloader)", hot_reloader_check(reloader), 0);

    save(&source, &answer_c(2))?;
    stage.note("src/plugin.c is saved; answer() now returns 2");
    stage.answer(
        "hot_reloader_check(reloader), until something happens",
        changed(reloader),
        1,
    );
    stage.answer(
        "hot_reloader_version(reloader)",
        hot_reloader_version(reloader),
        2,
    );
    stage.answer(
        "hot_reloader_get_function(reloader, \"answer\")()",
        current(reloader),
        2,
    );

    save(&source, "#error partway through an edit\n")?;
    stage.note("src/plugin.c is saved with an error in line 1");
    let check = changed(reloader);
    let check_call = "hot_reloader_check(reloader), until something happens";
    stage.compiler_failure(check_call, check, 0, &["plugin.c:1", "partway through an edit"]);
    stage.answer(
        "hot_reloader_version(reloader)",
        hot_reloader_version(reloader),
        2,
    );
    stage.answer(
        "hot_reloader_get_function(reloader, \"answer\")()",
        current(reloader),
        2,
    );

    save(&source, &answer_c(3))?;
    stage.note("src/plugin.c is repaired; answer() now returns 3");
    stage.answer(
        "hot_reloader_check(reloader), until something happens",
        until_new(reloader),
        1,
    );
    stage.answer(
        "hot_reloader_version(reloader)",
        hot_reloader_version(reloader),
        3,
    );
    stage.answer(
        "hot_reloader_get_function(reloader, \"answer\")()",
        current(reloader),
        3,
    );

    reloader = hot_reloader_stop(reloader);
    stage.answer(
        "reloader = hot_reloader_stop(reloader)",
        format_args!("running {}", reloader.running),
        "running 0",
    );
    stage.answer(
        "hot_reloader_destroy(reloader)",
        hot_reloader_destroy(reloader),
        1,
    );
    Ok(())
}

fn current(reloader: HotReloader) -> String {
    // SAFETY: the string outlives the call.
    answer(unsafe { hot_reloader_get_function(reloader, Text::new("answer").at()) })
}

/// Checks until there is a new version or an error, and returns the result of the last check.
fn changed(reloader: HotReloader) -> i64 {
    ask(reloader, |check| {
        check == 1 || get_load_error_code() != ErrorCode::Ok as i64
    })
}

/// Checks until there is a new version, and returns the result of the last check.
fn until_new(reloader: HotReloader) -> i64 {
    ask(reloader, |check| check == 1)
}

fn ask(reloader: HotReloader, enough: impl Fn(i64) -> bool) -> i64 {
    let begun = Instant::now();
    loop {
        let check = hot_reloader_check(reloader);
        if enough(check) || begun.elapsed() > PATIENCE {
            return check;
        }
        // A program would do its work here.
        std::thread::sleep(Duration::from_millis(5));
    }
}
