//! Statements and control flow.

use sqlparser::tokenizer::Token;

use super::super::error::Result;
use super::call::{execute, execute_call, raise, throw};
use super::cursor::Cursor;
use super::lexer::{self, Tokens};
use super::{Declaration, DeclaredKind, Kind, NameOrVariable, OptionValue, Statement};

/// Words that begin a statement and can stand in no query.
const STARTS: &[&str] = &[
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "create",
    "alter",
    "drop",
    "truncate",
    "declare",
    "set",
    "exec",
    "execute",
    "if",
    "else",
    "while",
    "begin",
    "end",
    "commit",
    "rollback",
    "save",
    "use",
    "print",
    "raiserror",
    "waitfor",
    "grant",
    "deny",
    "revoke",
    "return",
    "break",
    "continue",
    "goto",
    "kill",
    "checkpoint",
    "reconfigure",
    "dbcc",
];

/// Reads a batch in which some variables are known.
pub fn parse(sql: &str, quoted_identifier: bool, variables: &[String]) -> Result<Vec<Statement>> {
    let mut tokens = lexer::tokens(sql, quoted_identifier)?;
    unwrap_odbc_call(&mut tokens);
    let mut cursor = Cursor::new(tokens.clone());
    let statements = list(&mut cursor)?;
    if !cursor.is_end() {
        return Err(cursor.error());
    }
    super::variables::check(&tokens, variables)?;
    Ok(statements)
}

/// `{call p(…)}` and `{?=call p}` are EXEC in ODBC's spelling.
fn unwrap_odbc_call(tokens: &mut Tokens) {
    let list = &tokens.list;
    let call = matches!(list.get(1).map(|t| &t.token), Some(Token::Word(w)) if w.value.eq_ignore_ascii_case("call"));
    if list.first().map(|t| &t.token) != Some(&Token::LBrace)
        || !call
        || list.last().map(|t| &t.token) != Some(&Token::RBrace)
    {
        return;
    }
    let mut inner = list[1..list.len() - 1].to_vec();
    if let Token::Word(word) = &mut inner[0].token {
        "EXEC".clone_into(&mut word.value);
    }
    let open = inner.iter().position(|t| t.token == Token::LParen);
    if let Some(open) = open
        && inner.last().map(|t| &t.token) == Some(&Token::RParen)
    {
        inner.pop();
        inner.remove(open);
    }
    tokens.list = inner.into();
}

/// Statements up to the end, END or ELSE.
fn list(cursor: &mut Cursor) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    loop {
        while cursor.token(&Token::SemiColon) {}
        if cursor.is_end() || cursor.is_word("end") || cursor.is_word("else") {
            return Ok(statements);
        }
        statements.push(statement(cursor)?);
    }
}

/// Whether a statement begins at the cursor.
pub fn starts(cursor: &Cursor) -> bool {
    if cursor.peek() == Some(&Token::SemiColon) {
        return true;
    }
    if cursor.is_word("throw") {
        return matches!(cursor.peek_at(1), None | Some(Token::SemiColon | Token::Number(..)))
            || cursor.is_word_at(1, "end");
    }
    STARTS.iter().any(|word| cursor.is_word(word))
}

/// Where the clause that begins at `from` ends: the next statement, a semicolon, or the end.
pub fn clause_end(cursor: &Cursor, from: usize) -> usize {
    cursor.find(from, starts)
}

/// One statement.
pub fn statement(cursor: &mut Cursor) -> Result<Statement> {
    let (start, line) = (cursor.at, cursor.line());
    let kind = kind(cursor)?;
    Ok(Statement { line, text: cursor.text(start, cursor.at), kind })
}

fn kind(cursor: &mut Cursor) -> Result<Kind> {
    let Some(Token::Word(word)) = cursor.peek() else {
        if cursor.peek() == Some(&Token::LParen) {
            return super::dml::query(cursor);
        }
        return Err(cursor.error());
    };
    if word.quote_style.is_some() {
        return if cursor.at == 0 { execute_call(cursor) } else { Err(cursor.error()) };
    }
    let upper = word.value.to_uppercase();
    match upper.as_str() {
        "SELECT" => super::dml::query(cursor),
        "WITH" => super::dml::with(cursor),
        "INSERT" => super::dml::insert(cursor),
        "UPDATE" => super::dml::update(cursor, None),
        "DELETE" => super::dml::delete(cursor, None),
        "MERGE" => super::dml::merge(cursor),
        "CREATE" | "ALTER" | "DROP" | "TRUNCATE" => super::ddl::statement(cursor),
        "GRANT" | "DENY" | "REVOKE" => super::security::permission(cursor),
        "DECLARE" => declare(cursor),
        "SET" => set(cursor),
        "IF" => conditional(cursor),
        "WHILE" => {
            cursor.at += 1;
            let end = clause_end(cursor, cursor.at);
            let condition = cursor.expr(end)?;
            Ok(Kind::While { condition, body: Box::new(statement(cursor)?) })
        }
        "BEGIN" => begin(cursor),
        "COMMIT" => {
            cursor.at += 1;
            if transaction_word(cursor) {
                let _ = name_or_variable(cursor);
            } else {
                cursor.word("work");
            }
            Ok(Kind::Commit)
        }
        "ROLLBACK" => {
            cursor.at += 1;
            if transaction_word(cursor) {
                return Ok(Kind::Rollback(name_or_variable(cursor)));
            }
            cursor.word("work");
            Ok(Kind::Rollback(None))
        }
        "SAVE" => {
            cursor.at += 1;
            if !transaction_word(cursor) {
                return Err(cursor.error());
            }
            name_or_variable(cursor).map(Kind::Save).ok_or_else(|| cursor.error())
        }
        "EXEC" | "EXECUTE" => {
            cursor.at += 1;
            execute(cursor)
        }
        _ => small(cursor, &upper),
    }
}

