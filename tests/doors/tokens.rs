//! Logins at the source by a Microsoft Entra token.

use std::fs;

use anyhow::ensure;

use super::{REFUSED, filled_stage, source_at};
use crate::messages::Wrong;
use crate::support::source::PASSWORD;

/// What the usual configuration logs in with.
const USUAL: &str = "user = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_anew_at_each_connect_and_never_printed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    // Each holds a secret that every message is searched for.
    let token = |name: &str| format!("{PASSWORD}.{name}");
    fs::write(file("known"), format!("{} sa\n{} expired\n{} nobody\n", token("good"), token("old"), token("nobody")))?;
    let mut stage = filled_stage(&["--tokens", &file("known")]).await?;
    let (from_file, place) = (format!("token_file = \"{}\"\n", file("token")), source_at(&stage));

    fs::write(file("token"), token("good") + "\r\n")?;
    stage.configure(|text| text.replace(USUAL, &from_file))?;
    stage.environment.push(("RUST_LOG".to_owned(), "trace".to_owned()));
    let outcome = stage.task(&["check"]).await?.expect(0)?;
    ensure!(!outcome.stderr.contains(PASSWORD), "a token was printed: {}", outcome.stderr);
    stage.task(&["extract"]).await?.expect(0)?;

    let replace: &[(&str, &str)] = &[(USUAL, &from_file)];
    for (what, text, says) in [
        ("expired token", token("old"), &["refuses the token in", "18456", "expired", "fresh"][..]),
        ("unknown token", token("other"), &["refuses the token in", "18456", "not currently configured"]),
        ("token of nobody", token("nobody"), &["refuses the token in", "18456", "CREATE USER"]),
        ("empty token file", " \n".to_owned(), &["gives no token", "it is empty"]),
        ("token file of two words", token("a b"), &["gives no token", "more than one word"]),
        ("token file of other JSON", format!("{{\"a\": \"{}\"}}", token("good")), &["gives no token", "accessToken"]),
    ] {
        fs::write(file("token"), text)?;
        let message = Wrong { what, replace, says, ..REFUSED }.expect(&mut stage).await?;
        ensure!(message.contains(&place) || message.contains(&file("token")), "{what} names neither end: {message}");
    }
    fs::write(file("token"), token("good"))?;
    stage.sql().await?.run("EXEC sys.sp_standin_inject @number = 4060, @at_login = 1, @times = 3").await?;
    let says = &["does not open the database for the token in", "4060", "CREATE USER ... FROM EXTERNAL PROVIDER"];
    let message = Wrong { what: "token without a user", replace, says, ..REFUSED }.expect(&mut stage).await?;
    ensure!(!message.contains("FOR LOGIN"), "a token has no login: {message}");
    fs::remove_file(file("token"))?;
    let says = &["token file", "cannot be read", "No such file", "renews"];
    Wrong { what: "token file that is not there", replace, says, ..REFUSED }.expect(&mut stage).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_command_is_run_without_a_shell_and_not_for_ever() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let token = format!("{PASSWORD}.good");
    fs::write(file("known"), format!("{token} sa\n"))?;
    let json = format!("{{\n \"accessToken\": \"{token}\",\n \"tokenType\": \"Bearer\"\n}}\n");
    // A name that a shell would take apart.
    fs::write(file("$HOME; token"), &json)?;
    let mut stage = filled_stage(&["--tokens", &file("known")]).await?;
    stage
        .configure(|text| text.replace(USUAL, &format!("token_command = [\"cat\", \"{}\"]\n", file("$HOME; token"))))?;
    stage.task(&["check"]).await?.expect(0)?;

    let shell = |script: &str| format!("token_command = [\"sh\", \"-c\", \"{script}\"]\n");
    for (what, command, code, says) in [
        (
            "token command that fails",
            shell(&format!("echo {token}; echo not logged in as {token} >&2; exit 3")),
            75,
            &["token command 'sh' failed", "exit status: 3", "not logged in as …", "by hand"][..],
        ),
        ("silent token command", shell("exit 1"), 75, &["token command 'sh' failed", "nothing on stderr"]),
        (
            "token command that hangs",
            "connect_timeout = \"1s\"\ntoken_command = [\"sleep\", \"120\"]\n".to_owned(),
            75,
            &["token command 'sleep' did not end within 1 s", "source.connect_timeout"],
        ),
        (
            "token command that is not there",
            "token_command = [\"no-such-program\"]\n".to_owned(),
            2,
            &["token command 'no-such-program' cannot be started", "No such file", "no shell"],
        ),
        ("token command without a token", shell("echo"), 3, &["token command 'sh' gives no token", "it is empty"]),
    ] {
        Wrong { what, replace: &[(USUAL, &command)], code, says, ..REFUSED }.expect(&mut stage).await?;
    }
    Ok(())
}

/// The second login, too; and a server that knows no tokens.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_login_may_bring_a_token() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    fs::write(file("known"), format!("{PASSWORD}.admin sa\n"))?;
    fs::write(file("token"), format!("{PASSWORD}.admin"))?;
    let admin = format!("[source.admin]\ntoken_file = \"{}\"\n\n[bucket]", file("token"));
    let stage = filled_stage(&["--tokens", &file("known")]).await?;
    let mut sql = Box::pin(stage.sql()).await?;
    for statement in [
        "CREATE LOGIN reader WITH PASSWORD = 'Source-Secret-1'",
        "CREATE USER reader FOR LOGIN reader",
        "GRANT SELECT ON SCHEMA::dbo TO reader",
    ] {
        sql.run(statement).await?;
    }
    let reader = |text: String| text.replace("user = \"sa\"", "user = \"reader\"");
    stage.configure(|text| reader(text).replace("[bucket]", &admin))?;
    let check = stage.task(&["check"]).await?;
    ensure!(check.stderr.contains("enabled change data capture"), "the second login enabled nothing: {}", check.stderr);

    let mut plain = filled_stage(&[]).await?;
    let from_file = format!("token_file = \"{}\"\n", file("token"));
    let says = &["refuses the token in", "not currently configured to accept this token"];
    Wrong { what: "unknown token", replace: &[(USUAL, &from_file)], says, ..REFUSED }.expect(&mut plain).await?;
    Ok(())
}
