//! The server against tiberius, over a session that answers from a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::{Encryption, Settings, serve};
use crate::session::{Flow, Login, Param, Server, Session, Sink, TransactionRequest};
use crate::value::{Column, SqlError, SqlType, Value};

const LARGE: i64 = 200_000;

#[derive(Default)]
struct Script {
    dropped: Arc<AtomicBool>,
}

struct Actor {
    dropped: Arc<AtomicBool>,
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl Server for Script {
    fn login(&self, login: &Login) -> Result<Box<dyn Session>, SqlError> {
        if login.password != "p@ß𝄞" {
            let text = format!("Login failed for user '{}'.", login.user);
            return Err(SqlError::new(18_456, text).severity(14));
        }
        if login.database == "absent" {
            return Err(SqlError::new(4060, "Cannot open database \"absent\".").severity(11));
        }
        Ok(Box::new(Actor { dropped: Arc::clone(&self.dropped) }))
    }
}

fn column(name: &str, sql_type: SqlType) -> Column {
    Column { name: name.to_owned(), sql_type, nullable: true, identity: false, collation: None }
}

impl Session for Actor {
    fn database(&self) -> String {
        "shop".to_owned()
    }

    fn spid(&self) -> u16 {
        51
    }

    fn batch(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink) {
        match sql {
            "echo" => {
                // As columns and as values: what came in goes out by the types it came with.
                let columns: Vec<Column> = params.iter().map(|param| column(&param.name, param.sql_type)).collect();
                let row: Vec<Value> = params.iter().map(|param| param.value.clone()).collect();
                sink.columns(&columns);
                sink.row(&row);
                sink.done(Some(1));
            }
            "large" => {
                sink.columns(&[column("n", SqlType::BigInt), column("text", SqlType::NVarChar(Some(40)))]);
                let mut count = 0;
                for n in 0..LARGE {
                    if sink.row(&[Value::Int(n), Value::Text(format!("row number {n}"))]) == Flow::Stop {
                        return;
                    }
                    count += 1;
                }
                sink.done(Some(count));
            }
            "wait" => {
                while sink.poll() == Flow::Continue {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            "fail" => {
                sink.done(Some(3));
                sink.message(&SqlError::new(2627, "Violation of PRIMARY KEY constraint"));
                sink.message(&SqlError::new(3621, "The statement has been terminated.").severity(0));
                sink.done(None);
            }
            "every type" => {
                let (columns, row): (Vec<Column>, Vec<Value>) = every_type().into_iter().unzip();
                sink.columns(&columns);
                sink.row(&row);
                sink.row(&vec![Value::Null; columns.len()]);
                sink.done(Some(2));
            }
            "panic" => panic!("on purpose"),
            "misfit" => {
                sink.columns(&[column("n", SqlType::TinyInt)]);
                sink.row(&[Value::Int(256)]);
                sink.done(Some(1));
            }
            _ => {
                sink.message(&SqlError::new(102, format!("Incorrect syntax near '{sql}'.")).severity(15));
            }
        }
    }

    fn procedure(&mut self, name: &str, _params: &[Param], sink: &mut dyn Sink) {
        sink.message(&SqlError::new(2812, format!("Could not find stored procedure '{name}'.")));
    }

    fn describe(&mut self, _sql: &str, _params: &[Param]) -> Result<Option<Vec<Column>>, SqlError> {
        Ok(None)
    }

    fn transaction(&mut self, request: &TransactionRequest, sink: &mut dyn Sink) {
        if matches!(request, TransactionRequest::Begin(_)) {
            sink.transaction(Some(7), false);
        }
    }

    fn reset(&mut self) {}
}

fn every_type() -> Vec<(Column, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let cells = [
        (SqlType::Bit, Value::Bit(true)),
        (SqlType::TinyInt, Value::Int(255)),
        (SqlType::SmallInt, Value::Int(-32_768)),
        (SqlType::Int, Value::Int(-2_147_483_648)),
        (SqlType::BigInt, Value::Int(i64::MIN)),
        (SqlType::Decimal { precision: 38, scale: 10 }, Value::Decimal(-(10i128.pow(38) - 1), 10)),
        (SqlType::Numeric { precision: 9, scale: 2 }, Value::Decimal(5, 0)),
        (SqlType::Money, Value::Money(-9_223_372_036_854_775_808)),
        (SqlType::SmallMoney, Value::Money(2_147_483_647)),
        (SqlType::Real, Value::Real(-1.5)),
        (SqlType::Float, Value::Float(1e308)),
        (SqlType::Date, Value::Date(3_652_058)),
        (SqlType::Time(7), Value::Time(863_999_999_999)),
        (SqlType::SmallDateTime, Value::DateTime(739_000, 600_000_000)),
        (SqlType::DateTime, Value::DateTime(739_000, 33_333)),
        (SqlType::DateTime2(7), Value::DateTime(0, 1)),
        (SqlType::DateTimeOffset(3), Value::DateTimeOffset(739_000, 10_000, -840)),
        (SqlType::Char(3), text("a€ ")),
        (SqlType::VarChar(Some(10)), text("é?")),
        (SqlType::VarChar(None), text(&"x".repeat(20_000))),
        (SqlType::Text, text("old")),
        (SqlType::NChar(2), text("𝄞")),
        (SqlType::NVarChar(Some(10)), text("žluť")),
        (SqlType::NVarChar(None), text("")),
        (SqlType::NText, text("🦀")),
        (SqlType::Binary(2), Value::Bytes(vec![0, 255])),
        (SqlType::VarBinary(Some(5)), Value::Bytes(vec![])),
        (SqlType::VarBinary(None), Value::Bytes(vec![7; 100_000])),
        (SqlType::Image, Value::Bytes(vec![1, 2, 3])),
        (SqlType::RowVersion, Value::Bytes(vec![0, 0, 0, 0, 0, 0, 7, 209])),
        (SqlType::UniqueIdentifier, Value::Guid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef")),
        (SqlType::Xml, text("<a b=\"ž\"/>")),
    ];
    cells.into_iter().enumerate().map(|(index, (kind, value))| (column(&format!("c{index}"), kind), value)).collect()
}

async fn start(encryption: Encryption) -> (Config, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = Script::default();
    let dropped = Arc::clone(&script.dropped);
    tokio::spawn(async move {
        serve(listener, Arc::new(script), Settings { encryption, ..Settings::default() }).await.unwrap();
    });
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.authentication(AuthMethod::sql_server("sa", "p@ß𝄞"));
    config.trust_cert();
    (config, dropped)
}

async fn connect(config: &Config) -> tiberius::Result<Client<Compat<TcpStream>>> {
    let stream = TcpStream::connect(config.get_addr()).await.unwrap();
    Box::pin(Client::connect(config.clone(), stream.compat_write())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_of_encryption_logs_in() {
    let levels = [EncryptionLevel::NotSupported, EncryptionLevel::Off, EncryptionLevel::On, EncryptionLevel::Required];
    for level in levels {
        let (mut config, _) = start(Encryption::Supported).await;
        config.encryption(level);
        let mut client = connect(&config).await.unwrap_or_else(|error| panic!("{level:?}: {error}"));
        let rows = client.query("large", &[]).await.unwrap().into_first_result().await.unwrap();
        assert_eq!(i64::try_from(rows.len()).unwrap(), LARGE, "{level:?}");
    }
    let (mut config, _) = start(Encryption::Required).await;
    config.encryption(EncryptionLevel::NotSupported);
    assert!(connect(&config).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_18456_and_an_unknown_database_4060() {
    let (mut config, _) = start(Encryption::Supported).await;
    config.authentication(AuthMethod::sql_server("sa", "wrong"));
    let error = connect(&config).await.err().unwrap();
    assert_eq!(error.code(), Some(18_456), "{error}");
    config.authentication(AuthMethod::sql_server("sa", "p@ß𝄞"));
    config.database("absent");
    let error = connect(&config).await.err().unwrap();
    assert_eq!(error.code(), Some(4060), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_come_back_as_they_went() {
    let (config, _) = start(Encryption::Supported).await;
    let mut client = connect(&config).await.unwrap();
    let long = "ž".repeat(9000);
    let bytes = vec![9u8; 20_000];
    let rows = client
        .query("echo", &[&7i32, &"é𝄞", &long.as_str(), &bytes.as_slice(), &None::<i64>, &1.5f64, &true, &""])
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    let row = &rows[0];
    assert_eq!(row.get::<i32, _>(0), Some(7));
    assert_eq!(row.get::<&str, _>(1), Some("é𝄞"));
    assert_eq!(row.get::<&str, _>(2), Some(long.as_str()));
    assert_eq!(row.get::<&[u8], _>(3), Some(bytes.as_slice()));
    assert_eq!(row.get::<i64, _>(4), None);
    assert_eq!(row.get::<f64, _>(5), Some(1.5));
    assert_eq!(row.get::<bool, _>(6), Some(true));
    assert_eq!(row.get::<&str, _>(7), Some(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_by_tiberius() {
    let (config, _) = start(Encryption::Supported).await;
    let mut client = connect(&config).await.unwrap();
    let rows = client.simple_query("every type").await.unwrap().into_first_result().await.unwrap();
    assert_eq!(rows.len(), 2);
    let expected = every_type();
    for ((index, (_, data)), (column, value)) in rows[0].cells().enumerate().zip(&expected) {
        assert_eq!(shown(data), expectation(value), "column {index} {:?}", column.sql_type);
    }
    for (index, (_, data)) in rows[1].cells().enumerate() {
        assert_eq!(shown(data), "NULL", "column {index} {:?}", expected[index].0.sql_type);
    }
}

/// What tiberius read, in the words of [`expectation`].
fn shown(data: &ColumnData<'static>) -> String {
    let nulls = || "NULL".to_owned();
    match data {
        ColumnData::U8(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::I16(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::I32(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::I64(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::F32(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::F64(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::Bit(value) => value.map_or_else(nulls, |value| value.to_string()),
        ColumnData::String(value) => value.as_ref().map_or_else(nulls, ToString::to_string),
        ColumnData::Guid(value) => value.map_or_else(nulls, |value| format!("{:?}", value.as_bytes())),
        ColumnData::Binary(value) => value.as_ref().map_or_else(nulls, |value| format!("{value:?}")),
        ColumnData::Numeric(value) => value.map_or_else(nulls, |value| format!("{}e-{}", value.value(), value.scale())),
        ColumnData::Xml(value) => value.as_ref().map_or_else(nulls, ToString::to_string),
        ColumnData::DateTime(value) => {
            value.map_or_else(nulls, |value| format!("{} {}/300", value.days(), value.seconds_fragments()))
        }
        ColumnData::SmallDateTime(value) => {
            value.map_or_else(nulls, |value| format!("{} {}m", value.days(), value.seconds_fragments()))
        }
        ColumnData::Time(value) => value.map_or_else(nulls, |value| format!("{}", value.increments())),
        ColumnData::Date(value) => value.map_or_else(nulls, |value| value.days().to_string()),
        ColumnData::DateTime2(value) => {
            value.map_or_else(nulls, |value| format!("{} {}", value.date().days(), value.time().increments()))
        }
        ColumnData::DateTimeOffset(value) => value.map_or_else(nulls, |value| {
            let at = value.datetime2();
            format!("{} {} {}", at.date().days(), at.time().increments(), value.offset())
        }),
    }
}

/// The scripted value in the units that its wire type counts in.
fn expectation(value: &Value) -> String {
    match value {
        Value::Bit(bit) => bit.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Decimal(5, 0) => "500e-2".to_owned(),
        Value::Decimal(unscaled, scale) => format!("{unscaled}e-{scale}"),
        #[expect(clippy::cast_precision_loss, reason = "tiberius reads money as f64")]
        Value::Money(money) => (*money as f64 / 10_000.0).to_string(),
        Value::Real(real) => real.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Date(days) => days.to_string(),
        Value::Time(ticks) => ticks.to_string(),
        Value::DateTime(days, 600_000_000) => format!("{} 1m", days - 693_595),
        Value::DateTime(days, 33_333) => format!("{} 1/300", days - 693_595),
        Value::DateTime(days, ticks) => format!("{days} {ticks}"),
        Value::DateTimeOffset(days, ticks, offset) => format!("{days} {} {offset}", ticks / 10_000),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Guid(bytes) => format!("{bytes:?}"),
        Value::Null | Value::Variant(_) => "NULL".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_is_an_error_and_the_connection_goes_on() {
    let (config, _) = start(Encryption::Supported).await;
    let mut client = connect(&config).await.unwrap();
    let error = client.execute("fail", &[]).await.err().unwrap();
    assert_eq!(error.code(), Some(2627));
    let error = client.simple_query("nonsense").await.err().unwrap();
    assert_eq!(error.code(), Some(102));
    let rows = client.query("echo", &[&1i32]).await.unwrap().into_first_result().await.unwrap();
    assert_eq!(rows[0].get::<i32, _>(0), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_fit_ends_the_connection_with_an_error() {
    let (config, _) = start(Encryption::Supported).await;
    let mut client = connect(&config).await.unwrap();
    let error = client.simple_query("misfit").await.unwrap().into_results().await.err().unwrap();
    assert_eq!(error.code(), Some(21_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_engine_is_an_error_of_one_connection() {
    let (config, dropped) = start(Encryption::Supported).await;
    let mut other = connect(&config).await.unwrap();
    let mut client = connect(&config).await.unwrap();
    let error = client.simple_query("panic").await.err().unwrap();
    assert_eq!(error.code(), Some(3624));
    assert!(client.simple_query("large").await.is_err());
    assert!(dropped.load(Ordering::SeqCst));
    let rows = other.query("echo", &[&3i32]).await.unwrap().into_first_result().await.unwrap();
    assert_eq!(rows[0].get::<i32, _>(0), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attention_stops_a_statement_and_a_stream_of_rows() {
    let (config, _) = start(Encryption::Supported).await;
    let mut client = connect(&config).await.unwrap();
    for sql in ["wait", "large", "wait"] {
        let started = Instant::now();
        let stalled = tokio::time::timeout(Duration::from_millis(100), client.simple_query(sql)).await;
        drop(stalled);
        client.cancel_query().await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "{sql}");
        let rows = client.query("echo", &[&2i32]).await.unwrap().into_first_result().await.unwrap();
        assert_eq!(rows[0].get::<i32, _>(0), Some(2), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_ends_its_session() {
    let (config, dropped) = start(Encryption::Supported).await;
    let mut client = connect(&config).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(100), client.simple_query("wait")).await;
    assert!(!dropped.load(Ordering::SeqCst));
    drop(client);
    for _ in 0..2000 {
        if dropped.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session outlived its client");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_not_end_the_server() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (config, _) = start(Encryption::Supported).await;
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    for _ in 0..200 {
        let mut stream = TcpStream::connect(config.get_addr()).await.unwrap();
        let mut bytes = vec![0u8; random.random_range(1..600)];
        random.fill(bytes.as_mut_slice());
        if random.random_bool(0.7) {
            // A frame that holds, around a body that does not.
            let length = u16::try_from(bytes.len() + 8).unwrap();
            let [high, low] = length.to_be_bytes();
            bytes.splice(0..0, [0x12, 1, high, low, 0, 0, 1, 0]);
        }
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert!(connect(&config).await.is_ok());
}
