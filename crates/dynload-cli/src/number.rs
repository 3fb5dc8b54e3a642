//! The numbers of the command line: arguments and results of functions.
//!
//! ```text
//! integer = [sign] (digit+ | "0x" hexdigit+)
//! float   = [sign] (digit+ ["." digit*] | "." digit+) [("e" | "E") [sign] digit+]
//!         | [sign] ("inf" | "nan")
//! sign    = "+" | "-"
//! ```
//!
//! An integer can be in the signed or in the unsigned range of its type. A result is printed in the same grammar, and reads
//! back as the same number; the payload of a NaN is lost.

use dynload_sandbox::{ValType, Value};

/// Returns the number that `word` is, as a value of type `ty`.
///
/// # Errors
///
/// What is wrong with the word, which is not quoted.
pub(crate) fn parse(word: &str, ty: ValType) -> Result<Value, String> {
    match ty {
        ValType::I32 => {
            integer(word, ty, i32::MIN.into(), u32::MAX.into()).map(|bits| Value::I32(bits as i32))
        }
        ValType::I64 => {
            integer(word, ty, i64::MIN.into(), u64::MAX.into()).map(|bits| Value::I64(bits as i64))
        }
        ValType::F32 => {
            let number: f32 = float(word, ty)?;
            let number = Value::F32(number);
            not_overflowed(word, number, Value::F32(f32::MAX)).map(|()| number)
        }
        ValType::F64 => {
            let number: f64 = float(word, ty)?;
            let number = Value::F64(number);
            not_overflowed(word, number, Value::F64(f64::MAX)).map(|()| number)
        }
        _ => Err(format!("not an argument: a value of type {ty} has no text form")),
    }
}

/// Returns the sign of a word, and the rest.
fn unsigned(word: &str) -> (i128, &str) {
    match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    }
}

fn integer(word: &str, ty: ValType, least: i128, most: i128) -> Result<i128, String> {
    let (sign, rest) = unsigned(word);
    let (digits, radix) = match rest.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (rest, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(format!(
            "not a number of type {ty}: write a whole number, such as -7 or 0x1f"
        ));
    }
    // Only a number of more than 127 bits does not fit.
    let number = i128::from_str_radix(digits, radix)
        .ok()
        .map(|number| sign * number);
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("outside the range of {ty}, which is from {least} to {most}"))
}

fn float<F: std::str::FromStr>(word: &str, ty: ValType) -> Result<F, String> {
    let (_, rest) = unsigned(word);
    // `from_str` also accepts `infinity`, and any case.
    let is_number = matches!(rest, "inf" | "nan")
        || rest.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let number = is_number.then(|| word.parse().ok()).flatten();
    number.ok_or_else(|| {
        format!("not a number of type {ty}: write a decimal number, such as -0.5 or 1e9, or inf or nan")
    })
}

/// Checks that only the word `inf` is infinite.
fn not_overflowed(word: &str, number: Value, most: Value) -> Result<(), String> {
    if text(&number).ends_with("inf") && !word.ends_with("inf") {
        let (ty, most) = (most.ty(), text(&most));
        return Err(format!(
            "outside the range of {ty}, which is from -{most} to {most}"
        ));
    }
    Ok(())
}

