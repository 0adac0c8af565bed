//! PostgreSQL under the contract, and what only PostgreSQL has.

use std::time::Duration;

use delsert::config::{self, Auth, Config, Engine, Login, Tls};
use delsert::error::{Kind, Result};
use delsert::row::Cell::{Integer, Text};
use delsert::row::Operation::Upsert;
use delsert::target::postgres::Postgres;
use delsert::target::{Load, Target};
use tokio_postgres::Client;

use super::{LONG, Scene, Warehouse, contract, failure, place};
use crate::contract::batch::{INTEGER, Row, TEXT, orders, table};
use crate::support::postgres::{self, Database};

pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// A database of the shared server, and a connection beside `delsert`'s.
pub(super) struct Server {
    database: Database,
    client: Client,
}

impl Server {
    /// A connection of the superuser.
    pub(super) async fn admin(&self) -> anyhow::Result<Client> {
        self.database.connect_as_admin().await
    }

    /// Another connection of the loader.
    pub(super) async fn beside(&self) -> anyhow::Result<Client> {
        self.database.connect().await
    }

    fn login(&self) -> config::Target {
        config::Target {
            engine: Engine::Postgres,
            host: "127.0.0.1".to_owned(),
            port: self.database.port,
            database: self.database.name.clone(),
            auth: Auth::Password(Login {
                user: postgres::LOADER.to_owned(),
                password: Some(postgres::LOADER_PASSWORD.into()),
            }),
            tls: Tls::Disable,
            ca_file: None,
            connect_timeout: Duration::from_secs(15),
            lock_timeout: MINUTE,
            redshift: config::RedshiftOptions::default(),
        }
    }
}

impl Warehouse for Server {
    type Target = Postgres;

    const ENGINE: Engine = Engine::Postgres;
    const TEXT: &str = "text";
    const SCALE: u8 = 38;
    const HEX: &str = "encode(v, 'hex')";

    async fn create(_: &str) -> anyhow::Result<Self> {
        let shared = tokio::task::block_in_place(postgres::Postgres::shared)?;
        let database = shared.database().await?;
        let client = database.connect().await?;
        client.batch_execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 1").await?;
        Ok(Self { database, client })
    }

    async fn connect(&self, lock_timeout: Duration) -> Result<Postgres> {
        Postgres::connect(&config::Target { lock_timeout, ..self.login() }).await
    }

    fn config(&self, sync: &str, more: &str) -> Config {
        let text = format!("[sync]\nname = \"{sync}\"\n[source]\n[bucket]\n[target]\nengine = \"postgres\"\n{more}");
        Config::parse(&text).expect("a configuration")
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        postgres::rows(&self.client, sql).await
    }
}

contract! {
    Server:
    suite {
        prepare_makes_what_is_missing_and_nothing_twice,
        many_prepares_at_once_do_no_harm,
        another_sync_is_refused,
        a_snapshot_and_then_changes,
        r4_table_and_watermark_change_together_or_not_at_all,
        r4_a_batch_is_not_applied_twice,
        r4_the_lock_comes_first_and_the_second_load_reads_what_the_first_wrote,
        r4_waiting_for_the_lock_is_bounded,
        r4_one_tables_load_does_not_wait_for_anothers,
        a_load_that_is_given_up_frees_the_table,
        an_existing_table_with_other_columns_is_refused_with_each_difference,
        an_existing_table_gets_its_missing_columns_and_keeps_its_own,
        staging_follows_the_batch,
        a_table_that_was_dropped_begins_anew,
    }
    damage {
        a_flipped_byte_anywhere_is_noticed,
        a_part_cut_short_grown_or_gone_is_noticed,
        a_part_that_is_anothers_is_noticed,
        wrong_counts_are_noticed,
    }
    values {
        texts_arrive_as_they_are,
        a_text_that_looks_like_another_batchs_null_stays_a_text,
        bytes_and_uuids_arrive_as_they_are,
        numbers_arrive_digit_by_digit,
        floats_arrive_bit_by_bit,
        times_arrive_whatever_the_servers_zone,
    }
}

