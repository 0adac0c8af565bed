//! The columns: a type each, its edges, and how random values of it are drawn. What the target must hold is worked out
//! here, from the value, and from nothing in `src/`.

use delsert::config::Engine;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::moment::{self, Moment};
use super::narrow;
use super::value::{Expected, Value, hex, scaled};
use super::warehouse::{self, Room};

/// A column.
pub struct Column {
    /// As DDL writes its type.
    pub sql_type: &'static str,
    /// The target's type, if it is configured.
    pub target: Option<&'static str>,
    /// The values at which it could go wrong.
    pub edges: Vec<Value>,
    /// Draws one.
    pub draw: Box<dyn Fn(&mut StdRng) -> Value + Send + Sync>,
}

fn column(
    sql_type: &'static str,
    edges: Vec<Value>,
    draw: impl Fn(&mut StdRng) -> Value + Send + Sync + 'static,
) -> Column {
    Column { sql_type, target: None, edges, draw: Box::new(draw) }
}

/// The same with a configured type.
pub fn overridden(
    (sql_type, target): (&'static str, &'static str),
    edges: Vec<Value>,
    draw: impl Fn(&mut StdRng) -> Value + Send + Sync + 'static,
) -> Column {
    Column { target: Some(target), ..column(sql_type, edges, draw) }
}

/// All columns, as a warehouse holds them.
pub fn all(engine: Engine) -> Vec<Column> {
    let columns = [numbers(engine), moments(), texts(engine), others(), narrow::columns(engine)];
    columns.into_iter().flatten().collect()
}

fn integers(sql_type: &'static str, least: i64, most: i64) -> Column {
    let edges = [least, least + 1, -1, 0, 1, most - 1, most].into_iter().filter(|value| *value >= least);
    let edges = edges.map(|value| Value::literal(value.to_string(), value.to_string())).collect();
    column(sql_type, edges, move |rng| {
        let value = rng.random_range(least..=most);
        Value::literal(value.to_string(), value.to_string())
    })
}

/// Of all digits so many after the point, of which so many are kept.
fn decimals(sql_type: &'static str, digits: u32, (scale, kept): (u32, u32)) -> Column {
    let most = 10i128.pow(digits) - 1;
    let unit = 10i128.pow(scale - kept);
    let of = move |value: i128| {
        let value_kept = Value::quoted(scaled(value, scale), scaled(value / unit, kept));
        if value % unit == 0 { value_kept } else { value_kept.losing(&["digits"]) }
    };
    column(sql_type, [-most, -1, 0, 1, most].map(of).into(), move |rng| of(rng.random_range(-most..=most)))
}

fn money(sql_type: &'static str, least: i64, most: i64) -> Column {
    let edges = [least, -1, 0, 1, 123_456, most].map(|value| Value::plain(scaled(value.into(), 4))).into();
    column(sql_type, edges, move |rng| Value::plain(scaled(rng.random_range(least..=most).into(), 4)))
}

fn numbers(engine: Engine) -> Vec<Column> {
    let bits = || vec![Value::bit(false), Value::bit(true)];
    let scale = warehouse::largest_scale(engine).min(38);
    let doubles = [0.0, 0.1, 0.1 + 0.2, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 1e15, 1e16, 1e17, 1e-5, 9e-6, -1.5];
    let singles = [0.0, 0.1, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 16_777_216.0, 1e8, 1e9, -1.5];
    vec![
        column("bit", bits(), move |rng| bits().choose(rng).unwrap().clone()),
        integers("tinyint", 0, 255),
        integers("smallint", i16::MIN.into(), i16::MAX.into()),
        integers("int", i32::MIN.into(), i32::MAX.into()),
        integers("bigint", i64::MIN, i64::MAX),
        decimals("decimal(1,0)", 1, (0, 0)),
        decimals("decimal(9,4)", 9, (4, 4)),
        decimals("decimal(18,0)", 18, (0, 0)),
        decimals("decimal(19,0)", 19, (0, 0)),
        decimals("numeric(19,4)", 19, (4, 4)),
        decimals("decimal(38,0)", 38, (0, 0)),
        decimals("decimal(38,10)", 38, (10, 10)),
        decimals("decimal(38,38)", 38, (38, scale)),
        money("smallmoney", i32::MIN.into(), i32::MAX.into()),
        money("money", i64::MIN, i64::MAX),
        column("real", singles.map(Value::single).into(), |rng| {
            Value::single(f32::from_bits(rng.random_range(0x0080_0000..0x7f00_0000)))
        }),
        column("float", doubles.map(Value::double).into(), |rng| {
            Value::double(f64::from_bits(rng.random_range(0x0010_0000_0000_0000..0x7fe0_0000_0000_0000)))
        }),
    ]
}

