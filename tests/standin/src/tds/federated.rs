//! Logins by a Microsoft Entra token.

use std::path::Path;

use super::login::{Login7, Token};
use super::prelogin::{Agreed, Reach};
use crate::session::Login;
use crate::value::SqlError;

/// Whether a login holds to what prelogin agreed on.
///
/// # Errors
/// A client that does not: it is not answered.
pub fn check(login: &Login7, agreed: &Agreed) -> Result<(), &'static str> {
    match &login.token {
        None if agreed.federated => Err("a token was announced and did not come"),
        Some(token) if token.echo != agreed.federated => Err("fFedAuthEcho is not what the server said"),
        Some(_) if agreed.reach != Reach::All => Err("a token on a connection that is not encrypted"),
        _ => Ok(()),
    }
}

/// Whom a token names.
///
/// # Errors
/// 18456 for one that is unknown or has expired.
pub fn login(tokens: Option<&Path>, token: &Token, asked: &Login) -> Result<Login, SqlError> {
    let refuse = |why: &str| {
        SqlError::new(18_456, format!("Login failed for user '<token-identified principal>'. {why}")).severity(14)
    };
    let known = tokens.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let named = known.lines().filter_map(|line| line.split_once(' ')).find(|(text, _)| *text == token.text);
    match named {
        None => Err(refuse("The server is not currently configured to accept this token.")),
        Some((_, "expired")) => Err(refuse("Token is expired.")),
        Some((_, user)) => Ok(Login { user: user.to_owned(), by_token: true, ..asked.clone() }),
    }
}
