//! Batches: T-SQL's statements and control flow, as read from tokens.
//!
//! Queries and expressions are sqlparser's; what surrounds them in T-SQL (control flow, variables, DDL, procedures,
//! statements that need no semicolon between them) is read here, token by token.

mod alter;
mod call;
mod control;
pub mod cursor;
mod ddl;
mod dml;
pub mod lexer;
mod partition;
mod security;
mod variables;

use sqlparser::ast::{Expr, Query, SelectItem, TableWithJoins};

use crate::value::SqlType;

/// A statement and the line it starts on.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Line, from 1.
    pub line: u32,
    /// Its text.
    pub text: String,
    /// What it does.
    pub kind: Kind,
}

/// A dotted name, as written.
pub type Name = Vec<String>;

/// What a statement does.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each variant is the T-SQL statement of its name")]
pub enum Kind {
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Merge(Box<sqlparser::ast::Merge>),
    Declare(Vec<Declaration>),
    SetVariable { name: String, operator: Option<char>, value: Expr },
    SetOption { names: Vec<String>, value: OptionValue },
    SetIsolation(u8),
    SetIdentityInsert { table: Name, on: bool },
    If { condition: Expr, then: Box<Statement>, otherwise: Option<Box<Statement>> },
    While { condition: Expr, body: Box<Statement> },
    Block(Vec<Statement>),
    Try { body: Vec<Statement>, catch: Vec<Statement> },
    Break,
    Continue,
    Return(Option<Expr>),
    Print(Expr),
    Throw(Option<Box<(Expr, Expr, Expr)>>),
    RaisError(Vec<Expr>),
    WaitFor(Expr),
    Use(String),
    Begin(Option<String>),
    Commit,
    Rollback(Option<NameOrVariable>),
    Save(NameOrVariable),
    Execute(Box<Execute>),
    ExecuteText(Vec<Expr>),
    CreateTable(Box<CreateTable>),
    DropTable { names: Vec<Name>, if_exists: bool },
    AlterTable(Box<AlterTable>),
    Truncate(Name),
    CreateIndex(Box<CreateIndex>),
    DropIndex { index: String, table: Name, if_exists: bool },
    CreatePartitionFunction(Box<PartitionFunction>),
    CreatePartitionScheme { name: String, function: String, all: bool, groups: Vec<String> },
    DropPartition { scheme: bool, name: String },
    CreateSchema(String),
    DropSchema { name: String, if_exists: bool },
    CreateDatabase(String),
    AlterDatabase { name: Option<String>, options: Vec<(String, String)> },
    Security(Security),
    Reconfigure,
    Checkpoint,
    CheckIdentity { table: String, reseed: Option<i64> },
    Kill(i64),
}

/// A name, or a variable that holds one.
#[derive(Debug, Clone)]
pub enum NameOrVariable {
    /// A name.
    Name(String),
    /// A variable.
    Variable(String),
}

/// One variable of DECLARE.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Name with `@`.
    pub name: String,
    /// Type, or the columns of a table variable.
    pub kind: DeclaredKind,
    /// Initial value.
    pub value: Option<Expr>,
}

/// What is declared.
#[derive(Debug, Clone)]
pub enum DeclaredKind {
    /// A scalar.
    Scalar(SqlType),
    /// A table.
    Table(Box<CreateTable>),
}

/// The value of a SET option.
#[derive(Debug, Clone)]
pub enum OptionValue {
    /// ON or OFF.
    Switch(bool),
    /// A number.
    Number(i64),
    /// A word or text, none of which changes an answer.
    Word,
    /// A variable.
    Variable(String),
}

/// INSERT.
#[derive(Debug, Clone)]
pub struct Insert {
    /// TOP.
    pub top: Option<Expr>,
    /// Table.
    pub table: Name,
    /// Columns; empty for all.
    pub columns: Vec<String>,
    /// OUTPUT.
    pub output: Option<Output>,
    /// Rows.
    pub source: InsertSource,
}

/// Where INSERT's rows come from.
#[derive(Debug, Clone)]
pub enum InsertSource {
    /// VALUES; `None` is DEFAULT.
    Values(Vec<Vec<Option<Expr>>>),
    /// A query.
    Query(Box<Query>),
    /// DEFAULT VALUES.
    Defaults,
    /// EXEC.
    Execute(Box<Statement>),
}

/// OUTPUT, with INTO's target and columns.
#[derive(Debug, Clone)]
pub struct Output {
    /// Items.
    pub items: Vec<SelectItem>,
    /// Whether `$action` may stand in it.
    pub action: bool,
    /// Target and its columns.
    pub into: Option<(Name, Vec<String>)>,
}

/// UPDATE.
#[derive(Debug, Clone)]
pub struct Update {
    /// CTEs before it.
    pub with: Option<sqlparser::ast::With>,
    /// TOP.
    pub top: Option<Expr>,
    /// Table or alias.
    pub table: Name,
    /// Assignments: a column or variable, a compound operator, a value (`None` is DEFAULT).
    pub assignments: Vec<Assignment>,
    /// OUTPUT.
    pub output: Option<Output>,
    /// FROM.
    pub from: Vec<TableWithJoins>,
    /// WHERE.
    pub selection: Option<Expr>,
}

