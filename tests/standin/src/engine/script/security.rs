//! Logins, users, roles, rights.

use sqlparser::tokenizer::Token;

use super::super::error::Result;
use super::control::starts;
use super::cursor::Cursor;
use super::{Kind, Security};

/// CREATE, ALTER or DROP of a login, user or role.
pub fn statement(cursor: &mut Cursor) -> Result<Security> {
    if cursor.words(&["create", "login"]) {
        let name = cursor.name()?;
        cursor.expect_word("with")?;
        let password = password(cursor)?;
        return Ok(Security::CreateLogin { name, password });
    }
    if cursor.words(&["alter", "login"]) {
        let name = cursor.name()?;
        if cursor.word("enable") || cursor.word("disable") {
            return Ok(Security::AlterLogin { name, password: None });
        }
        cursor.expect_word("with")?;
        return Ok(Security::AlterLogin { name, password: Some(password(cursor)?) });
    }
    if cursor.words(&["drop", "login"]) {
        return cursor.name().map(Security::DropLogin);
    }
    if cursor.words(&["create", "user"]) {
        let name = cursor.name()?;
        let mut login = None;
        if cursor.words(&["for", "login"]) || cursor.words(&["from", "login"]) {
            login = Some(cursor.name()?);
        } else {
            cursor.words(&["without", "login"]);
        }
        if cursor.words(&["with", "default_schema"]) {
            cursor.expect(&Token::Eq)?;
            cursor.name()?;
        }
        return Ok(Security::CreateUser { name, login });
    }
    if cursor.words(&["drop", "user"]) {
        let if_exists = cursor.words(&["if", "exists"]);
        return Ok(Security::DropUser { name: cursor.name()?, if_exists });
    }
    if cursor.words(&["create", "role"]) {
        let name = cursor.name()?;
        if cursor.word("authorization") {
            cursor.name()?;
        }
        return Ok(Security::CreateRole(name));
    }
    if cursor.words(&["drop", "role"]) {
        let if_exists = cursor.words(&["if", "exists"]);
        return Ok(Security::DropRole { name: cursor.name()?, if_exists });
    }
    if cursor.words(&["alter", "authorization", "on", "database"]) {
        colons(cursor)?;
        let database = cursor.name()?;
        cursor.expect_word("to")?;
        return Ok(Security::Authorization { database, login: cursor.name()? });
    }
    if cursor.words(&["alter", "security", "policy"]) {
        let name = cursor.object()?;
        cursor.expect_word("with")?;
        cursor.expect(&Token::LParen)?;
        cursor.expect_word("state")?;
        cursor.expect(&Token::Eq)?;
        let on = cursor.word("on");
        if !on {
            cursor.expect_word("off")?;
        }
        cursor.expect(&Token::RParen)?;
        return Ok(Security::Policy { name, on: Some(on) });
    }
    if cursor.words(&["drop", "security", "policy"]) {
        return Ok(Security::Policy { name: cursor.object()?, on: None });
    }
    let server = cursor.words(&["alter", "server", "role"]);
    if server || cursor.words(&["alter", "role"]) {
        let role = cursor.name()?;
        let add = cursor.word("add");
        if !add {
            cursor.expect_word("drop")?;
        }
        cursor.expect_word("member")?;
        return Ok(Security::Member { server, role, member: cursor.name()?, add });
    }
    cursor.at += 1;
    Err(cursor.error())
}

/// `::`, however it was cut into tokens.
fn colons(cursor: &mut Cursor) -> Result<()> {
    if cursor.token(&Token::DoubleColon) {
        return Ok(());
    }
    cursor.expect(&Token::Colon)?;
    cursor.expect(&Token::Colon)
}

/// `(FUNCTION = 'default()')`.
pub fn mask(cursor: &mut Cursor) -> Result<()> {
    cursor.expect(&Token::LParen)?;
    cursor.expect_word("function")?;
    cursor.expect(&Token::Eq)?;
    let function = cursor.string()?.to_lowercase();
    if !["default(", "email(", "random(", "partial("].iter().any(|known| function.starts_with(known)) {
        return Err(cursor.error());
    }
    cursor.expect(&Token::RParen)
}

