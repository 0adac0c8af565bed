//! One client's connection, and its own connection below.
//!
//! | module | is |
//! |---|---|
//! | [`extended`] | Parse, Bind, Describe, Execute |
//! | [`transaction`] | blocks, implicit ones, locks of writers, conflicts |
//! | [`relay`] | rows from below to the client |
//! | [`settings`] | SET, SHOW, and what a client gives at start |
//! | `tables`, `alter`, [`views`] | what tables were declared with; CREATE, ALTER, DROP; views bound late |
//! | [`control`] | upkeep, rights, cancelling |

mod alter;
mod control;
mod extended;
mod relay;
mod settings;
mod tables;
mod transaction;
pub(super) mod views;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::error::{Failure, Outcome, SqlError};
use super::lexer;
use super::login::Stream;
use super::server::Shared;
use super::statement::{self, Statement};
use super::upstream::Upstream;
use super::wire;
use extended::{Portal, Prepared};
use settings::Variables;
pub(super) use tables::Table;
use transaction::Transaction;

/// The session.
#[derive(Debug)]
pub struct Session {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    /// What is to be sent to the client.
    pub(super) out: BytesMut,
    pub(super) below: Upstream,
    pub(super) shared: Arc<Shared>,
    pub(super) user: String,
    transaction: Transaction,
    variables: Variables,
    prepared: HashMap<String, Prepared>,
    portals: HashMap<String, Portal>,
    /// An extended query failed: all up to Sync is skipped.
    skipping: bool,
    /// The number of the running statement.
    pub(super) query: i32,
    /// Is its time over?
    over: Arc<AtomicBool>,
    /// What `pg_last_copy_id()` and `pg_last_copy_count()` tell.
    pub(super) last_copy: (i32, u64),
}

/// Messages to the client are sent in pieces of about this size.
const PIECE: usize = 1 << 16;
/// A statement has at most 16 MB ("Amazon Redshift SQL").
const LONGEST_STATEMENT: usize = 16 << 20;

impl Session {
    /// Connects below and tells the client that it may begin, or why not.
    pub async fn start(
        stream: Box<dyn Stream>,
        shared: Arc<Shared>,
        user: &str,
        parameters: HashMap<String, String>,
    ) -> io::Result<Result<Self, (Box<dyn Stream>, SqlError)>> {
        let variables = match Variables::at_start(&parameters, &shared.settings, user) {
            Ok(variables) => variables,
            Err(error) => return Ok(Err((stream, error))),
        };
        let mut below = Upstream::connect(&shared.settings.upstream, shared.settings.audit.clone()).await?;
        let prepared = below.run(&variables.session_below(user, &shared.settings)).await;
        if let Err(failure) = prepared {
            let error = match failure {
                Failure::Sql(error) => error,
                Failure::Broken(error) => return Err(error),
            };
            return Ok(Err((stream, error)));
        }
        let (reader, writer) = tokio::io::split(stream);
        let mut this = Self {
            reader,
            writer,
            out: BytesMut::new(),
            below,
            shared,
            user: user.to_owned(),
            transaction: Transaction::default(),
            variables,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            query: 0,
            over: Arc::default(),
            last_copy: (-1, 0),
        };
        wire::put(&mut this.out, b'R', |out| out.put_u32(0));
        this.variables.tell(&mut this.out, &this.user);
        let (pid, secret) = (this.below.pid, this.below.secret);
        wire::put(&mut this.out, b'K', |out| {
            out.put_u32(pid);
            out.put_u32(secret);
        });
        this.ready().await?;
        Ok(Ok(this))
    }

    /// Serves the client until it goes.
    pub async fn run(mut self) -> io::Result<()> {
        while let Some(frame) = wire::read_frame(&mut self.reader).await? {
            let result = match frame.tag {
                b'Q' => {
                    self.skipping = false;
                    let mut body = frame.body;
                    let text = wire::take_text(&mut body)?;
                    let result = self.simple(&text).await;
                    let result = self.tell(result).await;
                    self.end_statement_group().await?;
                    result.and(self.ready().await)
                }
                b'X' => return Ok(()),
                b'S' => {
                    self.skipping = false;
                    self.end_statement_group().await?;
                    self.ready().await
                }
                _ if self.skipping => Ok(()),
                tag => {
                    let result = self.extended(tag, frame.body).await;
                    self.skipping = result.is_err();
                    self.tell(result).await
                }
            };
            result?;
        }
        Ok(())
    }

