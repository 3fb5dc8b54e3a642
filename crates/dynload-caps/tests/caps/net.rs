//! `host:port` patterns: which connections they match, which they never match, and their intersection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dynload_caps::{NetScope, ParseNetError, is_public_address};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[track_caller]
fn scope(text: &str) -> NetScope {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Addresses that `*`, a name or a block of everything must not match.
const SPECIAL: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:1f:ffff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];
const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "93.184.215.14",
    "172.32.0.1",
    "192.169.0.1",
    "2001:2:1::1",
    "2001:20::1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
];

#[test]
fn special_addresses_need_an_explicit_pattern() {
    for text in SPECIAL {
        let address = addr(text);
        assert!(!is_public_address(address), "{text}");
        for wide in [
            "*:*",
            "example.com:*",
            "*.com:*",
            "0.0.0.0/0:*",
            "[::]/0:*",
            "128.0.0.0/1:*",
            "[2000::]/3:*",
        ] {
            assert!(
                !scope(wide).allows_remote(Some("example.com"), address, 80),
                "{wide} matched {text}"
            );
            assert!(!scope(wide).matches_addr(address, 80), "{wide} matched {text}");
            assert!(!scope(wide).matches_name(text, 80), "{wide} matched {text}");
        }
        let literal = if address.is_ipv6() {
            format!("[{text}]:80")
        } else {
            format!("{text}:80")
        };
        assert!(scope(&literal).matches_addr(address, 80), "{literal}");
        assert!(scope(&literal).matches_name(text, 80), "{literal}");
        assert!(!scope(&literal).matches_addr(address, 81), "{literal}");
    }
    for text in PUBLIC {
        assert!(is_public_address(addr(text)), "{text}");
        assert!(scope("*:*").matches_addr(addr(text), 80), "{text}");
    }
}

#[test]
fn localhost_is_loopback_and_nothing_else() {
    let local = scope("localhost:8080");
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert!(
            local.allows_remote(Some("LocalHost."), addr(address), 8080),
            "{address}"
        );
        assert!(
            !local.matches_addr(addr(address), 8080),
            "{address}: only allowed by name"
        );
        assert!(
            !scope("*:*").allows_remote(Some("localhost"), addr(address), 8080),
            "{address}"
        );
    }
    assert!(!local.allows_remote(Some("localhost"), addr("93.184.215.14"), 8080));
    assert!(!local.allows_remote(Some("localhost"), addr("192.168.0.1"), 8080));
}

#[test]
fn patterns_match_names() {
    let below = scope("*.example.com:443");
    assert!(below.matches_name("a.example.com", 443) && below.matches_name("A.b.EXAMPLE.com.", 443));
    for other in [
        "example.com",
        ".example.com",
        "notexample.com",
        "a.example.com.evil.org",
        "",
        "93.184.215.14",
    ] {
        assert!(!below.matches_name(other, 443), "{other}");
    }
    assert!(!below.matches_name("a.example.com", 444));
    assert!(
        !scope("example.com:*").matches_addr(addr("93.184.215.14"), 443),
        "the guest must use the name"
    );
    assert!(scope("*:*").matches_name("any.thing", 1));
    assert!(!scope("10.0.0.0/8:*").matches_name("any.thing", 1));
    assert!(scope("10.0.0.0/8:*").allows_remote(Some("any.thing"), addr("10.2.3.4"), 1));
    // An address passed as a name does not match a pattern of names.
    assert!(!scope("example.com:1").allows_remote(Some("192.168.1.1"), addr("192.168.1.1"), 1));
}

#[test]
fn a_name_and_the_names_below_it_do_not_intersect() {
    assert_eq!(
        scope("*.example.com:*").intersection(&scope("example.com:*")),
        None
    );
    assert_eq!(
        scope("example.com:*").intersection(&scope("*.example.com:*")),
        None
    );
    let both = scope("*.a.example.com:*").intersection(&scope("*.example.com:443"));
    assert_eq!(both, Some(scope("*.a.example.com:443")));
}