/// A load of one order with that note.
async fn load_one(scene: &mut Scene<Server>, number: (u64, u64), note: &str) -> Result<u64> {
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text(note)])];
    let batch = scene.store.batch(&scene.source, number, &[rows]).await.expect("a batch");
    scene.load(&batch).await.map(|applied| applied.inserted)
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_the_watermark_moves_only_from_what_was_read() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    let mark = scene.warehouse.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'mark%'").await?.remove(0);
    // Someone's trigger moves the watermark within our own transaction: the lock cannot keep that out.
    scene
        .warehouse
        .run(&format!(
            "CREATE FUNCTION sales.meddle() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN UPDATE delsert.\"{mark}\" SET sequence = 5; RETURN NULL; END $$; \
             CREATE TRIGGER meddle AFTER INSERT ON sales.orders EXECUTE FUNCTION sales.meddle()"
        ))
        .await?;
    let (_, text) = failure(load_one(&mut scene, (1, 1), "n").await);
    assert!(text.contains("0 rows moved"), "{text}");
    assert_eq!((scene.rows().await?.len(), scene.mark().await?), (0, (0, 0)));
    Ok(())
}

/// Settings that a load has while it writes, by a trigger's own eyes.
#[tokio::test(flavor = "multi_thread")]
async fn r4_waiting_and_idling_are_bounded_whatever_the_database_says() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    let name = &scene.warehouse.database.name;
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "idle_in_transaction_session_timeout = 0",
        "lock_timeout = 0",
        "statement_timeout = '1s'",
        "synchronous_commit = off",
        "idle_session_timeout = '1s'",
        "standard_conforming_strings = off",
        "client_encoding = 'LATIN1'",
    ] {
        scene.warehouse.run(&format!("ALTER DATABASE {name} SET {setting}")).await?;
    }
    scene
        .warehouse
        .run(
            "CREATE TABLE sales.seen (said text); \
             CREATE FUNCTION sales.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                INSERT INTO sales.seen SELECT name || ' ' || setting FROM pg_settings WHERE name IN \
                ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'lock_timeout', 'statement_timeout', \
                 'synchronous_commit', 'transaction_isolation', 'tcp_keepalives_idle'); \
                RETURN NULL; END $$; \
             CREATE TRIGGER look AFTER INSERT ON sales.orders EXECUTE FUNCTION sales.look()",
        )
        .await?;
    scene.target = scene.warehouse.connect(MINUTE).await?;
    load_one(&mut scene, (1, 1), "\u{e4}\u{1F600}\\").await?;
    assert_eq!(scene.rows().await?, ["1|\u{e4}\u{1F600}\\"]);
    assert_eq!(
        scene.warehouse.rows("SELECT said FROM sales.seen ORDER BY 1").await?,
        [
            "idle_in_transaction_session_timeout 600000",
            "idle_session_timeout 0",
            "lock_timeout 60000",
            "statement_timeout 0",
            "synchronous_commit on",
            "tcp_keepalives_idle 60",
            "transaction_isolation read committed",
        ]
    );
    Ok(())
}

