//! `dynload prepare`, and `dynload run --prepared`.

use std::fs;

use super::{FUNCTIONS, functions};

#[test]
fn a_prepared_module_runs_as_the_module_does_under_the_same_limits() {
    let place = functions();
    place.words("prepare f.wat").prints("");
    // The source is not needed any more.
    fs::remove_file(place.path().join("f.wat")).unwrap();
    place
        .words("run --prepared --invoke add f.prepared 40 2")
        .prints("42\n");
    // Entering the function, two gets and one add.
    place
        .words("run --prepared --fuel 4 --invoke add f.prepared 40 2")
        .prints("42\n");
    place
        .words("run --prepared --fuel 3 --invoke add f.prepared 40 2")
        .fails(134, &["exceeded the fuel limit of 3"]);
    place
        .words("run --prepared --depth 3 --invoke depth f.prepared 3")
        .fails(134, &["call depth limit of 3"]);
    place
        .words("run --prepared --time 50ms --invoke spin f.prepared")
        .fails(124, &["time limit"]);
}

#[test]
fn the_output_can_be_chosen_and_is_replaced_as_a_whole() {
    let place = functions();
    place.write("out/here", "something else");
    place.words("prepare f.wat -o out/here").prints("");
    place
        .words("run --prepared --invoke add out/here 1 2")
        .prints("3\n");
    let written: Vec<_> = fs::read_dir(place.path().join("out")).unwrap().collect();
    assert_eq!(written.len(), 1, "{written:?}");

    let command = place
        .command()
        .args(["prepare", "f.wat", "-o", "-"])
        .output()
        .unwrap();
    assert_eq!(command.stdout, fs::read(place.path().join("out/here")).unwrap());
    place
        .words("prepare f.wat -o missing/here")
        .fails(1, &["cannot write `missing/here`"]);
}

#[test]
fn the_module_itself_is_not_replaced() {
    let place = functions();
    for line in ["prepare f.wat -o f.wat", "prepare f.wat -o ./f.wat"] {
        place
            .words(line)
            .fails(2, &["is the module itself", "`--output`"]);
    }
    assert_eq!(fs::read_to_string(place.path().join("f.wat")).unwrap(), FUNCTIONS);
}

#[test]
fn a_prepared_module_is_trusted_only_if_the_user_says_so() {
    let place = functions();
    place.words("prepare f.wat").prints("");
    for line in [
        "run --invoke add f.prepared 1 2",
        "prepare f.prepared -o again",
        "inspect f.prepared",
    ] {
        place.words(line).fails(
            126,
            &["a prepared module; run it with `dynload run --prepared` if you trust its metering"],
        );
    }
    #[cfg(unix)]
    place
        .words("run --cache kept --prepared --invoke add f.prepared 1 2")
        .fails(2, &["--prepared"]);
}

#[test]
fn a_file_that_is_not_prepared_or_damaged_is_refused() {
    let place = functions();
    place.words("run --prepared --invoke add f.wat 1 2").fails(
        126,
        &[
            "not a prepared module",
            "`dynload prepare`",
            "without `--prepared`",
        ],
    );
    place.words("prepare f.wat").prints("");
    let file = place.path().join("f.prepared");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    place
        .words("run --prepared --invoke add f.prepared 1 2")
        .fails(126, &["its checksum is wrong; prepare it again"]);
    bytes.truncate(50);
    fs::write(&file, &bytes).unwrap();
    place
        .words("run --prepared --invoke add f.prepared 1 2")
        .fails(126, &["not a prepared module"]);
    place
        .words("prepare nothing.wasm")
        .fails(127, &["does not exist"]);
    place.write("bad.wasm", "\0asm\x01\0\0\0\x01");
    place.words("prepare bad.wasm").fails(126, &["bad.wasm"]);
}

#[test]
fn peaks_are_measured_if_the_module_was_prepared_for_it() {
    let place = functions();
    for (option, is_measured) in [("", false), ("--profile", true)] {
        place.words(&format!("prepare {option} f.wat")).prints("");
        let ended = place
            .words("run --prepared --usage --invoke depth f.prepared 3")
            .code(0);
        assert_eq!(
            ended.err.contains("peak call depth: 4"),
            is_measured,
            "{ended:#?}"
        );
        assert!(ended.err.contains("fuel: "), "{ended:#?}");
    }
}