#[test]
fn text_forms_are_parsed_and_normalized() {
    for text in [
        "example.com:443",
        "*.example.com:8000-8100",
        "*:*",
        "127.0.0.1:0",
        "10.0.0.0/8:*",
        "[::1]:80",
        "[2001:db8::]/32:80",
        "0.0.0.0/0:1-65535",
        "db.example.com@10.0.0.0/8:5432",
        "*.example.com@[fd00::]/8:5432",
        "xn--bcher-kva.example:443",
        "my_host:1",
    ] {
        assert_eq!(scope(text).to_string(), text);
    }
    for (text, canonical) in [
        ("EXAMPLE.com.:0443", "example.com:443"),
        ("[2001:db8::/32]:80-80", "[2001:db8::]/32:80"),
        ("[::ffff:10.0.0.0]/104:1", "10.0.0.0/8:1"),
        ("[::ffff:10.0.0.1]:0-65535", "10.0.0.1:*"),
        ("10.0.0.1/32:1", "10.0.0.1:1"),
        ("*@10.0.0.0/8:1", "10.0.0.0/8:1"),
    ] {
        assert_eq!(scope(text).to_string(), canonical);
    }
}

#[test]
fn bad_patterns_are_refused_with_their_reason() {
    use ParseNetError as E;
    let bad = |text: &str| text.parse::<NetScope>().unwrap_err();
    for text in ["", "example.com", "[::1]", "10.0.0.1"] {
        assert_eq!(bad(text), E::NoPort, "{text}");
    }
    for text in [
        "a:", "a:65536", "a:-1", "a:+1", "a:2-1", "a:http", "a:1-", "a:**", "a: 1",
    ] {
        assert!(matches!(bad(text), E::BadPort(_)), "{text}");
    }
    assert_eq!(bad(":80"), E::NoHost);
    assert_eq!(bad("@10.0.0.0/8:80"), E::NoHost);
    for text in [
        "exa mple.com:1",
        "a..b:1",
        "-.*:1",
        "*.*:1",
        "a.*.b:1",
        "**:1",
        "bücher.example:1",
        "1.2.3:1",
        "1.2.3.4.5:1",
        "0x7f.1:1",
        "256.1.1.1:1",
        "*.168.1.1:1",
        "http://a:1",
        "user@host:1",
        "[::1:1",
        "[]:1",
        "[1.2.3.4]:1",
        "\0:1",
    ] {
        assert!(
            matches!(bad(text), E::BadHost(_) | E::Unbracketed(_)),
            "{text}: {:?}",
            bad(text)
        );
    }
    assert!(matches!(bad("::1:80"), E::BadHost(_) | E::Unbracketed(_)));
    assert!(matches!(bad("2001:db8::1/128:80"), E::Unbracketed(_)));
    for text in [
        "10.0.0.0/33:1",
        "10.0.0.0/:1",
        "10.0.0.0/-1:1",
        "10.0.0.0/+8:1",
        "[::]/129:1",
        "[::]/999:1",
    ] {
        assert!(matches!(bad(text), E::BadPrefixLength(_)), "{text}");
    }
    let E::HostBits { network, .. } = bad("10.1.0.0/8:1") else {
        panic!("{:?}", bad("10.1.0.0/8:1"))
    };
    assert_eq!(network, "10.0.0.0/8");
}

fn address() -> impl Strategy<Value = IpAddr> {
    let listed = prop::sample::select([SPECIAL, PUBLIC].concat()).prop_map(|text| text.parse().unwrap());
    prop_oneof![
        3 => listed,
        1 => any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        1 => any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn block() -> impl Strategy<Value = String> {
    (address(), 0u8..=128).prop_map(|(address, prefix)| match address {
        IpAddr::V4(four) => {
            let prefix = prefix % 33;
            let kept = four.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            format!("{}/{prefix}", Ipv4Addr::from_bits(kept))
        }
        IpAddr::V6(six) => {
            let kept = six.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            format!("[{}]/{prefix}", Ipv6Addr::from_bits(kept))
        }
    })
}

const NAMES: [&str; 6] = [
    "localhost",
    "example.com",
    "a.example.com",
    "b.a.example.com",
    "com",
    "example.org",
];

/// Blocks and addresses that often overlap.
const NEAR: [&str; 6] = [
    "192.0.2.7",
    "192.0.2.7/32",
    "192.0.2.0/24",
    "0.0.0.0/0",
    "127.0.0.1",
    "127.0.0.0/8",
];

fn pattern() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        prop::sample::select(&NAMES[..]).prop_map(|name| format!("*.{name}")),
        Just("*".to_owned()),
    ];
    // Some that often overlap.
    let block = || prop_oneof![block(), prop::sample::select(&NEAR[..]).prop_map(str::to_owned)];
    let host = prop_oneof![
        name.clone(),
        block(),
        (name, block()).prop_map(|(name, block)| format!("{name}@{block}")),
    ];
    let port = prop_oneof![
        Just("*".to_owned()),
        (0u16..10).prop_map(|port| port.to_string()),
        (0u16..5, 5u16..10).prop_map(|(first, last)| format!("{first}-{last}")),
    ];
    (host, port).prop_map(|(host, port)| format!("{host}:{port}"))
}