/// A publication refuses updates of a table without a key.
#[tokio::test(flavor = "multi_thread")]
async fn a_publication_of_all_tables_hinders_no_load() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    let admin = scene.warehouse.database.connect_as_admin().await?;
    admin.batch_execute("CREATE PUBLICATION everything FOR ALL TABLES").await?;
    load_one(&mut scene, (1, 1), "n").await?;
    load_one(&mut scene, (1, 2), "m").await?;
    assert_eq!((scene.rows().await?, scene.mark().await?), (vec!["1|m".to_owned()], (1, 2)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_can_be_tried_again() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("n")])];
    let batch = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    let table = scene.table.clone();
    let mut load = scene.target.begin(&table, LONG).await?;
    load.apply(&batch, &scene.store.bucket).await?;
    let admin = scene.warehouse.database.connect_as_admin().await?;
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE application_name = 'delsert' AND state = 'idle in transaction' AND datname = current_database()";
    assert_eq!(admin.query(end, &[]).await?.len(), 1);
    let (kind, text) = failure(load.commit().await);
    assert_eq!(kind, Kind::TargetUnreachable, "{text}");
    assert!(text.contains("may or may not have happened") && text.contains("Sales.Orders"), "{text}");
    scene.target = scene.warehouse.connect(MINUTE).await?;
    assert_eq!((scene.rows().await?.len(), scene.mark().await?), (0, (0, 0)));
    scene.load(&batch).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_trigger_swallows_are_noticed() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    scene
        .warehouse
        .run(
            "CREATE FUNCTION sales.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
             CREATE TRIGGER swallow BEFORE INSERT ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.swallow()",
        )
        .await?;
    let (kind, text) = failure(load_one(&mut scene, (1, 1), "n").await);
    assert_eq!(kind, Kind::TargetShape);
    assert!(text.contains("trigger swallow") && text.contains("DISABLE TRIGGER swallow"), "{text}");
    assert_eq!(scene.mark().await?, (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_value_names_part_line_and_column_but_not_the_value() -> anyhow::Result<()> {
    let server = Server::create("").await?;
    let more = "[[table]]\nname = \"sales.orders\"\ncolumns = { note = \"varchar(5)\", Amount = \"smallint\" }";
    let source = table("Orders", 1, &[("OrderID", INTEGER), ("Note", TEXT), ("Amount", TEXT)]);
    let mut scene = Scene {
        table: Postgres::place(&server.config("shop", more), &source)?,
        target: server.connect(MINUTE).await?,
        store: crate::contract::batch::Store::start(Engine::Postgres).await?,
        warehouse: server,
        source,
    };
    scene.target.prepare(&scene.table).await?;
    let good = [Integer(1), Text("fits"), Text("1")];
    for (bad, column, code) in [
        ([Integer(2), Text("secret-note"), Text("2")], "'note'", "22001"),
        ([Integer(2), Text("n"), Text("secret-amount")], "'amount'", "22P02"),
        ([Integer(2), Text("n"), Text("991234567")], "'amount'", "22003"),
    ] {
        let rows: &[Row<'_>] = &[(Upsert, &good[..]), (Upsert, &bad[..])];
        let batch = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
        let (kind, text) = failure(scene.load(&batch).await);
        assert_eq!(kind, Kind::TargetRefused, "{text}");
        for part in ["Sales.Orders", batch.parts[0].key.as_str(), "line 2", column, code] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(!text.contains("secret") && !text.contains("991234567"), "{text}");
        assert_eq!((scene.rows().await?.len(), scene.mark().await?, scene.staged().await?), (0, (0, 0), 0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_key_is_refused_without_telling_the_key() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(table("Orders", 1, &[("Code", TEXT)])).await?;
    let row = (Upsert, &[Text("secret-code")][..]);
    let batch = scene.store.batch(&scene.source, (1, 1), &[&[row, row]]).await?;
    let (kind, text) = failure(scene.load(&batch).await);
    assert_eq!(kind, Kind::TargetRefused);
    assert!(text.contains("23505") && text.contains("orders_pkey") && !text.contains("secret"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_rows_are_hidden_from_the_login_is_refused() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    load_one(&mut scene, (1, 1), "before").await?;
    scene
        .warehouse
        .run(
            "ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
             CREATE POLICY write_only ON sales.orders FOR INSERT WITH CHECK (true)",
        )
        .await?;
    let (kind, text) = failure(load_one(&mut scene, (1, 2), "after").await);
    assert_eq!(kind, Kind::TargetShape);
    assert!(text.contains("row-level security") && text.contains("NO FORCE ROW LEVEL SECURITY"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_that_would_carry_deletes_on_is_refused() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    scene.warehouse.run("CREATE TABLE notes (orderid int REFERENCES sales.orders ON DELETE CASCADE)").await?;
    let (kind, text) = failure(scene.target.prepare(&scene.table).await);
    assert_eq!(kind, Kind::TargetShape);
    assert!(text.contains("notes_orderid_fkey of public.notes"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_existing_schema_is_enough_for_a_login_that_may_create_none() -> anyhow::Result<()> {
    let server = Server::create("").await?;
    let admin = server.database.connect_as_admin().await?;
    let name = &server.database.name;
    admin.batch_execute(&format!("ALTER DATABASE {name} OWNER TO postgres")).await?;
    let mut target = server.connect(MINUTE).await?;
    let orders = place(&server, &orders())?;
    let findings = target.describe().await?.findings;
    assert!(
        findings.iter().any(|finding| finding
            .mend
            .iter()
            .any(|mend| mend.statement.contains("CREATE SCHEMA IF NOT EXISTS \"delsert\""))),
        "{findings:?}"
    );
    let (kind, text) = failure(target.prepare(&orders).await);
    assert_eq!(kind, Kind::TargetRights);
    assert!(text.contains("CREATE SCHEMA \"delsert\"") && text.contains("42501"), "{text}");
    admin.batch_execute("CREATE SCHEMA delsert AUTHORIZATION loader; CREATE SCHEMA sales AUTHORIZATION loader").await?;
    target.prepare(&orders).await?;
    assert_eq!(target.describe().await?.findings, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_the_server_does_not_know_names_the_configuration() -> anyhow::Result<()> {
    let server = Server::create("").await?;
    let more = "[[table]]\nname = \"Sales.Orders\"\ncolumns = { Note = \"varchr(5)\" }";
    let table = Postgres::place(&server.config("shop", more), &orders())?;
    let (kind, text) = failure(server.connect(MINUTE).await?.prepare(&table).await);
    assert_eq!(kind, Kind::TargetRefused);
    assert!(text.contains("varchr") && text.contains("[[table]]") && text.contains("Sales.Orders"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_to_connect_has_its_name() -> anyhow::Result<()> {
    let server = Server::create("").await?;
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let wrong = |user: &str, password: &str| {
        Auth::Password(Login { user: user.to_owned(), password: Some(password.to_owned().into()) })
    };
    let login = server.login();
    for (target, kind, named) in [
        (config::Target { auth: wrong("loader", "secret-wrong"), ..login.clone() }, Kind::TargetLogin, "28P01"),
        (
            config::Target { auth: wrong("nobody-known", "secret-wrong"), ..login.clone() },
            Kind::TargetLogin,
            "nobody-known",
        ),
        (config::Target { database: "no_such".to_owned(), ..login.clone() }, Kind::TargetLogin, "no_such"),
        (config::Target { port: free, ..login.clone() }, Kind::TargetUnreachable, "refused"),
        (
            config::Target { host: "no-such-host.invalid".to_owned(), ..login.clone() },
            Kind::TargetUnreachable,
            "no-such-host.invalid",
        ),
        (
            config::Target { host: "/no/such/socket".to_owned(), ..login.clone() },
            Kind::TargetUnreachable,
            "/no/such/socket",
        ),
        (config::Target { tls: Tls::Require, ..login.clone() }, Kind::TargetTls, "TLS"),
        (
            config::Target { tls: Tls::VerifyFull, ca_file: Some("/no/such/file".into()), ..login.clone() },
            Kind::Config,
            "/no/such/file",
        ),
    ] {
        let (found, text) = failure(Postgres::connect(&target).await);
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(named) && !text.contains("secret"), "{named} is not in: {text}");
    }
    Ok(())
}
