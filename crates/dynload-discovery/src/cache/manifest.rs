//! The binary form of a [`Manifest`]. Values that have rules are read through those rules again.

use std::collections::BTreeMap;

use dynload_caps::{Access, Capabilities, NetScope};
use semver::{Version, VersionReq};

use super::codec::{Code, Input, put_block, record};
use crate::manifest::{
    CapabilityRequest, ConfigField, ConfigType, ConfigValue, Dependency, DirRequest, Entries, EntryPath,
    EnvRequest, Format, FunctionType, HostDir, LimitRequest, Manifest, ValueType,
};
use crate::{PlatformKey, PluginId};

record!(Manifest {
    id,
    name,
    version,
    description,
    authors,
    license,
    format,
    entry,
    host_version,
    capabilities,
    limits,
    dependencies,
    exports,
    config,
});
record!(LimitRequest {
    max_memory_bytes,
    max_time_ms,
    max_stack_bytes,
    max_call_depth,
    max_fuel
});
record!(CapabilityRequest {
    needs,
    optional,
    directories,
    environment,
    hosts,
    programs,
    workers
});
record!(DirRequest { host, guest, access });
record!(EnvRequest { name, value });
record!(Dependency { version, optional });
record!(FunctionType {
    params,
    results,
    description
});
record!(ConfigField {
    value_type,
    default,
    required,
    description
});

/// [`Code`] for a value that is kept as its text.
macro_rules! text {
    ($($name:ty),+) => { $(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                put_block(out, self.to_string().as_bytes());
            }
            fn take(input: &mut Input<'_>) -> Option<$name> {
                input.str()?.parse().ok()
            }
        }
    )+ };
}
text!(
    PluginId,
    Version,
    VersionReq,
    EntryPath,
    PlatformKey,
    NetScope,
    HostDir
);

/// [`Code`] for a word of a fixed list: its place in the list.
macro_rules! word {
    ($($name:ident),+) => { $(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let place = $name::NAMES.iter().position(|(_, known)| known == self);
                out.push(place.map_or(u8::MAX, |place| place as u8));
            }
            fn take(input: &mut Input<'_>) -> Option<$name> {
                let place = *input.bytes(1)?.first()?;
                $name::NAMES.get(usize::from(place)).map(|(_, known)| *known)
            }
        }
    )+ };
}
word!(Format, ConfigType);

impl Code for ValueType {
    fn put(&self, out: &mut Vec<u8>) {
        let place = ValueType::NAMES.iter().position(|(_, known)| known == self);
        out.push(place.map_or(u8::MAX, |place| place as u8));
    }

    fn take(input: &mut Input<'_>) -> Option<ValueType> {
        let place = *input.bytes(1)?.first()?;
        if place == u8::MAX {
            return Some(ValueType::Other);
        }
        ValueType::NAMES.get(usize::from(place)).map(|(_, known)| *known)
    }
}

impl Code for Capabilities {
    fn put(&self, out: &mut Vec<u8>) {
        self.bits().put(out);
    }

    fn take(input: &mut Input<'_>) -> Option<Capabilities> {
        Capabilities::from_raw(u64::take(input)?).ok()
    }
}

impl Code for Access {
    fn put(&self, out: &mut Vec<u8>) {
        (*self == Access::ReadWrite).put(out);
    }

    fn take(input: &mut Input<'_>) -> Option<Access> {
        Some(if bool::take(input)? {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        })
    }
}

impl Code for Entries {
    fn put(&self, out: &mut Vec<u8>) {
        (self.iter().len() as u64).put(out);
        for (key, path) in self.iter() {
            key.put(out);
            path.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Option<Entries> {
        Entries::per_platform(BTreeMap::take(input)?)
    }
}

impl Code for ConfigValue {
    fn put(&self, out: &mut Vec<u8>) {
        self.value_type().put(out);
        match self {
            ConfigValue::Boolean(value) => value.put(out),
            ConfigValue::Integer(value) => value.put(out),
            ConfigValue::Float(value) => value.put(out),
            ConfigValue::String(value) => value.put(out),
            ConfigValue::Strings(value) => value.put(out),
        }
    }

    fn take(input: &mut Input<'_>) -> Option<ConfigValue> {
        Some(match ConfigType::take(input)? {
            ConfigType::Boolean => ConfigValue::Boolean(Code::take(input)?),
            ConfigType::Integer => ConfigValue::Integer(Code::take(input)?),
            ConfigType::Float => ConfigValue::Float(Code::take(input)?),
            ConfigType::String => ConfigValue::String(Code::take(input)?),
            ConfigType::Strings => ConfigValue::Strings(Code::take(input)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = include_str!("../../tests/everything.toml");

    #[test]
    fn comes_back_the_same() {
        let manifest = Manifest::parse(EVERYTHING).unwrap();
        let mut bytes = Vec::new();
        manifest.put(&mut bytes);
        let mut input = Input(&bytes);
        assert_eq!(Manifest::take(&mut input), Some(manifest));
        assert!(input.0.is_empty());
    }

    #[test]
    fn damaged_input_is_refused_or_read_and_never_panics() {
        let mut bytes = Vec::new();
        Manifest::parse(EVERYTHING).unwrap().put(&mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(Manifest::take(&mut Input(&bytes[..end])), None, "cut at {end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let _ = Manifest::take(&mut Input(&damaged));
            }
        }
    }
}
