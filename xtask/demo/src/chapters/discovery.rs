//! "Plugin discovery from standard paths".

use std::io::Result;

use dynload_ffi::abi::PluginList;
use dynload_ffi::flat::{
    discover_plugins_in, get_library_extension, plugin_capabilities, plugin_format, plugin_id,
    plugin_list_destroy, plugin_path, plugin_problem, plugin_problem_count, plugin_version,
};
use dynload_ffi::primitives::{vais_get_system_plugin_dir, vais_get_user_plugin_dir};

use crate::plugin_files::{ANSWER_C, PLUGIN_WAT, compile};
use crate::stage::Stage;
use crate::text::{self, Text};

pub(crate) fn play(stage: &mut Stage) -> Result<()> {
    stage.chapter(
        "Discovery: finding plugins and their problems",
        "A plugin is a directory with a plugin.toml, or a single file. No plugin code is run to find it. A problem is reported \
         with its file and line, and does not hide other plugins.",
    );
    let user = text::read(vais_get_user_plugin_dir());
    let home = std::env::home_dir()
        .map(|home| home.display().to_string())
        .unwrap_or_default();
    stage.answer(
        "vais_get_user_plugin_dir(), with ~ for the home directory",
        user.replacen(&home, "~", 1),
        "~/.vais/plugins/",
    );
    let system = text::read(vais_get_system_plugin_dir());
    stage.answer(
        "vais_get_system_plugin_dir()",
        system,
        "/usr/local/lib/vais/plugins/",
    );

    write_plugins(stage)?;
    stage.note("plugins/ now has a plugin in C, one in Wasm, and one with a mistake in its plugin.toml");
    // SAFETY: the string outlives the call.
    let list = unsafe { discover_plugins_in(Text::new("plugins").at()) };
    stage.answer(
        "list = discover_plugins_in(\"plugins\")",
        format_args!("{} plugins", list.count),
        "2 plugins",
    );
    for (i, expected) in [
        "answer 1.0.0, native, capabilities 0",
        "hello 0.2.0, wasm, capabilities 3",
    ]
    .iter()
    .enumerate()
    {
        stage.answer(
            &format!("plugin {i}: id, version, format, capabilities"),
            line(list, i as i64),
            expected,
        );
    }
    stage.answer(
        "plugin_path(list, 1)",
        relative(&text::read(plugin_path(list, 1))),
        "plugins/hello/hello.wat",
    );
    stage.answer("plugin_problem_count(list)", plugin_problem_count(list), 1);
    let problem = text::read(plugin_problem(list, 0));
    stage.text(
        "plugin_problem(list, 0)",
        &problem,
        &["broken/plugin.toml:5", "../hello/hello.wat"],
    );
    stage.answer("plugin_list_destroy(list)", plugin_list_destroy(list), 1);
    Ok(())
}

fn relative(path: &str) -> &str {
    path.find("plugins/").map_or(path, |at| &path[at..])
}

fn line(list: PluginList, i: i64) -> String {
    let (id, version) = (
        text::read(plugin_id(list, i)),
        text::read(plugin_version(list, i)),
    );
    format!(
        "{id} {version}, {}, capabilities {}",
        text::read(plugin_format(list, i)),
        plugin_capabilities(list, i)
    )
}

fn write_plugins(stage: &Stage) -> Result<()> {
    let plugins = stage.path("plugins");
    for id in ["answer", "hello", "broken"] {
        std::fs::create_dir_all(plugins.join(id))?;
    }
    let library = format!("answer.{}", text::read(get_library_extension()));
    let source = stage.path("answer.c");
    std::fs::write(&source, ANSWER_C)?;
    compile(&source, &plugins.join("answer").join(&library))?;
    std::fs::write(plugins.join("hello/hello.wat"), PLUGIN_WAT)?;
    let manifest = |id: &str, text: &str| std::fs::write(plugins.join(id).join("plugin.toml"), text);
    manifest(
        "answer",
        &format!(
            "[plugin]\nid = \"answer\"\nversion = \"1.0.0\"\nformat = \"native\"\nentry = \"{library}\"\n"
        ),
    )?;
    manifest(
        "hello",
        "[plugin]\nid = \"hello\"\nversion = \"0.2.0\"\nformat = \"wasm\"\nentry = \"hello.wat\"\n\n\
         [capabilities]\nneeds = [\"console\", \"time\"]\n",
    )?;
    manifest(
        "broken",
        "[plugin]\nid = \"broken\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"../hello/hello.wat\"\n",
    )
}