/// Returns a value as text: a float with as few digits as identify it, with an exponent where that is shorter to read.
pub(crate) fn text(value: &Value) -> String {
    /// The exponents between which a float is printed without one, as by `{:?}`.
    const PLAIN: std::ops::Range<f64> = 1e-5..1e16;
    let is_plain = |size: f64| size == 0.0 || PLAIN.contains(&size);
    match *value {
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F32(number) if number.is_nan() => "nan".to_owned(),
        Value::F64(number) if number.is_nan() => "nan".to_owned(),
        Value::F32(number) if is_plain(number.abs().into()) => number.to_string(),
        Value::F64(number) if is_plain(number.abs()) => number.to_string(),
        Value::F32(number) => format!("{number:e}"),
        Value::F64(number) => format!("{number:e}"),
        // A later version of the sandbox may have more types.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn i32(word: &str) -> Result<Value, String> {
        parse(word, ValType::I32)
    }

    fn f64(word: &str) -> Result<Value, String> {
        parse(word, ValType::F64)
    }

    #[test]
    fn the_signed_and_the_unsigned_range_of_an_integer_are_accepted() {
        assert_eq!(i32("-2147483648"), Ok(Value::I32(i32::MIN)));
        assert_eq!(i32("4294967295"), Ok(Value::I32(-1)));
        assert_eq!(i32("-0x80000000"), Ok(Value::I32(i32::MIN)));
        assert_eq!(i32("+0xFf"), Ok(Value::I32(255)));
        for wrong in ["4294967296", "-2147483649", "0x100000000", &"9".repeat(60)] {
            let error = i32(wrong).unwrap_err();
            assert_eq!(
                error,
                "outside the range of i32, which is from -2147483648 to 4294967295"
            );
        }
        let i64 = |word| parse(word, ValType::I64);
        assert_eq!(i64("18446744073709551615"), Ok(Value::I64(-1)));
        assert_eq!(i64("-9223372036854775808"), Ok(Value::I64(i64::MIN)));
        assert!(i64("18446744073709551616").is_err());
        assert!(i64("-9223372036854775809").is_err());
    }

    #[test]
    fn a_word_outside_the_grammar_is_not_a_number() {
        for wrong in [
            "", "-", "+", "0x", "--1", "+-1", "1.0", "0x+1", "0x-1", "0X1", "1_000", " 1", "1 ", "1e3", "٣",
            "inf",
        ] {
            assert!(
                i32(wrong).unwrap_err().contains("not a number of type i32"),
                "{wrong}"
            );
        }
        for wrong in [
            "", ".", "-", "e5", "1e", "1e+", "0x1", "1_000", "infinity", "Inf", "NaN", "INF", "--1", "1..0",
            "1f", "++inf",
        ] {
            assert!(
                f64(wrong).unwrap_err().contains("not a number of type f64"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_finite_word_is_never_infinite() {
        assert_eq!(f64("-inf"), Ok(Value::F64(f64::NEG_INFINITY)));
        assert_eq!(parse("3.4028235e38", ValType::F32), Ok(Value::F32(f32::MAX)));
        for (word, ty) in [
            ("1e39", ValType::F32),
            ("-1e309", ValType::F64),
            ("1e999999", ValType::F64),
        ] {
            assert!(
                parse(word, ty).unwrap_err().contains("outside the range of f"),
                "{word}"
            );
        }
        assert_eq!(f64("1e-400"), Ok(Value::F64(0.0)));
        assert_eq!(
            parse("1e39", ValType::F32).unwrap_err(),
            "outside the range of f32, which is from -3.4028235e38 to 3.4028235e38"
        );
    }

    #[test]
    fn floats_are_printed_with_as_few_digits_as_identify_them() {
        for (number, printed) in [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NEG_INFINITY, "-inf"),
            (-f64::NAN, "nan"),
        ] {
            assert_eq!(text(&Value::F64(number)), printed);
        }
        assert_eq!(text(&Value::F32(0.1)), "0.1");
        assert_eq!(text(&Value::F32(f32::MAX)), "3.4028235e38");
    }

    proptest! {
        #[test]
        fn a_printed_float_reads_back_as_the_same_number(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            let Value::F64(read) = f64(&text(&Value::F64(number))).unwrap() else { panic!() };
            prop_assert!(read.to_bits() == bits || number.is_nan() && read.is_nan());
            let number = f32::from_bits(bits as u32);
            let Value::F32(read) = parse(&text(&Value::F32(number)), ValType::F32).unwrap() else { panic!() };
            prop_assert!(read.to_bits() == bits as u32 || number.is_nan() && read.is_nan());
        }

        #[test]
        fn every_integer_of_the_grammar_is_accepted_in_its_range(
            sign in "[+-]?", number in any::<u128>(), shift in 0..128_u32, is_hex in any::<bool>()
        ) {
            let number = number >> shift;
            let word = if is_hex { format!("{sign}0x{number:x}") } else { format!("{sign}{number}") };
            // Independent of `i128`: the ranges, as sizes on each side of zero.
            let is_negative = sign == "-";
            let fits = |negative: u128, positive: u128| number <= if is_negative { negative } else { positive };
            let wrapped = if is_negative { number.wrapping_neg() } else { number };
            let expected = fits(1 << 31, u32::MAX.into()).then_some(Value::I32(wrapped as i32));
            prop_assert_eq!(i32(&word).ok(), expected);
            let expected = fits(1 << 63, u64::MAX.into()).then_some(Value::I64(wrapped as i64));
            prop_assert_eq!(parse(&word, ValType::I64).ok(), expected);
        }

        #[test]
        fn every_float_of_the_grammar_is_accepted(
            word in r"[+-]?(([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?|inf|nan)"
        ) {
            prop_assert!(f64(&word).is_ok(), "{}", word);
        }

        #[test]
        fn no_word_panics(word in r"[0-9a-fxinEe+\-._ ]{0,12}|\PC{0,8}") {
            for ty in [ValType::I32, ValType::I64, ValType::F32, ValType::F64] {
                if let Ok(value) = parse(&word, ty) {
                    prop_assert_eq!(value.ty(), ty);
                }
            }
        }
    }
}
