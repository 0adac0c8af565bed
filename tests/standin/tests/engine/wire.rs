//! The controls over the wire, as a client of another process uses them.

use std::sync::Arc;
use std::time::Duration;

use standin::engine::Engine;
use standin::session::Server;
use standin::tds::{Settings, serve};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use crate::client::server;

type Wire = Client<Compat<TcpStream>>;

/// A server on a port of its own.
struct Served {
    port: u16,
    engine: Arc<Engine>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Served {
    async fn start() -> Self {
        let engine = server();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = tokio::spawn(serve(listener, Arc::clone(&engine) as Arc<dyn Server>, Settings::default()));
        Self { port, engine, serving }
    }

    /// Ends it, and waits for its sessions: the last one removes the database's files.
    async fn end(self) {
        self.serving.abort();
        while Arc::strong_count(&self.engine) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn connected(port: u16) -> Result<Wire, Error> {
    let mut config = Config::new();
    config.authentication(AuthMethod::sql_server("sa", "secret"));
    config.database("shop");
    config.encryption(EncryptionLevel::NotSupported);
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    Box::pin(Client::connect(config, stream.compat_write())).await
}

async fn run(client: &mut Wire, sql: &str) -> Result<(), Error> {
    client.simple_query(sql).await?.into_results().await.map(|_| ())
}

fn number(result: Result<(), Error>) -> Option<u32> {
    result.expect_err("an error").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_error_reaches_the_client_and_the_connection_ends_where_the_server_ends_it() {
    let served = Served::start().await;
    let port = served.port;
    let mut tester = connected(port).await.expect("a login");
    for (wanted, ends) in [(1222, false), (49_918, false), (40_613, true), (40_501, true)] {
        let mut client = connected(port).await.expect("a login");
        let order = format!("EXEC sys.sp_standin_inject @number = {wanted}, @text = N'AS probe'");
        run(&mut tester, &order).await.expect("an order");
        assert_eq!(number(run(&mut client, "SELECT 1 AS probe").await), Some(wanted));
        assert_eq!(run(&mut client, "SELECT 2").await.is_err(), ends, "after {wanted}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_dropped_without_a_word_and_its_transaction_rolled_back() {
    let served = Served::start().await;
    let port = served.port;
    let (mut tester, mut client) = (connected(port).await.expect("a login"), connected(port).await.expect("a login"));
    run(&mut tester, "CREATE TABLE t (a int); INSERT t VALUES (1), (2)").await.expect("a table");
    run(&mut tester, "EXEC sys.sp_standin_inject @number = 0, @text = N'FROM t', @after_rows = 1").await.expect("one");
    run(&mut client, "BEGIN TRAN; DELETE t WHERE a = 2").await.expect("a delete");
    assert_eq!(number(run(&mut client, "SELECT a FROM t").await), None, "no number comes");
    assert!(run(&mut client, "SELECT 2").await.is_err());
    // The lock that the transaction held is free.
    run(&mut tester, "SET LOCK_TIMEOUT 10000; IF (SELECT COUNT(*) FROM t) <> 2 THROW 50001, N'deleted', 1; DELETE t")
        .await
        .expect("both rows");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_fails_as_often_as_ordered() {
    let served = Served::start().await;
    let port = served.port;
    let mut tester = connected(port).await.expect("a login");
    run(&mut tester, "EXEC sys.sp_standin_inject @number = 40613, @at_login = 1, @times = 2").await.expect("an order");
    for _ in 0..2 {
        assert_eq!(connected(port).await.err().and_then(|error| error.code()), Some(40_613));
    }
    connected(port).await.expect("a login");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_goes_back_and_on_in_another_connection() {
    let served = Served::start().await;
    let port = served.port;
    let (mut tester, mut client) = (connected(port).await.expect("a login"), connected(port).await.expect("a login"));
    run(&mut tester, "CREATE TABLE t (a int); EXEC sys.sp_standin_backup @name = N'b'; INSERT t VALUES (1)")
        .await
        .expect("a backup");
    run(&mut tester, "EXEC sys.sp_standin_restore @name = N'b'").await.expect("a restore");
    run(&mut tester, "IF EXISTS (SELECT * FROM t) THROW 50001, N'still there', 1").await.expect("no row");
    assert_eq!(number(run(&mut client, "SELECT 1").await), Some(596));
    assert!(run(&mut client, "SELECT 1").await.is_err(), "the session is gone");
    served.end().await;
}