/// Returns a configuration with the same cases in every run, or many more and new ones if `DYNLOAD_PROVE` is set.
fn cases(short: u32, long: u32) -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var_os("DYNLOAD_PROVE") {
        Some(_) => (long, RngSeed::Random),
        None => (short, RngSeed::Fixed(0x6479_6e6c_6f61_6401)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(5_000, 200_000))]

    #[test]
    fn the_text_form_round_trips(text in pattern()) {
        let scope = scope(&text);
        prop_assert_eq!(scope.to_string().parse::<NetScope>(), Ok(scope));
    }

    /// The intersection allows a connection exactly when both patterns do.
    #[test]
    fn the_intersection_is_exact(
        a in pattern(), b in pattern(), address in address(), port in 0u16..10,
        name in prop::option::of(prop::sample::select(&NAMES[..])),
    ) {
        let (a, b) = (scope(&a), scope(&b));
        for own in [address, [192, 0, 2, 7].into(), [127, 0, 0, 1].into()] {
            let both = a.allows_local(name, own, port) && b.allows_local(name, own, port);
            let common = a.intersection(&b);
            prop_assert_eq!(
                common.is_some_and(|common| common.allows_local(name, own, port)), both, "{} {} {}", a, b, own
            );
        }
        let both = a.allows_remote(name, address, port) && b.allows_remote(name, address, port);
        let common = a.intersection(&b);
        prop_assert_eq!(common.as_ref().is_some_and(|common| common.allows_remote(name, address, port)), both, "{:?}", common);
        prop_assert_eq!(&common, &b.intersection(&a));
        if let Some(common) = common {
            prop_assert_eq!(common.to_string().parse::<NetScope>(), Ok(common));
        }
    }

    /// An address that stands for an IPv4 address is treated as that address everywhere.
    #[test]
    fn mapped_addresses_bypass_no_rule(text in pattern(), bits in any::<u32>(), port in 0u16..10) {
        let four = Ipv4Addr::from_bits(bits);
        let nat64 = Ipv6Addr::from_bits((0x0064_ff9b << 96) | u128::from(bits));
        let scope = scope(&text);
        let plain = scope.matches_addr(four.into(), port);
        prop_assert_eq!(plain, scope.matches_addr(four.to_ipv6_mapped().into(), port));
        prop_assert_eq!(plain, scope.matches_addr(nat64.into(), port));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[\\[\\]0-9a-f:./*@\\-]{0,24}|\\PC{0,24}") {
        match text.parse::<NetScope>() {
            Ok(scope) => prop_assert_eq!(scope.to_string().parse::<NetScope>(), Ok(scope)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// The intersection of `*` and one of the host's own addresses does not count as naming that address.
#[test]
fn an_own_address_is_reached_only_if_both_sides_name_it() {
    let own = "192.0.2.7".parse().unwrap();
    for (allowed, requested, reached) in [
        ("*:*", "192.0.2.7:443", false),
        ("192.0.2.0/24:*", "192.0.2.7:443", false),
        ("192.0.2.7/32:*", "192.0.2.7:443", false),
        ("192.0.2.7:*", "*:443", false),
        ("host.example:*", "192.0.2.7:443", false),
        ("192.0.2.7:*", "192.0.2.7:443", true),
        ("192.0.2.7:*", "host.example@192.0.2.7:443", true),
    ] {
        let common = scope(allowed).intersection(&scope(requested)).unwrap();
        assert_eq!(
            common.allows_local(Some("host.example"), own, 443),
            reached,
            "{common}"
        );
        let reparsed: NetScope = common.to_string().parse().unwrap();
        assert_eq!(reparsed, common);
        assert!(common.allows_remote(Some("host.example"), own, 443), "{common}");
    }
}
