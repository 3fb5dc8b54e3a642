//! The `serde` feature.
#![cfg(feature = "serde")]

use dynload_caps::{Access, Capabilities, DirScope, EnvScope, Grant, Limits};

#[test]
fn json_round_trips() {
    let mut grant = Grant::none().with_capabilities(Capabilities::FS_READ | Capabilities::NETWORK);
    grant
        .scopes
        .dirs
        .push(DirScope::new("/srv", "/data", Access::ReadWrite).unwrap());
    grant.scopes.env.push(EnvScope::host("LANG").unwrap());
    grant.scopes.net.push("*.example.com:443".parse().unwrap());
    let text = serde_json::to_string(&grant).unwrap();
    assert_eq!(
        text,
        r#"{"capabilities":"fs_read|network","scopes":{"dirs":[{"host":"/srv","guest":"/data","access":"read-write"}],"env":[{"name":"LANG"}],"net":["*.example.com:443"],"programs":[],"max_workers":0}}"#
    );
    assert_eq!(serde_json::from_str::<Grant>(&text).unwrap(), grant);
    let limits = Limits::DEFAULT.with_fuel(7);
    let text = serde_json::to_string(&limits).unwrap();
    assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
}

#[test]
fn unknown_words_are_refused() {
    let error = serde_json::from_str::<Capabilities>("\"conso1e\"")
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `console`?"), "{error}");
    assert!(serde_json::from_str::<Grant>(r#"{"capabilities":"none","scopes":{},"admin":true}"#).is_err());
    assert!(serde_json::from_str::<Grant>(r#"{"capabilities":"none","scopes":{"dir":[]}}"#).is_err());
}
