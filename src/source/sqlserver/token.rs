//! A Microsoft Entra token, from a file or a program. It never gets into a message.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::process::Command;
use tokio::time::Instant;

use crate::config::Token;
use crate::error::{Error, Kind, Result};

/// How much of what a program says is told.
const TOLD: usize = 500;

/// Reads a token, anew.
pub async fn read(token: &Token, deadline: Instant, patience: Duration) -> Result<SecretString> {
    match token {
        Token::File(file) => {
            let place = format!("the token file '{}'", file.display());
            let text = tokio::fs::read_to_string(file).await.map_err(|error| {
                Error::new(Kind::SourceLogin, format!("{place} cannot be read"))
                    .because(error)
                    .advice("Check token_file, and that whatever renews it runs and lets this user read it")
            })?;
            bare(&place, text)
        }
        Token::Command(program, arguments) => {
            let place = format!("the token command '{program}'");
            let ran = tokio::time::timeout_at(deadline, run(&place, program, arguments)).await;
            let text = ran.unwrap_or_else(|_| {
                let message = format!("{place} did not end within {} s", patience.as_secs_f32());
                Err(Error::new(Kind::SourceUnreachable, message)
                    .advice("Run it by hand; if it needs so long, raise source.connect_timeout"))
            })?;
            bare(&place, text)
        }
    }
}

/// What a program prints. It reads nothing, and goes, with all that it started, when it is waited for no longer.
async fn run(place: &str, program: &str, arguments: &[SecretString]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments.iter().map(ExposeSecret::expose_secret)).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let cannot = |error| {
        Error::new(Kind::Config, format!("{place} cannot be started"))
            .because(error)
            .advice("token_command names a program and its arguments, one by one: no shell reads it")
    };
    let child = command.spawn().map_err(cannot)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let output = child.wait_with_output().await.map_err(cannot)?;
    group.has_ended();
    let printed = Zeroizing::new(output.stdout);
    if output.status.success() {
        return String::from_utf8(printed.to_vec()).map_err(|_| no_token(place, "it is not UTF-8"));
    }
    let said = told(&String::from_utf8_lossy(&output.stderr), &String::from_utf8_lossy(&printed));
    Err(Error::new(Kind::SourceUnreachable, format!("{place} failed ({}): {said}", output.status))
        .advice("Run it by hand, as the user that runs delsert, then try again"))
}

/// The processes of a program that is waited for: many such are scripts that start another.
struct Group(Option<Pid>);

impl Group {
    /// Leaves alone what has the number from now on.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// What a program said on stderr, without what it printed, and without any word as long as a token.
fn told(said: &str, printed: &str) -> String {
    let is_secret = |word: &str| word.len() >= 40 || (word.len() >= 8 && printed.contains(word));
    let words = said.split_whitespace().map(|word| if is_secret(word) { "…" } else { word });
    let words: Vec<_> = words.collect();
    match words.join(" ") {
        text if text.is_empty() => "it says nothing on stderr".to_owned(),
        text => text.chars().take(TOLD).collect(),
    }
}

/// The token in a text: the text itself, or a member of a JSON object, as `az account get-access-token` prints it.
fn bare(place: &str, text: String) -> Result<SecretString> {
    let text = Zeroizing::new(text);
    let trimmed = text.trim();
    let token = if trimmed.starts_with('{') {
        // Not the parser's own error: it may quote.
        let parsed =
            serde_json::from_str::<serde_json::Value>(trimmed).map_err(|_| no_token(place, "it is not JSON"))?;
        let member = ["accessToken", "access_token"].iter().find_map(|name| parsed[*name].as_str());
        member.ok_or_else(|| no_token(place, "its JSON has neither accessToken nor access_token"))?.to_owned()
    } else {
        trimmed.to_owned()
    };
    match token {
        token if token.is_empty() => Err(no_token(place, "it is empty")),
        token if token.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err(no_token(place, "it is more than one word"))
        }
        token => Ok(token.into()),
    }
}

fn no_token(place: &str, why: &str) -> Error {
    Error::new(Kind::SourceLogin, format!("{place} gives no token: {why}"))
        .advice("It must give the bare token, or JSON with accessToken or access_token, as 'az account get-access-token' prints it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bare_or_a_member_of_json() {
        for text in [
            "abc.def",
            "abc.def\r\n",
            " {\"accessToken\": \"abc.def\", \"expiresOn\": \"x\"}\n",
            "{\"access_token\":\"abc.def\"}",
        ] {
            assert_eq!(bare("it", text.to_owned()).unwrap().expose_secret(), "abc.def", "{text}");
        }
        for text in
            ["", " \n", "two words", "{\"token\":\"abc\"}", "{\"accessToken\":1}", "{abc.def", "{\"accessToken\":\"\"}"]
        {
            let refused = bare("it", text.to_owned()).unwrap_err().to_string();
            assert!(refused.contains("gives no token") && !refused.contains("abc"), "{refused}");
        }
    }

    #[test]
    fn what_a_program_says_is_told_without_what_it_printed() {
        let long = "x".repeat(40);
        assert_eq!(told(&format!("error: log\nin secret-1 {long}"), "{\"t\":\"secret-1\"}"), "error: log in … …");
        assert_eq!(told(" ", ""), "it says nothing on stderr");
        assert_eq!(told(&"word ".repeat(500), "").len(), TOLD);
    }
}
