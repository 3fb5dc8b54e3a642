//! What a host's policy cuts off a plugin's requests.

use dynload_caps::{Capabilities, GpuScope, Grant, Limits, Scopes};
use dynload_discovery::{CacheLocation, Policy, Reduction, Scanner, SearchPath};
use std::fs;

/// Absolute paths, of this system.
const PROGRAMS: [&str; 2] = if cfg!(windows) {
    ["C:/true.exe", "C:/false.exe"]
} else {
    ["/bin/true", "/bin/false"]
};

#[test]
fn everything_that_is_requested_and_not_granted_is_listed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("greeter");
    fs::create_dir_all(dir.join("assets")).unwrap();
    fs::write(dir.join("greeter.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(
        dir.join("plugin.toml"),
        r#"
        [plugin]
        id = "greeter"
        version = "1.0.0"
        format = "wasm"
        entry = "greeter.wasm"
        [capabilities]
        needs = ["console", "fs_read", "env", "network", "process", "threading", "gpu"]
        optional = ["time", "random"]
        directories = [
            { host = "$PLUGIN/assets", guest = "/assets" },
            { host = "$PLUGIN/gone", guest = "/gone" },
        ]
        environment = ["LANG", "HOME"]
        hosts = ["a.example:1-10", "b.example:80"]
        programs = PROGRAMS
        workers = 4
        gpu = { devices = ["*"] }
        "#
        .replace("PROGRAMS", &format!("{PROGRAMS:?}")),
    )
    .unwrap();
    let scanner = Scanner::new(SearchPath::empty().with_dir(temp.path())).with_cache(CacheLocation::None);
    let found = scanner.scan();
    let plugin = found.get("greeter").unwrap();
    let listed = |grant: Grant| -> Vec<String> {
        let policy = Policy::new(grant, Limits::DEFAULT);
        let policy = policy.with_own_directory(dynload_caps::Access::ReadOnly);
        let admitted = plugin.admit(&policy).unwrap();
        admitted.reductions.iter().map(ToString::to_string).collect()
    };
    let mut scopes = Scopes::none().with_max_workers(2);
    scopes.env.push(dynload_caps::EnvScope::host("LANG").unwrap());
    scopes.net = vec!["a.example:5".parse().unwrap(), "b.example:*".parse().unwrap()];
    scopes
        .programs
        .push(dynload_caps::ProgramScope::new(PROGRAMS[0]).unwrap());
    let all = Grant::none().with_capabilities(Capabilities::all());
    assert_eq!(
        listed(
            all.clone()
                .with_capabilities(Capabilities::all() & !Capabilities::RANDOM)
                .with_scopes(scopes)
        ),
        [
            "the optional capabilities random are not granted",
            "the directory `/gone` is not granted as requested",
            "the variable `HOME` is not granted",
            "the hosts `a.example:1-10` are not granted as requested",
            &format!("the program `{}` is not granted", PROGRAMS[1]),
            "2 workers are granted, of 4",
            "the GPUs are not granted as requested",
        ]
    );
    let gpu = GpuScope::new(["*".parse().unwrap(), "cpu".parse().unwrap()]);
    let mut scopes = Scopes::none().with_max_workers(4).with_gpu(gpu);
    for name in ["LANG", "HOME", "MORE"] {
        scopes.env.push(dynload_caps::EnvScope::host(name).unwrap());
    }
    scopes.net = vec!["a.example:*".parse().unwrap(), "b.example:80".parse().unwrap()];
    for program in PROGRAMS {
        scopes
            .programs
            .push(dynload_caps::ProgramScope::new(program).unwrap());
    }
    assert_eq!(
        listed(all.with_scopes(scopes)),
        ["the directory `/gone` is not granted as requested"]
    );
}

/// Whether GPUs are granted as requested does not depend on how the policy and the manifest write the same devices.
#[test]
fn devices_that_several_patterns_match_are_not_a_reduction() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("greeter");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("greeter.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let listed = |gpu: &str, granted: &[&str]| -> bool {
        let manifest = format!(
            "plugin = {{ id = \"greeter\", version = \"1.0.0\", format = \"wasm\", entry = \"greeter.wasm\" }}\n\
             [capabilities]\noptional = [\"gpu\"]\ngpu = {gpu}\n"
        );
        fs::write(dir.join("plugin.toml"), manifest).unwrap();
        let scanner = Scanner::new(SearchPath::empty().with_dir(temp.path())).with_cache(CacheLocation::None);
        let found = scanner.scan();
        let scope = GpuScope::new(granted.iter().map(|device| device.parse().unwrap()));
        let grant = Grant::none()
            .with_capabilities(Capabilities::GPU)
            .with_scopes(Scopes::none().with_gpu(scope));
        let policy = Policy::new(grant, Limits::DEFAULT);
        let admitted = found.get("greeter").unwrap().admit(&policy).unwrap();
        admitted.reductions.contains(&Reduction::Gpu)
    };
    for (gpu, granted) in [
        (r#"{ devices = ["*"] }"#, &["*", "name:llvmpipe*"][..]),
        (r#"{ devices = ["*", "*"] }"#, &["*"]),
        (r#"{ devices = ["discrete", "*"] }"#, &["*"]),
        (r#"{ devices = [], max_memory_bytes = 1 }"#, &["*"]),
        (r#"{ devices = ["*"], max_memory_bytes = 1 }"#, &["*"]),
    ] {
        assert!(!listed(gpu, granted), "{gpu} {granted:?}");
    }
    for (gpu, granted) in [
        (r#"{ devices = ["*"] }"#, &["discrete", "integrated"][..]),
        (r#"{ devices = ["*", "cpu"] }"#, &["*"]),
        (r#"{ devices = ["*"], max_memory_bytes = 67_108_865 }"#, &["*"]),
        (r#"{ devices = ["*"], max_invocations = 4_294_967_297 }"#, &["*"]),
        (r#"{ devices = ["*"], max_shader_bytes = 65_537 }"#, &["*"]),
    ] {
        assert!(listed(gpu, granted), "{gpu} {granted:?}");
    }
}