fn small(cursor: &mut Cursor, upper: &str) -> Result<Kind> {
    let start = cursor.at;
    cursor.at += 1;
    match upper {
        "USE" => Ok(Kind::Use(cursor.name()?)),
        "BREAK" => Ok(Kind::Break),
        "CONTINUE" => Ok(Kind::Continue),
        "CHECKPOINT" => Ok(Kind::Checkpoint),
        "RECONFIGURE" => {
            cursor.words(&["with", "override"]);
            Ok(Kind::Reconfigure)
        }
        "PRINT" => {
            let end = clause_end(cursor, cursor.at);
            Ok(Kind::Print(cursor.expr(end)?))
        }
        "RETURN" => {
            let end = clause_end(cursor, cursor.at);
            Ok(Kind::Return(if end == cursor.at { None } else { Some(cursor.expr(end)?) }))
        }
        "THROW" => throw(cursor),
        "RAISERROR" => raise(cursor),
        "WAITFOR" => {
            cursor.expect_word("delay")?;
            let end = clause_end(cursor, cursor.at);
            Ok(Kind::WaitFor(cursor.expr(end)?))
        }
        "KILL" => Ok(Kind::Kill(cursor.number()?)),
        "DBCC" => check_identity(cursor),
        // A batch that begins with a name is a call without EXEC.
        _ if start == 0 => {
            cursor.at = start;
            execute_call(cursor)
        }
        _ => {
            cursor.at = start;
            Err(cursor.error())
        }
    }
}

fn check_identity(cursor: &mut Cursor) -> Result<Kind> {
    if !cursor.word("checkident") {
        let word = cursor.any_word()?;
        return Err(crate::value::SqlError::new(
            2526,
            format!(
                "Incorrect DBCC statement. Check the documentation for the correct DBCC syntax and options. ({word})"
            ),
        ));
    }
    cursor.expect(&Token::LParen)?;
    let table = if let Ok(text) = cursor.string() { text } else { cursor.object()?.join(".") };
    let mut reseed = None;
    if cursor.token(&Token::Comma) && !cursor.word("noreseed") {
        cursor.expect_word("reseed")?;
        if cursor.token(&Token::Comma) {
            reseed = Some(cursor.number()?);
        }
    }
    cursor.expect(&Token::RParen)?;
    if cursor.word("with") {
        cursor.expect_word("no_infomsgs")?;
    }
    Ok(Kind::CheckIdentity { table, reseed })
}

fn transaction_word(cursor: &mut Cursor) -> bool {
    cursor.word("tran") || cursor.word("transaction")
}

fn name_or_variable(cursor: &mut Cursor) -> Option<NameOrVariable> {
    if let Ok(name) = cursor.variable() {
        return Some(NameOrVariable::Variable(name));
    }
    if starts(cursor) {
        return None;
    }
    cursor.name().ok().map(NameOrVariable::Name)
}

fn begin(cursor: &mut Cursor) -> Result<Kind> {
    cursor.at += 1;
    cursor.word("distributed");
    if transaction_word(cursor) {
        let name = match name_or_variable(cursor) {
            Some(NameOrVariable::Name(name)) => Some(name),
            _ => None,
        };
        if cursor.words(&["with", "mark"]) {
            let _ = cursor.string();
        }
        return Ok(Kind::Begin(name));
    }
    if cursor.word("try") {
        let body = list(cursor)?;
        cursor.expect_word("end")?;
        cursor.expect_word("try")?;
        while cursor.token(&Token::SemiColon) {}
        cursor.expect_word("begin")?;
        cursor.expect_word("catch")?;
        let catch = list(cursor)?;
        cursor.expect_word("end")?;
        cursor.expect_word("catch")?;
        return Ok(Kind::Try { body, catch });
    }
    let statements = list(cursor)?;
    if statements.is_empty() {
        return Err(cursor.error());
    }
    cursor.expect_word("end")?;
    Ok(Kind::Block(statements))
}