    /// Tells the client of an error, and aborts its transaction.
    async fn tell(&mut self, result: Outcome<()>) -> io::Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(Failure::Broken(error)) => Err(error),
            Err(Failure::Sql(error)) => {
                self.abort().await?;
                wire::error(&mut self.out, "ERROR", &error);
                Ok(())
            }
        }
    }

    /// Ends the implicit transaction of the statements so far.
    async fn end_statement_group(&mut self) -> io::Result<()> {
        let result = self.end_implicit().await;
        self.tell(result).await
    }

    async fn ready(&mut self) -> io::Result<()> {
        self.portals.clear();
        wire::ready(&mut self.out, self.transaction.status());
        self.flush().await
    }

    /// Sends what is to be sent.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.out).await?;
        self.out.clear();
        self.writer.flush().await
    }

    /// The statements of a text, one after the other.
    async fn simple(&mut self, text: &str) -> Outcome<()> {
        let tokens = self.tokens(text).await?;
        let statements = statement::split(&tokens);
        if statements.is_empty() {
            wire::put(&mut self.out, b'I', |_| {});
            return Ok(());
        }
        let many = statements.len() > 1;
        for tokens in statements {
            let statement = self.parse(tokens)?;
            self.execute(&statement, many, None).await?;
        }
        Ok(())
    }

    /// Reads a text, and notes names that are long.
    async fn tokens(&self, text: &str) -> Outcome<Vec<lexer::Token>> {
        self.shared.settings.audit.client(text);
        if text.len() > LONGEST_STATEMENT {
            let told = format!(
                "Statement is too large. Statement Size: {} bytes. Maximum Allowed: {LONGEST_STATEMENT} bytes",
                text.len()
            );
            return Err(SqlError::new("54000", told).into());
        }
        let tokens = lexer::tokens(text, self.variables.names())?;
        let names = tokens.iter().filter(|token| matches!(token.kind, lexer::Kind::Word | lexer::Kind::Quoted));
        self.shared.note_names(names.map(|token| token.value.as_str())).await?;
        Ok(tokens)
    }

    /// Runs one statement; one among many runs in a transaction that holds all of them.
    async fn execute(&mut self, statement: &Statement, many: bool, portal: Option<&Portal>) -> Outcome<()> {
        if self.transaction.has_failed() && !transaction::ends_block(statement) {
            return Err(SqlError::block_failed().into());
        }
        let deadline = self.guard();
        let result = self.dispatch(statement, many, portal).await;
        drop(deadline);
        self.take_late_cancels().await?;
        result
    }

    async fn dispatch(&mut self, statement: &Statement, many: bool, portal: Option<&Portal>) -> Outcome<()> {
        self.query = self.shared.next_query();
        match statement {
            Statement::Empty => {
                wire::put(&mut self.out, b'I', |_| {});
                Ok(())
            }
            Statement::Select(relayed) => {
                if many || portal.is_some() {
                    self.begin_implicit().await?;
                }
                self.look_at(&relayed.relations)?;
                self.relay(&relayed.sql, portal, false).await
            }
            Statement::Write(write) => {
                self.begin_implicit().await?;
                self.write(write, portal).await
            }
            Statement::Copy(copy) => {
                self.begin_implicit().await?;
                let count = self.copy(copy).await?;
                self.complete(&format!("COPY {count}"));
                Ok(())
            }
            Statement::CreateTable(table) => self.create_table(table).await,
            Statement::CreateTableAs(table) => self.create_table_as(table).await,
            Statement::CreateView(view) => self.create_view(view).await,
            Statement::Alter(name, change) => self.alter(name, change, many).await,
            Statement::Drop(drop) => self.drop_relations(drop).await,
            Statement::Control(control) => self.control(control, many).await,
        }
    }

    pub(super) fn complete(&mut self, tag: &str) {
        wire::complete(&mut self.out, tag);
    }
}