fn moments() -> Vec<Column> {
    let (first, last) = (Moment::first(), Moment::last());
    let times = |sql_type, digits| {
        let edges = vec![moment::time(first, digits), moment::time(last, digits)];
        column(sql_type, edges, move |rng| moment::time(Moment::random(rng), digits))
    };
    let stamps = |sql_type, digits| {
        let stamp = move |moment| moment::datetime2(moment, digits, 6);
        column(sql_type, vec![stamp(first), stamp(last)], move |rng| stamp(Moment::random(rng)))
    };
    let offsets = |sql_type, digits| {
        let edges = [(first, 0), (first, 840), (last, 0), (last, -840), (first, 1), (last, -60)];
        let edges = edges.map(|(moment, minutes)| moment::offset(moment, digits, minutes)).into();
        column(sql_type, edges, move |rng| {
            let minutes = *[0, 0, 60, -330, 345, 840, -840].choose(rng).unwrap();
            moment::offset(Moment::random(rng), digits, minutes)
        })
    };
    let dates = [first, last].map(|moment| Value::plain(moment.date()));
    let edges = [(-53_690, 0), (2_958_463, 25_919_999), (0, 1), (0, 2), (36_524, 299)];
    vec![
        column("date", dates.into(), |rng| Value::plain(Moment::random(rng).date())),
        times("time(0)", 0),
        times("time(3)", 3),
        times("time(7)", 7),
        column("smalldatetime", vec![moment::smalldatetime(0, 0), moment::smalldatetime(65_535, 1439)], |rng| {
            moment::smalldatetime(rng.random(), rng.random_range(0..1440))
        }),
        column("datetime", edges.map(|(days, fragments)| moment::datetime(days, fragments)).into(), |rng| {
            moment::datetime(rng.random_range(-53_690..=2_958_463), rng.random_range(0..25_920_000))
        }),
        stamps("datetime2(0)", 0),
        stamps("datetime2(3)", 3),
        stamps("datetime2(7)", 7),
        offsets("datetimeoffset(0)", 0),
        offsets("datetimeoffset(7)", 7),
    ]
}

/// What text is made of: what CSV, COPY and T-SQL quote, what looks like NULL, and characters of one to four bytes.
pub const PIECES: &[&str] = &[
    "a", "Zq", " ", "  ", "'", "''", "\"", "\"\"", ",", ";", "\\", "\\N", "\\.", "NULL", "\t", "\n", "\r\n", "\r",
    "--", "%", "[", "]", "0", "é", "ß", "€", "Ω", "я", "עב", "日本", "😀", "𝄞", "e\u{301}", "\u{200d}", "\u{feff}",
    "\u{a0}", "\u{1}", "\u{7f}", "\u{fffd}", "\u{ffff}",
];

/// Halves of surrogate pairs, a pair the wrong way round, NUL.
const BROKEN: &[&[u16]] = &[&[0xD83D], &[0xDE00], &[0xDE00, 0xD83D], &[0]];

/// Characters of code page 1252, with their bytes.
const BYTES_1252: &[(u8, char)] = &[
    (b'a', 'a'),
    (b'Z', 'Z'),
    (b' ', ' '),
    (b'\'', '\''),
    (b'"', '"'),
    (b',', ','),
    (b'\\', '\\'),
    (b'N', 'N'),
    (b'\n', '\n'),
    (b'\r', '\r'),
    (b'\t', '\t'),
    (0xE9, 'é'),
    (0xDF, 'ß'),
    (0x80, '€'),
    (0x99, '™'),
    (0x9F, 'Ÿ'),
    (0xFF, 'ÿ'),
];