/// `column = value`, `@v = value`, `@v = column = value`.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Variable assigned too.
    pub variable: Option<String>,
    /// Column.
    pub column: Option<String>,
    /// Compound operator.
    pub operator: Option<char>,
    /// Value; `None` is DEFAULT.
    pub value: Option<Expr>,
}

/// DELETE.
#[derive(Debug, Clone)]
pub struct Delete {
    /// CTEs before it.
    pub with: Option<sqlparser::ast::With>,
    /// TOP.
    pub top: Option<Expr>,
    /// Table or alias.
    pub table: Name,
    /// OUTPUT.
    pub output: Option<Output>,
    /// FROM.
    pub from: Vec<TableWithJoins>,
    /// WHERE.
    pub selection: Option<Expr>,
}

/// EXEC of a procedure.
#[derive(Debug, Clone)]
pub struct Execute {
    /// `@status =`.
    pub status: Option<String>,
    /// Procedure.
    pub name: Name,
    /// Arguments.
    pub args: Vec<Argument>,
}

/// An argument of EXEC.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Name with `@`; empty by position.
    pub name: String,
    /// Value; `None` is DEFAULT.
    pub value: Option<Expr>,
    /// OUTPUT.
    pub output: bool,
}

/// CREATE TABLE.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Name.
    pub name: Name,
    /// Columns.
    pub columns: Vec<ColumnSpec>,
    /// Table constraints.
    pub constraints: Vec<ConstraintSpec>,
    /// Partition scheme, and the column that decides.
    pub partition: Option<(String, String)>,
}

/// CREATE PARTITION FUNCTION.
#[derive(Debug, Clone)]
pub struct PartitionFunction {
    /// Name.
    pub name: String,
    /// Type of the column.
    pub ty: SqlType,
    /// RANGE RIGHT.
    pub right: bool,
    /// Boundaries, as written.
    pub boundaries: Vec<String>,
}

/// A column as declared.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    /// Name.
    pub name: String,
    /// Type; `None` for a computed column.
    pub sql_type: Option<SqlType>,
    /// The type as written, for those with a special meaning (`sysname`).
    pub computed: Option<String>,
    /// NULL or NOT NULL, if said.
    pub nullable: Option<bool>,
    /// IDENTITY (seed, increment).
    pub identity: Option<(i64, i64)>,
    /// COLLATE.
    pub collation: Option<String>,
    /// ROWGUIDCOL.
    pub rowguid: bool,
    /// MASKED.
    pub masked: bool,
    /// ENCRYPTED WITH: 1 deterministic, 2 randomized.
    pub encryption: Option<u8>,
    /// `COLUMN_SET FOR ALL_SPARSE_COLUMNS`.
    pub shows_sparse: bool,
    /// Column constraints.
    pub constraints: Vec<ConstraintSpec>,
}

/// A constraint as declared.
#[derive(Debug, Clone)]
pub struct ConstraintSpec {
    /// Name, if given.
    pub name: Option<String>,
    /// Kind.
    pub kind: ConstraintKind,
}

/// A kind of constraint. Columns carry whether they descend.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each variant is the constraint of its name")]
pub enum ConstraintKind {
    Unique { primary: bool, clustered: Option<bool>, columns: Vec<(String, bool)> },
    Check(String),
    Default { text: String, column: Option<String> },
    Foreign { columns: Vec<String>, table: Name, references: Vec<String>, on_delete: String, on_update: String },
    Index(CreateIndex),
}

/// ALTER TABLE.
#[derive(Debug, Clone)]
pub struct AlterTable {
    /// Table.
    pub table: Name,
    /// What to do.
    pub action: AlterAction,
}

/// What ALTER TABLE does.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each variant is the action of its name")]
pub enum AlterAction {
    Add { columns: Vec<ColumnSpec>, constraints: Vec<ConstraintSpec> },
    DropColumns { names: Vec<String>, if_exists: bool },
    DropConstraints { names: Vec<String>, if_exists: bool },
    AlterColumn(ColumnSpec),
    Mask { column: String, on: bool },
    Switch { from: Option<i64>, to: Name, into: Option<i64> },
    Check,
    ChangeTracking,
}

/// CREATE INDEX.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// Name.
    pub name: String,
    /// UNIQUE.
    pub unique: bool,
    /// CLUSTERED.
    pub clustered: bool,
    /// Table; empty inside CREATE TABLE.
    pub table: Name,
    /// Key columns, and whether each descends.
    pub columns: Vec<(String, bool)>,
    /// INCLUDE.
    pub included: Vec<String>,
    /// WHERE this column IS NOT NULL.
    pub holding: Option<String>,
}

/// Logins, users, roles and rights.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each variant is the statement of its name")]
pub enum Security {
    CreateLogin {
        name: String,
        password: String,
    },
    AlterLogin {
        name: String,
        password: Option<String>,
    },
    DropLogin(String),
    CreateUser {
        name: String,
        login: Option<String>,
    },
    DropUser {
        name: String,
        if_exists: bool,
    },
    CreateRole(String),
    DropRole {
        name: String,
        if_exists: bool,
    },
    Member {
        server: bool,
        role: String,
        member: String,
        add: bool,
    },
    Authorization {
        database: String,
        login: String,
    },
    Policy {
        name: Name,
        on: Option<bool>,
    },
    Permission {
        verb: String,
        permissions: Vec<String>,
        on: Option<(String, Name)>,
        columns: Vec<String>,
        principals: Vec<String>,
    },
}

pub use control::parse;
