//! Tests of builders: those chosen by the source's name, custom commands, and how builds end.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dynload_hotreload::{BuildCommand, Builder, Config, EventKind, ReloadError, Reloader, StartError, Step};

use crate::harness::*;
use crate::native::{call, loader};

/// Returns the settings for a text plugin that a script builds, with the source and the output as arguments.
fn scripted(dir: &Dir, source: &Path, body: &str) -> Config {
    let script = script(dir, "tools/build", body);
    text_config(source)
        .with_builder(Builder::Command(
            BuildCommand::new(script).args(["{src}", "{out}"]),
        ))
        .with_build_timeout(ROOM)
}

#[test]
fn c_is_built_with_cc_and_a_broken_build_keeps_the_old_version() {
    let dir = Dir::new();
    let source = dir.write("plugin.c", "long long value(void) { return 1; }\n");
    let reloader = Reloader::new(Config::new(&source).with_debounce(Duration::ZERO), loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(
        call(&reloader.current().unwrap(), "value"),
        1,
        "{:?}",
        reloader.last_error()
    );

    dir.write("plugin.c", "long long value(void) { return 2 }\n");
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Build);
    let output = error.build_output().unwrap();
    assert!(
        output.contains("plugin.c") && output.contains("error"),
        "{output}"
    );
    assert!(error.report().contains(output.trim_end()));
    assert!(!reloader.check());
    assert_eq!(
        (reloader.version(), call(&reloader.current().unwrap(), "value")),
        (1, 1)
    );

    dir.write("plugin.c", "long long value(void) { return 2; }\n");
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
    assert!(reloader.last_error().is_none());

    // Other text with the same code: built, but not loaded again.
    dir.write("plugin.c", "long long value(void) { return 2; } /* the same */\n");
    trace.await_name("unchanged");
    assert_eq!(reloader.version(), 2);
    let names: Vec<_> = trace
        .names()
        .into_iter()
        .filter(|name| *name != "retired")
        .collect();
    let good = ["changed", "building", "built", "staged", "loaded", "swapped"];
    assert_eq!(
        names,
        [
            &good[..],
            &["changed", "building", "failed"],
            &good,
            &["changed", "building", "built", "unchanged"]
        ]
        .concat()
    );
}

#[test]
fn a_change_of_a_watched_header_rebuilds() {
    let dir = Dir::new();
    dir.write("include/deep/value.h", "#define VALUE 1\n");
    let source = dir.write(
        "plugin.c",
        "#include \"include/deep/value.h\"\nlong long value(void) { return VALUE; }\n",
    );
    let config = Config::new(&source)
        .with_debounce(Duration::ZERO)
        .watch_also(dir.at("include/**/*.h"));
    let reloader = Reloader::new(config, loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(
        reloader.watched_files(),
        [source.clone(), dir.at("include/deep/value.h")]
    );
    dir.write("include/deep/value.h", "#define VALUE 2\n");
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
    // A new directory is watched when it appears; its first file changes the inputs of the build, but not its
    // output.
    dir.write("include/new/other.h", "#define OTHER 3\n");
    trace.await_name("unchanged");
    dir.write("include/new/other.h", "#define OTHER 4\n");
    trace.await_name("unchanged");
    // Files that match no glob are ignored.
    dir.write("include/new/notes.txt", "x");
    fs::remove_file(dir.at("include/new/other.h")).unwrap();
    trace.await_name("unchanged");
    assert_eq!(reloader.version(), 2);
    let changes: Vec<_> = trace
        .seen
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Changed { paths, .. } => Some(paths.clone()),
            _ => None,
        })
        .skip(1)
        .collect();
    let (value, other) = (dir.at("include/deep/value.h"), dir.at("include/new/other.h"));
    assert_eq!(changes, [[value], [other.clone()], [other.clone()], [other]]);
}

