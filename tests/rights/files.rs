//! A file's rights, one by one, and the file without one of them.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// A file of `rights/`, as it is.
pub fn read(name: &str) -> anyhow::Result<String> {
    let path = format!("{}/rights/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).with_context(|| path)
}

/// A text with its placeholders replaced, of which none may be left outside of comments.
pub fn filled(text: &str, with: &[(&str, &str)]) -> anyhow::Result<String> {
    let text = with.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value));
    let mut lines = text.lines().filter(|line| !line.starts_with("--"));
    ensure!(!lines.any(|line| line.contains('<')), "a placeholder is left: {text}");
    Ok(text)
}

/// A right of a file: what it is called, and the file without it.
pub struct Right {
    /// What it is called.
    pub name: String,
    /// The file without it.
    pub rest: String,
}

/// The statements of a script, without comments.
pub fn statements(script: &str) -> Vec<String> {
    let lines: Vec<_> = script.lines().filter(|line| !line.starts_with("--")).collect();
    let all = lines.join("\n");
    all.split(";\n").map(|text| text.trim().trim_end_matches(';').to_owned()).filter(|text| !text.is_empty()).collect()
}

fn script(statements: &[String]) -> String {
    format!("{};\n", statements.join(";\n"))
}

/// The rights of a script: each statement, and of a GRANT each permission.
pub fn rights_of_script(text: &str) -> Vec<Right> {
    let all = statements(text);
    let (mut rights, mut database) = (Vec::new(), "");
    for (at, statement) in all.iter().enumerate() {
        if let Some(other) = statement.strip_prefix("USE ") {
            database = other;
            continue;
        }
        // Behind the condition under which it is run.
        let begins = ["CREATE ", "EXEC ", "GRANT ", "ALTER "].iter().filter_map(|word| statement.find(word)).min();
        let (condition, plain) = statement.split_at(begins.unwrap_or(0));
        let place = if database == "msdb" { "msdb: " } else { "" };
        let mut add = |what: &str, left: Option<String>| {
            let mut rest = all.clone();
            match left {
                Some(left) => rest[at] = left,
                None => drop(rest.remove(at)),
            }
            rights.push(Right { name: format!("{place}{what}"), rest: script(&rest) });
        };
        match plain.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON ")) {
            Some((list, on)) if list.contains(", ") => {
                let permissions: Vec<_> = list.split(", ").collect();
                for permission in &permissions {
                    let left: Vec<_> = permissions.iter().filter(|other| other != &permission).copied().collect();
                    let left = format!("{condition}GRANT {} ON {on}", left.join(", "));
                    add(&format!("GRANT {permission} ON {on}"), Some(left));
                }
            }
            _ => add(plain, None),
        }
    }
    rights
}

/// The rights of a policy: each action on each resource.
pub fn rights_of_policy(text: &str) -> anyhow::Result<Vec<Right>> {
    let policy: Value = serde_json::from_str(text)?;
    let list = |value: &Value| match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let mut pairs = Vec::new();
    for statement in list(&policy["Statement"]) {
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                let mut one = statement.clone();
                (one["Action"], one["Resource"]) = (action.clone(), resource);
                pairs.push(one);
            }
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let right = |at: usize| {
        let pair = &pairs[at];
        let resource = text(&pair["Resource"]).replace("arn:aws:s3:::<bucket>", "").replace("/<prefix>/", "");
        let mut rest = pairs.clone();
        rest.remove(at);
        let rest = json!({"Version": policy["Version"], "Statement": rest}).to_string();
        Right { name: format!("{} {resource}", text(&pair["Action"])).trim().to_owned(), rest }
    };
    Ok((0..pairs.len()).map(right).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_told_apart() -> anyhow::Result<()> {
        let script = "-- A; comment;\nIF X() IS NULL CREATE USER <u>;\n\nUSE msdb;\n\nGRANT A, B ON SCHEMA s TO <u>;\n";
        let rights = rights_of_script(script);
        let told: Vec<_> = rights.iter().map(|right| (right.name.as_str(), right.rest.as_str())).collect();
        let expected = [
            ("CREATE USER <u>", "USE msdb;\nGRANT A, B ON SCHEMA s TO <u>;\n"),
            (
                "msdb: GRANT A ON SCHEMA s TO <u>",
                "IF X() IS NULL CREATE USER <u>;\nUSE msdb;\nGRANT B ON SCHEMA s TO <u>;\n",
            ),
            (
                "msdb: GRANT B ON SCHEMA s TO <u>",
                "IF X() IS NULL CREATE USER <u>;\nUSE msdb;\nGRANT A ON SCHEMA s TO <u>;\n",
            ),
        ];
        ensure!(told == expected, "{told:#?}");
        let policy = r#"{"Version": "v", "Statement": [{"Action": ["a", "b"], "Resource": "arn:aws:s3:::<bucket>/<prefix>/x"}]}"#;
        let rights = rights_of_policy(policy)?;
        ensure!(rights.iter().map(|right| right.name.as_str()).eq(["a x", "b x"]));
        let left: Value = serde_json::from_str(&rights[0].rest)?;
        ensure!(left["Statement"].as_array().is_some_and(|list| list.len() == 1 && list[0]["Action"] == "b"));
        Ok(())
    }
}
