//! Plugins that are a single file.

use crate::support::{EMPTY_MODULE, Plugins, ids, problems};

#[test]
fn a_lone_file_without_the_contents_that_its_name_says_is_a_problem() {
    let plugins = Plugins::new();
    for name in [
        "text.wasm",
        "liblibrary.so",
        "empty.wasm",
        "tool.dll",
        "module.so",
    ] {
        let contents = match name {
            "empty.wasm" => b"".as_slice(),
            "module.so" => EMPTY_MODULE,
            _ => b"hello, world\n",
        };
        plugins.write(name, contents);
    }
    let found = plugins.scanner().scan();
    assert!(found.plugins.is_empty(), "{:?}", ids(&found));
    let wrong = |name: &str, format: &str| {
        format!(
            "error: {name}: has the name of a {format} plugin but not its contents: build it again, or rename it"
        )
    };
    assert_eq!(
        problems(&found, &plugins.root()),
        [
            wrong("empty.wasm", "wasm"),
            wrong("liblibrary.so", "native"),
            wrong("module.so", "native"),
            wrong("text.wasm", "wasm"),
            wrong("tool.dll", "native"),
        ]
    );
    // A component is not a module, which the audit reports.
    plugins.write("component.wasm", b"\0asm\x0d\0\x01\0");
    assert_eq!(ids(&plugins.scanner().scan()), ["component"]);
}

#[test]
fn a_lone_module_in_the_text_format_is_a_plugin_only_with_the_feature() {
    let plugins = Plugins::new();
    plugins.write("text.wasm", ";; text\n(module (func (export \"f\")))");
    let scanner = plugins.scanner();
    let found = scanner.scan();
    assert_eq!(found.plugins.len(), usize::from(cfg!(feature = "wat")));
    if let Some(text) = found.get("text") {
        assert!(scanner.audit(text).unwrap().is_clean());
    }
}

#[cfg(unix)]
#[test]
fn a_lone_plugin_that_is_not_a_regular_file_is_a_problem_and_does_not_block() {
    let plugins = Plugins::new();
    plugins.plugin("good", "good", "1.0.0", "");
    let root = plugins.root();
    let pipe = root.join("pipe.so");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.wasm")).unwrap();
    let links = [
        ("device.wasm", "/dev/zero"),
        ("to_pipe.wasm", "pipe.so"),
        ("to_socket.so", "socket.wasm"),
    ];
    for (name, target) in links {
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    let found = plugins.scanner().scan();
    assert_eq!(ids(&found), ["good"]);
    let expected = [
        "device.wasm",
        "pipe.so",
        "socket.wasm",
        "to_pipe.wasm",
        "to_socket.so",
    ]
    .map(|name| format!("error: {name}: is not a regular file"));
    assert_eq!(problems(&found, &root), expected);
}