#[test]
fn rust_is_built_with_rustc() {
    let dir = Dir::new();
    let code = |value: u32| format!("#[no_mangle] pub extern \"C\" fn value() -> i64 {{ {value} }}\n");
    let source = dir.write("my-plugin.rs", code(1));
    let reloader = Reloader::new(Config::new(&source).with_debounce(Duration::ZERO), loader()).unwrap();
    reloader.start().unwrap();
    assert_eq!(
        call(&reloader.current().unwrap(), "value"),
        1,
        "{:?}",
        reloader.last_error()
    );
    dir.write("my-plugin.rs", code(2));
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
}

#[test]
fn a_package_is_built_with_cargo() {
    let dir = Dir::new();
    let code = |value: u32| format!("#[no_mangle] pub extern \"C\" fn value() -> i64 {{ {value} }}\n");
    let manifest = "[package]\nname = \"a-plugin\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    let source = dir.write("Cargo.toml", manifest);
    dir.write("src/lib.rs", code(1));
    let config = Config::new(&source)
        .with_debounce(Duration::from_millis(20))
        .with_output_dir(dir.at("out"))
        .with_build_env("CARGO_NET_OFFLINE", "true");
    let reloader = Reloader::new(config, loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let error = reloader.last_error().unwrap();
    assert!(
        matches!(&*error, ReloadError::NoArtifact { .. }),
        "{}",
        error.report()
    );
    assert!(error.report().contains("cdylib"), "{}", error.report());

    dir.write(
        "Cargo.toml",
        format!("{manifest}[lib]\ncrate-type = [\"cdylib\"]\n"),
    );
    await_version(&reloader, 1);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 1);
    dir.write("src/lib.rs", "compile_error!(\"on purpose\");");
    let error = trace.await_some("the compiler's error", |kind| match kind {
        EventKind::Failed { error, .. } if error.report().contains("on purpose") => Some(error.clone()),
        _ => None,
    });
    assert!(
        !error.report().contains("\"reason\""),
        "the report contains JSON: {}",
        error.report()
    );
    dir.write("src/lib.rs", code(2));
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
    assert!(
        dir.at("out/cargo-target").is_dir(),
        "the target directory is not in the output directory"
    );
}

#[test]
fn vais_is_built_with_vaisc() {
    let dir = Dir::new();
    // A stand-in for the compiler that checks its arguments, according to what is known about the real one.
    script(
        &dir,
        "bin/vaisc",
        r#"[ "$1 $2 $4" = "build --hot -o" ] && [ $# = 5 ] || { echo "bad arguments: $*" >&2; exit 2; }
           grep -q syntax "$3" && { echo "$3:1: syntax error" >&2; exit 1; }
           printf 'long long value(void) { return %s; }' "$(cat "$3")" | cc -shared -fPIC -x c - -o "$5""#,
    );
    let source = dir.write("plugin.vais", "1");
    let path = format!("{}:{}", dir.at("bin").display(), std::env::var("PATH").unwrap());
    let config = Config::new(&source)
        .with_debounce(Duration::ZERO)
        .with_build_env("PATH", path);
    let reloader = Reloader::new(config, loader()).unwrap();
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(
        call(&reloader.current().unwrap(), "value"),
        1,
        "{:?}",
        reloader.last_error()
    );
    dir.write("plugin.vais", "syntax");
    let (_, error) = trace.await_failure();
    assert!(
        error.report().contains("plugin.vais:1: syntax error"),
        "{}",
        error.report()
    );
    dir.write("plugin.vais", "2");
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
}

