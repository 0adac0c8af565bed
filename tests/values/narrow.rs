//! Columns whose configured type holds less than the source's, or holds it otherwise.

use delsert::config::Engine;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::columns::{Column, PIECES, overridden};
use super::moment::{self, Moment};
use super::value::{Expected, Value, hex, scaled};
use super::warehouse;

/// All of them.
pub fn columns(engine: Engine) -> Vec<Column> {
    let room = warehouse::varchar(engine, 5);
    let length = move |text: &str| room.cut(Value::quoted(text, text));
    let small = |value: i32| match i16::try_from(value) {
        Ok(_) => Value::literal(value.to_string(), value.to_string()),
        Err(_) => Value::beyond(value.to_string()),
    };
    // numeric(10,2) of a decimal(19,4).
    let cents = |value: i64| {
        let cut = value / 100;
        if cut.abs() > 9_999_999_999 {
            return Value::beyond(format!("'{}'", scaled(value.into(), 4)));
        }
        let kept = Value::quoted(scaled(value.into(), 4), scaled(cut.into(), 2));
        if value % 100 == 0 { kept } else { kept.losing(&["digits"]) }
    };
    let single = |value: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "what is lost is what is expected")]
        let near = value as f32;
        if near.is_infinite() {
            return Value::beyond(format!("{value:e}"));
        }
        let exact = f64::from(near).to_bits() == value.to_bits();
        let (literal, expected) = (format!("{value:e}"), Expected::Single(near));
        Value { literal, expected, losses: if exact { Vec::new() } else { vec!["digits"] } }
    };
    let day = |moment| moment::day(moment, 3);
    let mut columns = vec![
        overridden(
            ("nvarchar(50)", "varchar(5)"),
            vec![length(""), length("12345"), length("123456"), length("12345 "), length("😀😀😀😀😀😀")],
            move |rng| length(&(0..rng.random_range(0..6)).map(|_| *PIECES.choose(rng).unwrap()).collect::<String>()),
        ),
        overridden(("int", "smallint"), [-32_769, -32_768, 0, 32_767, 32_768].map(small).into(), move |rng| {
            small(rng.random_range(-40_000..40_000))
        }),
        overridden(
            ("decimal(19,4)", "numeric(10,2)"),
            [0, 1, 99, 100, -100, -101, 999_999_999_900, 999_999_999_999, 1_000_000_000_000, -i64::MAX]
                .map(cents)
                .into(),
            move |rng| cents(rng.random_range(-2_000_000_000_000..2_000_000_000_000)),
        ),
        overridden(("float", "real"), [0.5, 0.1, 1e39, -1e39, 3.5e38].map(single).into(), move |rng| {
            single(rng.random_range(-1e39..1e39))
        }),
        overridden(("datetime2(3)", "date"), vec![day(Moment::first()), day(Moment::last())], move |rng| {
            day(Moment::random(rng))
        }),
    ];
    columns.extend(match engine {
        Engine::Postgres => of_postgres(),
        Engine::Redshift => of_redshift(),
    });
    columns
}

fn of_postgres() -> Vec<Column> {
    let second = |moment| moment::datetime2(moment, 6, 0);
    let edges = vec![second(Moment::first()), second(Moment::last())];
    vec![overridden(("datetime2(6)", "timestamp(0)"), edges, move |rng| second(Moment::random(rng)))]
}

/// Its times have six digits whatever is asked for, its bytes a length, and its texts are bytes.
fn of_redshift() -> Vec<Column> {
    let eight = |bytes: &[u8]| {
        let value = Value { expected: Expected::Bytes(bytes.iter().take(8).copied().collect()), ..Value::bytes(bytes) };
        if bytes.len() > 8 { value.losing(&["length"]) } else { value }
    };
    let digits = |bytes: &[u8]| Value::literal(hex(bytes), hex(bytes)[2..].to_lowercase());
    let zoned = |moment| {
        let value = moment::datetime2(moment, 7, 6);
        let Expected::Text(text) = &value.expected else { return value };
        Value { expected: Expected::Text(format!("{text}+00")), ..value }
    };
    let midnight = |moment: Moment| Value::quoted(moment.date(), format!("{} 00:00:00", moment.date()));
    let bytes =
        |rng: &mut StdRng, most: usize| (0..rng.random_range(0..=most)).map(|_| rng.random()).collect::<Vec<u8>>();
    let ends = [Moment::first(), Moment::last()];
    vec![
        overridden(
            ("varbinary(50)", "varbyte(8)"),
            [0, 1, 7, 8, 9, 50].map(|length| eight(&vec![0xA5; length])).into(),
            move |rng| eight(&bytes(rng, 16)),
        ),
        overridden(
            ("varbinary(20)", "varchar(40)"),
            [0, 1, 20].map(|length| digits(&vec![0x0A; length])).into(),
            move |rng| digits(&bytes(rng, 20)),
        ),
        overridden(("datetime2(7)", "timestamptz"), ends.map(zoned).into(), move |rng| zoned(Moment::random(rng))),
        overridden(("date", "timestamp"), ends.map(midnight).into(), move |rng| midnight(Moment::random(rng))),
    ]
}