fn conditional(cursor: &mut Cursor) -> Result<Kind> {
    cursor.at += 1;
    let end = clause_end(cursor, cursor.at);
    let condition = cursor.expr(end)?;
    let then = Box::new(statement(cursor)?);
    let place = cursor.at;
    while cursor.token(&Token::SemiColon) {}
    if cursor.word("else") {
        return Ok(Kind::If { condition, then, otherwise: Some(Box::new(statement(cursor)?)) });
    }
    cursor.at = place;
    Ok(Kind::If { condition, then, otherwise: None })
}

fn declare(cursor: &mut Cursor) -> Result<Kind> {
    cursor.at += 1;
    let mut list = Vec::new();
    loop {
        let name = cursor.variable()?;
        cursor.word("as");
        let kind = if cursor.word("table") {
            DeclaredKind::Table(Box::new(super::ddl::table_body(cursor, vec![name.clone()])?))
        } else {
            DeclaredKind::Scalar(cursor.sql_type()?)
        };
        let value = if cursor.token(&Token::Eq) {
            let stop = cursor.find(cursor.at, |probe| starts(probe) || probe.peek() == Some(&Token::Comma));
            Some(cursor.expr(stop)?)
        } else {
            None
        };
        list.push(Declaration { name, kind, value });
        if !cursor.token(&Token::Comma) {
            return Ok(Kind::Declare(list));
        }
    }
}

/// The operator of `+=` and its kin, or `=`.
pub fn assignment_operator(cursor: &mut Cursor) -> Result<Option<char>> {
    let operator = match cursor.peek() {
        Some(Token::Plus) => Some('+'),
        Some(Token::Minus) => Some('-'),
        Some(Token::Mul) => Some('*'),
        Some(Token::Div) => Some('/'),
        Some(Token::Mod) => Some('%'),
        Some(Token::Ampersand) => Some('&'),
        Some(Token::Pipe) => Some('|'),
        Some(Token::Caret) => Some('^'),
        _ => None,
    };
    cursor.at += usize::from(operator.is_some());
    cursor.expect(&Token::Eq)?;
    Ok(operator)
}

fn set(cursor: &mut Cursor) -> Result<Kind> {
    cursor.at += 1;
    if let Ok(name) = cursor.variable() {
        let operator = assignment_operator(cursor)?;
        let end = clause_end(cursor, cursor.at);
        return Ok(Kind::SetVariable { name, operator, value: cursor.expr(end)? });
    }
    if cursor.words(&["transaction", "isolation", "level"]) {
        let levels: [(&[&str], u8); 5] = [
            (&["read", "uncommitted"], 1),
            (&["read", "committed"], 2),
            (&["repeatable", "read"], 3),
            (&["serializable"], 4),
            (&["snapshot"], 5),
        ];
        for (words, level) in levels {
            if cursor.words(words) {
                return Ok(Kind::SetIsolation(level));
            }
        }
        return Err(cursor.error());
    }
    if cursor.word("identity_insert") {
        let table = cursor.object()?;
        return Ok(Kind::SetIdentityInsert { table, on: switch(cursor)? });
    }
    if cursor.words(&["statistics"]) {
        let mut names = vec![format!("STATISTICS {}", cursor.any_word()?)];
        while cursor.token(&Token::Comma) {
            names.push(format!("STATISTICS {}", cursor.any_word()?));
        }
        return Ok(Kind::SetOption { names, value: OptionValue::Switch(switch(cursor)?) });
    }
    let mut names = vec![cursor.any_word()?];
    while cursor.token(&Token::Comma) {
        names.push(cursor.any_word()?);
    }
    Ok(Kind::SetOption { names, value: option_value(cursor)? })
}

fn option_value(cursor: &mut Cursor) -> Result<OptionValue> {
    if cursor.is_word("on") || cursor.is_word("off") {
        return Ok(OptionValue::Switch(switch(cursor)?));
    }
    if let Ok(name) = cursor.variable() {
        return Ok(OptionValue::Variable(name));
    }
    if cursor.string().is_ok() {
        return Ok(OptionValue::Word);
    }
    match cursor.peek() {
        Some(Token::Number(..) | Token::Minus) => Ok(OptionValue::Number(cursor.number()?)),
        Some(Token::HexStringLiteral(_)) => {
            cursor.at += 1;
            Ok(OptionValue::Number(0))
        }
        _ => cursor.any_word().map(|_| OptionValue::Word),
    }
}

fn switch(cursor: &mut Cursor) -> Result<bool> {
    if cursor.word("on") {
        return Ok(true);
    }
    cursor.expect_word("off")?;
    Ok(false)
}