#[test]
fn an_imported_vais_module_that_is_saved_is_a_reason_to_build() {
    let dir = Dir::new();
    // The compiler may link an executable, unless clang is told otherwise; and it writes beside the source.
    script(
        &dir,
        "bin/vaisc",
        r##"here=$(dirname "$3")
           [ "$CCC_OVERRIDE_OPTIONS" = "# +-shared +-fPIC +-Qunused-arguments" ] || { echo "no library" >&2; exit 1; }
           for module in plugin helper deep; do date +%N > "$here/plugin_$module.ll"; done
           cat "$3" "$here/helper.vais" "$here/deep/part.vais" 2> /dev/null | grep -v '^U ' | tr '\n' ' ' > "$5""##,
    );
    let source = dir.write("plugin.vais", "text 1 end\n");
    let path = format!("{}:{}", dir.at("bin").display(), std::env::var("PATH").unwrap());
    let reloader = text_reloader(
        Config::new(&source)
            .with_debounce(Duration::ZERO)
            .with_build_env("PATH", path),
    );
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(
        reloader.current().unwrap().call(),
        1,
        "{:?}",
        reloader.last_error()
    );
    assert_eq!(reloader.watched_files(), std::slice::from_ref(&source));

    // The new import is read by the build that its own save causes.
    let helper = dir.write("helper.vais", "U deep/part\n");
    let part = dir.write("deep/part.vais", "2 end\n");
    dir.write("plugin.vais", "U helper\ntext\n");
    await_version(&reloader, 2);
    assert_eq!(reloader.current().unwrap().call(), 2);
    assert_eq!(reloader.watched_files(), [source, part.clone(), helper]);
    // A module that the source imports only through another.
    dir.write("deep/part.vais", "3 end\n");
    await_version(&reloader, 3);
    assert_eq!(reloader.current().unwrap().call(), 3);
    trace.await_some("the change", |kind| match kind {
        EventKind::Changed { paths, .. } if *paths == [part.clone()] => Some(()),
        _ => None,
    });
    assert_eq!(trace.count("written by build"), 0);
}

#[test]
fn a_vais_source_that_is_not_built_has_no_imports() {
    let dir = Dir::new();
    let source = dir.write("plugin.vais", "U helper\n");
    dir.write("helper.vais", "");
    let reloader = text_reloader(Config::new(&source).with_builder(Builder::None));
    assert_eq!(reloader.watched_files(), [source]);
}

#[test]
fn an_error_names_a_builder_that_is_not_installed() {
    let dir = Dir::new();
    let source = dir.write("plugin.vais", "1");
    let empty = dir.at("nothing-here");
    let reloader = text_reloader(
        Config::new(&source)
            .with_build_env("PATH", &empty)
            .with_debounce(Duration::ZERO),
    );
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    let (step, error) = trace.await_failure();
    assert_eq!(step, Step::Build);
    assert!(
        matches!(&*error, ReloadError::BuilderMissing { program, .. } if program == "vaisc"),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("`vaisc` was not found"), "{error}");
    // The builder has been installed meanwhile: saving again is sufficient.
    script(&dir, "nothing-here/vaisc", "echo 'text 1 end' > \"$5\"");
    let later = std::time::SystemTime::now() + Duration::from_secs(1);
    fs::File::options()
        .write(true)
        .open(&source)
        .unwrap()
        .set_modified(later)
        .unwrap();
    await_version(&reloader, 1);
}

#[test]
fn an_error_for_an_unsupported_source_lists_the_supported_ones() {
    let dir = Dir::new();
    let reloader = text_reloader(Config::new(dir.write("plugin.xyz", "1")));
    reloader.start().unwrap();
    let error = reloader.last_error().unwrap();
    assert!(matches!(&*error, ReloadError::NoBuilder { .. }));
    assert!(error.to_string().contains("Cargo.toml"), "{error}");
}

