//! `dynload list`, `audit` and `new`.

use std::process::Command;

use serde_json::json;

use super::{Ended, Workplace, has_keys};

/// Three plugins: one that agrees with its manifest, one that does not, and one with a broken manifest.
fn plugins() -> Workplace {
    let place = Workplace::new();
    let clean = wat::parse_str(r#"(module (import "vais" "print" (func (param i32 i32))))"#).unwrap();
    let wrong =
        wat::parse_str(r#"(module (import "vais" "random" (func (result i64))) (import "env" "f" (func)))"#);
    let manifest = |id: &str, needs: &str| {
        format!(
            "[plugin]\nid = \"{id}\"\nversion = \"1.2.0\"\nformat = \"wasm\"\nentry = \"p.wasm\"\n\
             [capabilities]\nneeds = [{needs}]\n"
        )
    };
    place.write("plugins/clean/plugin.toml", manifest("clean", "\"console\""));
    place.write("plugins/clean/p.wasm", clean);
    place.write(
        "plugins/wrong/plugin.toml",
        manifest("wrong", "\"time\", \"network\""),
    );
    place.write("plugins/wrong/p.wasm", wrong.unwrap());
    place.write("plugins/broken/plugin.toml", "[plugin]\nid = \"broken\"\n");
    place
}

/// Returns text with the separators of this system in its paths.
fn native(text: &str) -> String {
    text.replace('/', std::path::MAIN_SEPARATOR_STR)
}

#[test]
fn plugins_and_problems_are_listed() {
    let text = plugins().words("list --path plugins").code(0).out;
    assert!(
        text.contains("ID     VERSION  FORMAT  SOURCE    CAPABILITIES (! dangerous)\n"),
        "{text}"
    );
    assert!(
        text.contains("clean  1.2.0    wasm    explicit  console\n"),
        "{text}"
    );
    assert!(
        text.contains("wrong  1.2.0    wasm    explicit  time network!\n"),
        "{text}"
    );
    assert!(
        text.contains(&native("broken/plugin.toml:1: field `plugin.version` is missing")),
        "{text}"
    );
}

#[test]
fn the_document_of_a_list_has_the_documented_keys() {
    let place = plugins();
    place.write("more/clean.wasm", wat::parse_str("(module)").unwrap());
    let document = place
        .words("list --path plugins --path more --json")
        .code(0)
        .json();
    has_keys(
        &document,
        &["plugins", "problems", "duplicates", "dependencies", "load_order"],
    );
    let plugin = &document["plugins"][0];
    has_keys(
        plugin,
        &[
            "id",
            "name",
            "version",
            "format",
            "source",
            "dir",
            "entry",
            "compatible",
            "capabilities",
            "dangerous",
        ],
    );
    assert_eq!(plugin["id"], "clean");
    assert_eq!(document["plugins"][1]["dangerous"], json!(["network"]));
    has_keys(
        &document["problems"][0],
        &["severity", "path", "line", "message", "plugin"],
    );
    assert_eq!(document["problems"][0]["plugin"], "broken");
    has_keys(&document["duplicates"][0], &["id", "path", "preferred", "by"]);
    assert_eq!(document["duplicates"][0]["by"], "search path");
    assert_eq!(document["problems"][0]["line"], 1);
    let text = place.words("list --path plugins --path more").code(0).out;
    assert!(
        text.contains(&native(
            "\nduplicate: more/clean.wasm: plugin clean is not listed, because "
        )),
        "{text}"
    );
    let message = &document["problems"][0]["message"];
    assert_eq!(message, "field `plugin.version` is missing: add it");
    assert_eq!(document["load_order"], json!(["clean", "wrong"]));
}

#[test]
fn the_standard_directories_are_searched_unless_only_the_path_is() {
    let place = plugins();
    place.write(".vais/plugins/own.wasm", wat::parse_str("(module)").unwrap());
    assert!(place.words("list --path plugins").code(0).out.contains("\nown "));
    let only = place.words("list --only --path plugins").code(0).out;
    assert!(!only.contains("\nown "), "{only}");
}

#[test]
fn an_audit_with_findings_fails() {
    let place = plugins();
    let Ended { out, .. } = place.words("audit --only --path plugins").code(1);
    for line in [
        "clean: ok\n",
        "wrong: import vais.random needs random, which is not declared\n",
        "wrong: import env.f (function) has no provider\n",
        "wrong: declares time|network but never uses it\n",
        "error: plugins/broken/plugin.toml:1: ",
        "2 plugins, ",
    ] {
        assert!(out.contains(&native(line)), "{line} is not in {out}");
    }
    place
        .words("audit --path plugins clean")
        .prints("clean: ok\n\n1 plugin, 0 findings\n");
    place.words("audit --path plugins clean wrong").code(1);
    place
        .words("audit --path plugins clear")
        .fails(2, &["no such plugin: `clear`; did you mean `clean`?"]);
}

#[test]
fn an_audit_of_a_broken_plugin_reports_its_problem_and_audits_the_others() {
    let place = plugins();
    let Ended { out, .. } = place.words("audit --path plugins broken clean").code(1);
    assert!(
        out.starts_with(&native("clean: ok\nerror: plugins/broken/plugin.toml:1: ")),
        "{out}"
    );
    assert!(out.ends_with("\n1 plugin, 3 findings\n"), "{out}");
    let document = place.words("audit --path plugins --json broken").code(1).json();
    assert_eq!(document["audits"], json!([]));
    assert_eq!(document["problems"][0]["plugin"], "broken");
    // The problems of others are not findings.
    place
        .words("audit --path plugins clean")
        .prints("clean: ok\n\n1 plugin, 0 findings\n");
    // The id that the manifest says, not only the directory.
    place.write("plugins/dir/plugin.toml", "[plugin]\nid = \"org.example.x\"\n");
    place.words("audit --path plugins org.example.x").code(1);
    place
        .words("audit --path plugins dir")
        .fails(2, &["no such plugin: `dir`"]);
}

/// A plugin with this id and these lines at the end of its manifest.
fn plugin(place: &Workplace, dir: &str, id: &str, more: &str) {
    let manifest = format!(
        "[plugin]\nid = \"{id}\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"p.wat\"\n{more}\n"
    );
    place.write(&format!("{dir}/plugin.toml"), manifest);
    place.write(&format!("{dir}/p.wat"), "(module)");
}

#[test]
fn dependencies_and_duplicates_are_findings_and_problems() {
    let place = Workplace::new();
    plugin(&place, "plugins/a", "a", "[dependencies]\nnone = \"1\"");
    plugin(&place, "plugins/b", "b", "[dependencies]\na = \"1\"");
    plugin(&place, "plugins/c", "c", "");
    plugin(&place, "plugins/d", "c", "");
    let lines = [
        "\nduplicate: plugins/d: plugin c is not listed, ",
        "\ndependency: plugin a needs none ^1, which was not found",
        "\ndependency: plugin b needs a, which cannot be loaded\n",
    ];
    let listed = place.words("list --only --path plugins").code(0).out;
    let audited = place.words("audit --only --path plugins").code(1).out;
    for line in lines.map(native) {
        let line = &line;
        assert!(listed.contains(line), "{line} is not in {listed}");
        assert!(audited.contains(line), "{line} is not in {audited}");
    }
    assert!(listed.contains("\n3 plugins, 3 problems\n"), "{listed}");
    assert!(audited.ends_with("\n3 plugins, 3 findings\n"), "{audited}");
    // With ids, only what is about these plugins.
    let audited = place.words("audit --only --path plugins b").code(1).out;
    assert!(audited.ends_with("\n1 plugin, 1 finding\n"), "{audited}");
    let document = place.words("audit --only --path plugins --json c").code(1).json();
    has_keys(&document["duplicates"][0], &["id", "path", "preferred", "by"]);
    assert_eq!(document["dependencies"], json!([]));
    assert_eq!(document["clean"], false);
}

#[test]
fn an_incompatible_plugin_is_one_problem() {
    let place = Workplace::new();
    plugin(&place, "plugins/a", "a", "");
    let manifest = std::fs::read_to_string(place.path().join("plugins/a/plugin.toml")).unwrap();
    let other = if cfg!(windows) { "linux" } else { "windows" };
    let manifest = manifest.replace("entry = \"p.wat\"", &format!("entry = {{ {other} = \"p.wat\" }}"));
    place.write("plugins/a/plugin.toml", manifest);
    let listed = place.words("list --only --path plugins").code(0).out;
    assert!(listed.contains("\n1 plugin, 1 problem\n"), "{listed}");
}

#[test]
fn a_plugin_that_is_named_twice_is_audited_once() {
    plugins()
        .words("audit --path plugins clean clean")
        .prints("clean: ok\n\n1 plugin, 0 findings\n");
}

#[test]
fn imports_that_the_sandbox_does_not_provide_are_findings() {
    let place = Workplace::new();
    let module = r#"(module (import "vais" "now_ms" (func (param i32))))"#;
    place.write("plugins/p.wasm", wat::parse_str(module).unwrap());
    let audited = place.words("audit --only --path plugins").code(1).out;
    let line = "p: import vais.now_ms has type (i32) -> (), but the host function has type () -> (i64)\n";
    assert!(audited.contains(line), "{audited}");
}

#[test]
fn without_plugins_the_searched_directories_are_printed() {
    let place = Workplace::new();
    std::fs::create_dir(place.path().join("plugins")).unwrap();
    for command in ["list", "audit"] {
        let only = place
            .words(&format!("{command} --only --path plugins"))
            .code(0)
            .out;
        assert!(only.ends_with("\nsearched: plugins\n"), "{only}");
        let all = place.words(&format!("{command} --path plugins")).out;
        let own = place.path().join(".vais").join("plugins");
        assert!(
            all.contains(&format!("{} (does not exist)", own.display())),
            "{all}"
        );
    }
}

#[test]
fn the_paths_of_a_document_are_absolute() {
    let place = plugins();
    plugin(&place, "more/clean", "clean", "");
    let document = place
        .words("list --only --path plugins --path ./more --json")
        .code(0)
        .json();
    let path = |value: &serde_json::Value| std::path::PathBuf::from(value.as_str().unwrap());
    let found = [
        &document["problems"][0]["path"],
        &document["duplicates"][0]["path"],
        &document["duplicates"][0]["preferred"],
        &document["plugins"][0]["dir"],
        &document["plugins"][0]["entry"],
    ];
    for value in found {
        assert!(path(value).is_absolute() && path(value).exists(), "{value}");
    }
}

#[cfg(unix)]
#[test]
fn a_lone_file_that_is_not_code_is_a_problem() {
    let place = Workplace::new();
    place.write("plugins/text.wasm", "hello\n");
    let pipe = place.path().join("plugins/pipe.so");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/null", place.path().join("plugins/null.wasm")).unwrap();
    let listed = place.words("list --only --path plugins").code(0).out;
    assert!(listed.contains("\n0 plugins, 3 problems\n"), "{listed}");
}

#[test]
fn what_is_not_cached_is_said() {
    let place = Workplace::new();
    let imports = "(import \"env\" \"0123456789\" (func))".repeat(20_000);
    place.write(
        "plugins/huge.wasm",
        wat::parse_str(format!("(module {imports})")).unwrap(),
    );
    let ended = place.words("audit --only --path plugins").code(1);
    assert!(
        ended.err.contains("too large to be cached") && ended.err.contains("huge.wasm"),
        "{}",
        ended.err
    );
}

#[test]
fn the_document_of_an_audit_has_the_documented_keys() {
    let place = plugins();
    let document = place.words("audit --only --path plugins --json").code(1).json();
    has_keys(
        &document,
        &["clean", "audits", "problems", "duplicates", "dependencies"],
    );
    assert_eq!(document["clean"], false);
    let wrong = &document["audits"][1];
    has_keys(
        wrong,
        &[
            "id",
            "entry",
            "error",
            "sha256",
            "undeclared",
            "unused",
            "findings",
        ],
    );
    assert_eq!(wrong["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(wrong["unused"], json!(["time", "network"]));
    has_keys(
        &wrong["undeclared"][0],
        &["module", "name", "needs_all", "needs_any", "message"],
    );
    assert_eq!(wrong["undeclared"][0]["needs_all"], json!(["random"]));
    assert_eq!(wrong["findings"].as_array().unwrap().len(), 1);
    assert!(!document["problems"].as_array().unwrap().is_empty());

    let document = place.words("audit --path plugins --json clean").code(0).json();
    assert_eq!(document["clean"], true);
    assert_eq!(document["problems"], json!([]));
}

/// Returns the build command that `new` printed.
fn build_command(ended: &Ended) -> Vec<&str> {
    let (_, rest) = ended.out.split_once("build it there: ").unwrap();
    rest.lines().next().unwrap().split(' ').collect()
}

/// Runs the new plugin with the command that `new` printed, and compares it with its manifest.
fn works(place: &Workplace, ended: &Ended) {
    let (_, command) = ended.out.trim_end().split_once("run it: dynload ").unwrap();
    place.words(command).prints("HELLO");
    let without_text = command.strip_suffix(" hello").unwrap().split(' ');
    place
        .run(without_text.chain([""]))
        .fails(1, &["`shout` failed: the text is empty"]);
    place
        .words("audit --only --path greeter")
        .prints("greeter: ok\n\n1 plugin, 0 findings\n");
}

#[test]
fn a_new_plugin_in_wat_needs_no_build() {
    let place = Workplace::new();
    let Ended { out, .. } = place.words("new greeter --lang wat").code(0);
    let (_, command) = out.trim_end().split_once("run it: dynload ").unwrap();
    place.words(command).prints("42\n");
    place
        .words("audit --only --path greeter")
        .prints("greeter: ok\n\n1 plugin, 0 findings\n");
    let listed = place.words("list --only --path greeter").code(0).out;
    assert!(listed.contains("1 plugin, 0 problems"), "{listed}");
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no compiler")]
fn a_new_plugin_in_c_builds() {
    let place = Workplace::new();
    let ended = place.words("new greeter --lang c").code(0);
    let [program, args @ ..] = &build_command(&ended)[..] else {
        panic!("{ended:#?}")
    };
    let status = Command::new(program)
        .args(args)
        .current_dir(place.path().join("greeter"))
        .status()
        .expect("this test needs clang (Debian: clang lld)");
    assert!(status.success());
    works(&place, &ended);
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no compiler")]
fn a_new_plugin_in_rust_builds() {
    let place = Workplace::new();
    let ended = place.words("new greeter --lang rust").code(0);
    let command = build_command(&ended);
    assert_eq!(command[0], "cargo");
    let dir = place.path().join("greeter");
    let target = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
        .output()
        .unwrap();
    let is_installed = std::path::Path::new(String::from_utf8_lossy(&target.stdout).trim()).is_dir();
    // Without the standard library of the target, the source is only checked, for this machine.
    let args = if is_installed { &command[1..] } else { &["check"] };
    // The crate of this checkout instead of the published one.
    let guest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dynload-guest");
    let status = Command::new(command[0])
        .args(args)
        .args(["--offline", "--config"])
        .arg(format!("patch.crates-io.dynload-guest.path={guest:?}"))
        .env_remove("CARGO_TARGET_DIR")
        .env("RUSTFLAGS", "-D warnings")
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(status.success());
    if is_installed {
        works(&place, &ended);
    }
}

#[test]
fn new_never_replaces_anything() {
    let place = Workplace::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.words("new a --lang wat --dir empty").code(0);
    place
        .words("new a --lang c --dir empty")
        .fails(1, &["cannot create `empty`", "not empty", "`--dir`"]);
    assert!(!place.path().join("empty/plugin.c").exists());
    place.write("file", "");
    place
        .words("new file --lang wat")
        .fails(1, &["cannot create `file`"]);
    place.words("new a --lang wat --dir deep/er/a").code(0);
    place.words("new ../a --lang wat").fails(2, &["../a"]);
}

#[test]
fn an_id_with_dots_is_in_the_manifest() {
    let place = Workplace::new();
    place
        .words("new org.example.adder --lang wat --dir adder")
        .code(0);
    let text = std::fs::read_to_string(place.path().join("adder/plugin.toml")).unwrap();
    let manifest = dynload_discovery::Manifest::parse(&text).unwrap();
    assert_eq!(manifest.id.as_str(), "org.example.adder");
    assert!(manifest.exports.contains_key("add"));
}