/// Random UTF-16 of at most so many units.
fn units(rng: &mut StdRng, most: usize) -> Vec<u16> {
    let length = rng.random_range(0..=most);
    let mut units = Vec::new();
    loop {
        let piece = if rng.random_bool(0.004) {
            (*BROKEN.choose(rng).unwrap()).to_vec()
        } else {
            PIECES.choose(rng).unwrap().encode_utf16().collect()
        };
        if units.len() + piece.len() > length {
            return units;
        }
        units.extend(piece);
    }
}

fn padded(mut units: Vec<u16>, length: usize) -> Vec<u16> {
    units.resize(length, u16::from(b' '));
    units
}

fn single_bytes(rng: &mut StdRng, most: usize, padded: bool, sql_type: &str) -> Value {
    let length = rng.random_range(0..=most);
    let mut drawn: Vec<_> = (0..length).map(|_| *BYTES_1252.choose(rng).unwrap()).collect();
    if rng.random_bool(0.01) && length > 0 {
        drawn[0] = (0, '\u{FFFD}');
    }
    drawn.resize(if padded { most } else { length }, (b' ', ' '));
    of_1252(&drawn, sql_type)
}

fn of_1252(drawn: &[(u8, char)], sql_type: &str) -> Value {
    let bytes: Vec<_> = drawn.iter().map(|(byte, _)| *byte).collect();
    let text: String = drawn.iter().map(|(_, character)| *character).collect();
    let value = Value::literal(format!("CAST({} AS {sql_type})", hex(&bytes)), text);
    if bytes.contains(&0) { value.losing(&["nul"]) } else { value }
}

fn wide(room: Room, sql_type: &'static str, most: usize, pads: bool) -> Column {
    let cast = if sql_type == "ntext" { "nvarchar(max)" } else { sql_type };
    let of = move |units: Vec<u16>| room.cut(Value::utf16(&if pads { padded(units, most) } else { units }, cast));
    let mut edges: Vec<_> = ["", " ", "\\N", "NULL", "\"", "a  "].map(|text| of(text.encode_utf16().collect())).into();
    edges.extend(BROKEN.iter().map(|units| of(units.to_vec())));
    edges.push(of(vec![u16::from(b'x'); most]));
    // Of each length in UTF-8 the most that there can be.
    edges.extend(["é", "日", "😀", "\0"].map(|text| of(text.repeat(most).encode_utf16().take(most).collect())));
    column(sql_type, edges, move |rng| of(units(rng, most.min(60))))
}

fn narrow_text(room: Room, sql_type: &'static str, most: usize, pads: bool) -> Column {
    let cast = if sql_type == "text" { "varchar(max)" } else { sql_type };
    let edge = |drawn: &[(u8, char)]| {
        let mut drawn = drawn.to_vec();
        drawn.resize(if pads { most } else { drawn.len() }, (b' ', ' '));
        room.cut(of_1252(&drawn, cast))
    };
    let full = |byte, character| vec![(byte, character); most];
    let mut edges = vec![edge(&[]), edge(BYTES_1252.get(..10.min(most)).unwrap()), edge(&[(0, '\u{FFFD}')])];
    edges.extend([(b'x', 'x'), (0xE9, 'é'), (0x80, '€'), (0, '\u{FFFD}')].map(|(byte, text)| edge(&full(byte, text))));
    column(sql_type, edges, move |rng| room.cut(single_bytes(rng, most.min(60), pads && most <= 60, cast)))
}

fn texts(engine: Engine) -> Vec<Column> {
    let room = warehouse::longest_text(engine);
    let utf8 = |text: &str| Value::quoted(text, text);
    vec![
        narrow_text(room, "char(10)", 10, true),
        narrow_text(room, "varchar(50)", 50, false),
        narrow_text(room, "varchar(8000)", 8000, false),
        // In Windows-1252 a character has one byte, in UTF-8 up to three.
        narrow_text(room, "varchar(max)", 40_000, false),
        narrow_text(room, "text", 9_000, false),
        wide(room, "nchar(10)", 10, true),
        wide(room, "nvarchar(50)", 50, false),
        wide(room, "nvarchar(4000)", 4000, false),
        wide(room, "nvarchar(max)", 30_000, false),
        wide(room, "ntext", 5_000, false),
        column(
            "varchar(200) COLLATE Latin1_General_100_CI_AS_SC_UTF8",
            vec![utf8(""), utf8("日本😀é")],
            move |rng| {
                let text: String = (0..rng.random_range(0..10)).map(|_| *PIECES.choose(rng).unwrap()).collect();
                utf8(&text)
            },
        ),
        column("xml", vec![utf8("<a />"), utf8("<a b=\"1\">é &amp; 日本</a>")], move |rng| {
            utf8(&format!("<row at=\"{}\">{}</row>", rng.random::<u32>(), rng.random::<u64>()))
        }),
    ]
}