#[test]
fn a_command_receives_its_arguments_unchanged_and_without_a_shell() {
    let dir = Dir::new();
    let trap = dir.at("trap");
    let script = script(
        &dir,
        "a tool",
        r#"printf '%s\n' "$@" > "$(dirname "$2")/args.txt"; cp "$(dirname "$2")/args.txt" "$3/../../../seen"
           cp "$1" "$2"; echo warning: a warning >&2; echo and a note"#,
    );
    let source = dir.write("plug in;$(touch trap).txt", text(1));
    let hostile = format!(
        "$(touch {0}); touch {0} & `touch {0}` | \"'{{unknown}}",
        trap.display()
    );
    let command = BuildCommand::new(&script)
        .args(["{src}", "{out}", "{out_dir}", &hostile])
        .arg("")
        .extension("txt");
    let config = text_config(&source)
        .with_builder(Builder::Command(command))
        .with_output_dir(dir.at("out put"));
    let reloader = text_reloader(config);
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(
        reloader.version(),
        1,
        "{:?}",
        reloader.last_error().map(|error| error.report())
    );
    assert!(!trap.exists());
    let output = trace.await_some("built", |kind| match kind {
        EventKind::Built { output, .. } => Some(output.clone()),
        _ => None,
    });
    assert_eq!(output, "warning: a warning\nand a note\n");
    let seen = fs::read_to_string(dir.at("out put/seen")).unwrap();
    let args: Vec<_> = seen.lines().collect();
    assert_eq!(args[0], source.to_str().unwrap());
    assert!(args[1].ends_with("/plug in;$(touch trap).txt"), "{seen}");
    assert_eq!(Path::new(args[1]).parent(), Some(Path::new(args[2])));
    assert_eq!((args[3], args[4]), (hostile.as_str(), ""));
    // The build output was staged and removed.
    assert!(!Path::new(args[1]).exists());
}

#[test]
fn a_command_can_set_its_own_output() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let script = script(&dir, "tool", "mkdir -p build; cp plugin.txt build/result");
    let command = BuildCommand::new(script)
        .current_dir(dir.path())
        .output(dir.at("build/result"));
    let reloader = text_reloader(text_config(&source).with_builder(Builder::Command(command)));
    reloader.start().unwrap();
    assert_eq!(reloader.current().unwrap().call(), 1);
    dir.write("plugin.txt", text(2));
    await_version(&reloader, 2);
}

#[test]
fn a_build_without_an_artifact_is_a_failure() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, "echo nothing to do"));
    reloader.start().unwrap();
    let error = reloader.last_error().unwrap();
    assert!(matches!(&*error, ReloadError::NoArtifact { .. }), "{error:?}");
    assert!(error.report().contains("nothing to do"), "{}", error.report());
}

#[test]
fn a_build_that_exceeds_its_time_limit_is_killed_with_its_children() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    // A child that ignores SIGTERM.
    let body = r#"trap '' TERM
                  sh -c 'trap "" TERM; sleep 1000 & echo $! > "$0"; wait' "$1.pid" &
                  while [ ! -s "$1.pid" ]; do sleep 0.01; done
                  echo partway; wait"#;
    let reloader = text_reloader(scripted(&dir, &source, body).with_build_timeout(Duration::from_secs(2)));
    let started = Instant::now();
    reloader.start().unwrap();
    assert!(started.elapsed() < ROOM / 2);
    let error = reloader.last_error().unwrap();
    assert!(matches!(&*error, ReloadError::BuildTimeout { .. }), "{error:?}");
    assert!(error.report().contains("partway"), "{}", error.report());
    let child = fs::read_to_string(dir.at("plugin.txt.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    await_until("the build's grandchild has ended", || !is_alive(child));
}

/// A build that records the ID of its child, and hangs if the source says so.
const HANGING: &str = r#"if grep -q hang "$1"; then sleep 1000 & echo $! > "$1.new"; mv "$1.new" "$1.pid"; wait; fi
                         cp "$1" "$2""#;

#[test]
fn a_newer_change_kills_the_build_with_its_children() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let reloader = text_reloader(scripted(&dir, &source, HANGING));
    let mut trace = Trace::of(&reloader);
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1);
    for round in 0..3 {
        let _ = fs::remove_file(dir.at("plugin.txt.pid"));
        fs::write(&source, format!("text 0 hang {round} end")).unwrap();
        await_until("the build is hanging", || dir.at("plugin.txt.pid").exists());
        let child = fs::read_to_string(dir.at("plugin.txt.pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(is_alive(child));
        // A touch is not a newer change.
        fs::File::open(&source)
            .unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
        fs::write(&source, text(10 + round)).unwrap();
        await_version(&reloader, 2 + round);
        assert_eq!(reloader.current().unwrap().call(), 10 + round);
        await_until("the build's child has ended", || !is_alive(child));
    }
    assert_eq!((trace.count("cancelled"), trace.count("failed")), (3, 0));
}

#[test]
fn a_server_in_its_own_session_outlives_a_build_that_is_killed() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let body = r#"if grep -q hang "$1"; then
                      setsid sh -c 'echo $$ > "$0.new"; mv "$0.new" "$0.pid"; exec sleep 1000' "$1" & wait
                  fi
                  cp "$1" "$2""#;
    let reloader = text_reloader(scripted(&dir, &source, body));
    reloader.start().unwrap();
    dir.write("plugin.txt", "text 0 hang end");
    await_until("the server has started", || dir.at("plugin.txt.pid").exists());
    dir.write("plugin.txt", text(2));
    await_version(&reloader, 2);
    let server = fs::read_to_string(dir.at("plugin.txt.pid")).unwrap();
    assert!(is_alive(server.trim().parse().unwrap()), "the server was killed");
    let kill = std::process::Command::new("kill").arg(server.trim()).status();
    assert!(kill.unwrap().success());
}