/// `(COLUMN_ENCRYPTION_KEY = name, ENCRYPTION_TYPE = kind, ALGORITHM = 'name')`; the key is taken to exist.
pub fn encryption(cursor: &mut Cursor) -> Result<u8> {
    cursor.expect(&Token::LParen)?;
    cursor.expect_word("column_encryption_key")?;
    cursor.expect(&Token::Eq)?;
    cursor.name()?;
    cursor.expect(&Token::Comma)?;
    cursor.expect_word("encryption_type")?;
    cursor.expect(&Token::Eq)?;
    let kind = if cursor.word("deterministic") { 1 } else { 2 };
    if kind == 2 {
        cursor.expect_word("randomized")?;
    }
    cursor.expect(&Token::Comma)?;
    cursor.expect_word("algorithm")?;
    cursor.expect(&Token::Eq)?;
    if cursor.string()? != "AEAD_AES_256_CBC_HMAC_SHA_256" {
        return Err(cursor.error());
    }
    cursor.expect(&Token::RParen)?;
    Ok(kind)
}

fn password(cursor: &mut Cursor) -> Result<String> {
    cursor.expect_word("password")?;
    cursor.expect(&Token::Eq)?;
    let password = cursor.string()?;
    while cursor.token(&Token::Comma) {
        // CHECK_POLICY, DEFAULT_DATABASE and their like.
        cursor.any_word()?;
        cursor.expect(&Token::Eq)?;
        cursor.at += 1;
    }
    Ok(password)
}

/// GRANT, DENY, REVOKE.
pub fn permission(cursor: &mut Cursor) -> Result<Kind> {
    let verb = cursor.any_word()?;
    cursor.words(&["grant", "option", "for"]);
    let mut permissions = Vec::new();
    loop {
        let mut words = vec![cursor.any_word()?];
        while matches!(cursor.peek(), Some(Token::Word(_)))
            && !["on", "to", "from"].iter().any(|word| cursor.is_word(word))
        {
            words.push(cursor.any_word()?);
        }
        permissions.push(words.join(" "));
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    let mut columns = Vec::new();
    let on = if cursor.word("on") {
        let mut class = "OBJECT".to_owned();
        if cursor.peek_at(1) == Some(&Token::Colon) || cursor.peek_at(1) == Some(&Token::DoubleColon) {
            class = cursor.any_word()?;
            cursor.at += if cursor.peek() == Some(&Token::DoubleColon) { 1 } else { 2 };
        }
        let object = cursor.object()?;
        if class == "OBJECT" && cursor.token(&Token::LParen) {
            columns = granted_columns(cursor, &verb, &permissions)?;
        }
        Some((class, object))
    } else {
        None
    };
    if !(cursor.word("to") || (verb == "REVOKE" && cursor.word("from"))) {
        return Err(cursor.error());
    }
    let mut principals = Vec::new();
    loop {
        principals.push(if cursor.word("public") { "public".to_owned() } else { cursor.name()? });
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    cursor.words(&["with", "grant", "option"]);
    let _ = cursor.word("cascade");
    if !cursor.is_end() && !starts(cursor) {
        return Err(cursor.error());
    }
    Ok(Kind::Security(Security::Permission { verb, permissions, on, columns, principals }))
}

/// The columns that a right is on: one to read, which may be given and taken back, and not denied.
fn granted_columns(cursor: &mut Cursor, verb: &str, permissions: &[String]) -> Result<Vec<String>> {
    if verb == "DENY" || permissions.iter().any(|right| !matches!(right.as_str(), "SELECT" | "UNMASK")) {
        return Err(cursor.error());
    }
    let mut columns = vec![cursor.name()?];
    while cursor.token(&Token::Comma) {
        columns.push(cursor.name()?);
    }
    cursor.expect(&Token::RParen)?;
    Ok(columns)
}