fn binaries(sql_type: &'static str, least: usize, most: usize) -> Column {
    let edges = vec![Value::bytes(&vec![0; least]), Value::bytes(&vec![0xFF; most])];
    column(sql_type, edges, move |rng| {
        let length = rng.random_range(least..=most.min(least + 40));
        Value::bytes(&(0..length).map(|_| rng.random()).collect::<Vec<u8>>())
    })
}

fn others() -> Vec<Column> {
    let guid = |bytes: [u8; 16]| {
        let text = uuid::Uuid::from_bytes(bytes).to_string();
        Value::quoted(text.to_uppercase(), text)
    };
    vec![
        binaries("binary(8)", 8, 8),
        binaries("varbinary(50)", 0, 50),
        binaries("varbinary(8000)", 0, 8000),
        binaries("varbinary(max)", 0, 20_000),
        binaries("image", 0, 9_000),
        column(
            "uniqueidentifier",
            vec![guid([0; 16]), guid([0xFF; 16]), guid(*b"\x00\x01\x02\x03\x04\x05\x06\x07abcdefgh")],
            move |rng| guid(rng.random()),
        ),
        column("sql_variant", variants(), |rng| variants().choose(rng).unwrap().clone()),
    ]
}

/// A value of each base type, and all of its digits.
fn variants() -> Vec<Value> {
    let of =
        |sql_type: &str, source: &str, target: &str| Value::literal(format!("CAST({source} AS {sql_type})"), target);
    let float = |sql_type: &str, value: f64| Value {
        literal: format!("CAST({value:e} AS {sql_type})"),
        expected: Expected::Double(value),
        losses: Vec::new(),
    };
    vec![
        of("int", "-2147483648", "-2147483648"),
        of("bigint", "9223372036854775807", "9223372036854775807"),
        of("tinyint", "255", "255"),
        of("bit", "1", "1"),
        of("decimal(38,10)", "'1234567890123456789012345678.0123456789'", "1234567890123456789012345678.0123456789"),
        of("money", "'922337203685477.5807'", "922337203685477.5807"),
        of("smallmoney", "'-214748.3648'", "-214748.3648"),
        float("float", 0.1 + 0.2),
        float("float", f64::MIN_POSITIVE),
        float("real", 0.5),
        of("date", "'0001-01-01'", "0001-01-01"),
        of("time(7)", "'23:59:59.9999999'", "23:59:59.9999999"),
        of("datetime", "'1753-01-01T00:00:00.007'", "1753-01-01 00:00:00.007"),
        of("smalldatetime", "'2079-06-06T23:59:00'", "2079-06-06 23:59:00.000"),
        of("datetime2(7)", "'9999-12-31T23:59:59.9999999'", "9999-12-31 23:59:59.9999999"),
        of("datetimeoffset(7)", "'2024-01-02 03:04:05.1234567 +05:45'", "2024-01-02 03:04:05.1234567 +05:45"),
        of("uniqueidentifier", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        of("varbinary(20)", "0x00FF10", "0x00FF10"),
        of("binary(4)", "0x01", "0x01000000"),
        of("nvarchar(20)", "N'日本 😀'", "日本 😀"),
        of("varchar(20)", "N'é€'", "é€"),
        of("nchar(4)", "N'a'", "a   "),
        of("nvarchar(4000)", "REPLICATE(N'x', 4000)", &"x".repeat(4000)),
        of("varchar(8000)", "REPLICATE('x', 8000)", &"x".repeat(8000)),
    ]
}