#[test]
fn start_waits_for_the_build_of_a_change_during_its_first_build() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "hang");
    let reloader = text_reloader(scripted(&dir, &source, HANGING));
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            reloader.start().unwrap();
            reloader.version()
        });
        await_until("the build is hanging", || dir.at("plugin.txt.pid").exists());
        dir.write("plugin.txt", text(7));
        assert_eq!(starting.join().unwrap(), 1);
    });
    assert_eq!(reloader.current().unwrap().call(), 7);
    assert!(!reloader.check(), "the version that start loads is not announced");
}

#[test]
fn stop_kills_the_build_with_its_children() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", "hang");
    let reloader = text_reloader(scripted(&dir, &source, HANGING));
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| reloader.start());
        await_until("the build is hanging", || dir.at("plugin.txt.pid").exists());
        reloader.stop();
        let started = starting.join().unwrap();
        assert!(matches!(started, Err(StartError::Stopped)), "{started:?}");
    });
    assert!(!reloader.is_running());
    let child = fs::read_to_string(dir.at("plugin.txt.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    await_until("the build's child has ended", || !is_alive(child));
}

#[test]
fn a_child_that_outlives_the_build_does_not_delay_it() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    // For example, a compiler server: it keeps the output open and continues after the build.
    let body = r#"sleep 1000 & echo $! > "$1.pid"; cp "$1" "$2""#;
    let reloader = text_reloader(scripted(&dir, &source, body));
    reloader.start().unwrap();
    assert_eq!(reloader.version(), 1);
    let child: u32 = fs::read_to_string(dir.at("plugin.txt.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(is_alive(child), "the child was killed");
    std::process::Command::new("kill")
        .arg(child.to_string())
        .status()
        .unwrap();
}

#[test]
fn very_long_output_is_shortened_and_does_not_block_the_build() {
    let dir = Dir::new();
    let source = dir.write("plugin.txt", text(1));
    let body = "echo the beginning; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 3";
    let reloader = text_reloader(scripted(&dir, &source, body));
    reloader.start().unwrap();
    let error = reloader.last_error().unwrap();
    let output = error.build_output().unwrap();
    assert!(output.starts_with("the beginning\n") && output.ends_with("\nthe end\n"));
    assert!(output.len() < 500_000, "{}", output.len());
    assert!(
        error.to_string().ends_with("ended with exit status: 3"),
        "{error}"
    );
}
