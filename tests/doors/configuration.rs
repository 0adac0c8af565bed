//! Keys of the configuration that exclude each other, or need each other.

use super::REFUSED;
use crate::messages::Wrong;
use crate::rules::stage::Stage;

const USER: &str = "user = \"sa\"\n";
const PASSWORD: &str = "password = \"${MSSQL_PASSWORD}\"\n";
const TRUSTING: &str = "trust_server_certificate = true\n";
const HOST: &str = "host = \"127.0.0.1\"\n";
const TOKEN: &str = "token_file = \"/t\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_source_that_do_not_go_together_are_named() -> anyhow::Result<()> {
    let mut stage = Stage::without_source().await?;
    let usage = Wrong { code: 2, task: &["extract"], ..REFUSED };
    for wrong in [
        Wrong {
            what: "password and token",
            replace: &[(PASSWORD, "password = \"x\"\ntoken_file = \"/t\"\n")],
            says: &["source.user and source.password and source.token_file are set", "Keep one"],
            ..usage
        },
        Wrong {
            what: "two tokens",
            replace: &[(USER, ""), (PASSWORD, "token_file = \"/t\"\ntoken_command = [\"t\"]\n")],
            says: &["source.token_file and source.token_command are set", "Keep one"],
            ..usage
        },
        Wrong {
            what: "no way to log in",
            replace: &[(USER, ""), (PASSWORD, "")],
            says: &["source.user is missing", "source.token_file", "source.token_command"],
            ..usage
        },
        Wrong {
            what: "user without password",
            replace: &[(PASSWORD, "")],
            says: &["source.password is missing"],
            ..usage
        },
        Wrong {
            what: "second login's two ways",
            replace: &[("[bucket]", "[source.admin]\nuser = \"a\"\ntoken_file = \"/t\"\n\n[bucket]")],
            says: &["source.admin.user and source.admin.token_file are set"],
            ..usage
        },
        Wrong {
            what: "token in clear",
            replace: &[(USER, "encrypt = \"login\"\n"), (PASSWORD, TOKEN)],
            says: &["source.token_file is set, and source.encrypt is not \"required\"", "whoever sees a token"],
            ..usage
        },
        Wrong {
            what: "empty token command",
            replace: &[(USER, ""), (PASSWORD, "token_command = []\n")],
            says: &["source.token_command is empty", "az"],
            ..usage
        },
        Wrong {
            what: "authority and trust",
            replace: &[(TRUSTING, "trust_server_certificate = true\nca_file = \"/c\"\n")],
            says: &["source.ca_file is set", "trust_server_certificate = true verifies no certificate", "Keep one"],
            ..usage
        },
        Wrong {
            what: "authority without encryption",
            replace: &[(TRUSTING, "encrypt = \"off\"\nca_file = \"/c\"\n")],
            says: &["source.ca_file is set", "encrypt = \"off\" verifies no certificate"],
            ..usage
        },
        Wrong {
            what: "instance in the host",
            replace: &[(HOST, "host = \"db\\\\SHOP\"\n")],
            says: &["source.host = 'db\\SHOP'", "source.instance", "source.port"],
            ..usage
        },
        Wrong {
            what: "instance without a name",
            replace: &[(HOST, "host = \"db\"\ninstance = \"\"\n")],
            says: &["source.instance = ''", "The default instance has no name"],
            ..usage
        },
    ] {
        wrong.expect(&mut stage).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_bucket_and_target_that_do_not_go_together_are_named() -> anyhow::Result<()> {
    let mut stage = super::stage_to_load().await?;
    let usage = Wrong { code: 2, task: &["load"], ..REFUSED };
    let endpoint = format!("endpoint = \"{}\"\n", stage.endpoint);
    let with = |line: &str| format!("{endpoint}{line}\n");
    for (what, line, says) in [
        (
            "key without KMS",
            "kms_key = \"k\"",
            &["bucket.kms_key is set, and bucket.encryption is not \"aws:kms\""][..],
        ),
        ("unknown encryption", "encryption = \"rot13\"", &["bucket.encryption = 'rot13'", "\"AES256\"", "\"aws:kms\""]),
        ("external id without role", "external_id = \"x\"", &["bucket.external_id is set, and bucket.role_arn is not"]),
        ("authority without TLS", "ca_file = \"/c\"", &["bucket.ca_file is set", "http://", "https://"]),
    ] {
        let line = with(line);
        Wrong { what, replace: &[(&endpoint, &line)], says, ..usage }.expect(&mut stage).await?;
    }
    let replace: &[(&str, &str)] = &[(&endpoint, "endpoint = \"s3.example:9000\"\n")];
    let says = &["bucket.endpoint = 's3.example:9000'", "http:// or https://"];
    Wrong { what: "endpoint without scheme", replace, says, ..usage }.expect(&mut stage).await?;
    for tls in ["disable", "require"] {
        let both = format!("tls = \"{tls}\"\nca_file = \"/c\"\n");
        let replace: &[(&str, &str)] = &[("tls = \"disable\"\n", &both)];
        let says = &["target.ca_file is set, and target.tls is not \"verify-full\"", "nothing is verified"];
        Wrong { what: "authority that verifies nothing", replace, says, ..usage }.expect(&mut stage).await?;
    }
    Ok(())
}

/// Files of authorities that are none, at each end.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_holds_no_authority_is_named() -> anyhow::Result<()> {
    let mut stage = super::stage_to_load().await?;
    let endpoint = format!("endpoint = \"{}\"\n", stage.endpoint);
    let files = [
        ("empty", "", "it is empty"),
        ("other", "no certificate at all\n", "it holds no certificate"),
        ("cut", "-----BEGIN CERTIFICATE-----\nMIIB\n", "it is damaged"),
        ("wrong", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it holds what is no certificate"),
    ];
    for (name, text, why) in files {
        let file = stage.folder().join(name).display().to_string();
        std::fs::write(&file, text)?;
        let source = format!("ca_file = \"{file}\"\n");
        let bucket = format!("endpoint = \"https://127.0.0.1:1\"\nca_file = \"{file}\"\n");
        let target = format!("tls = \"verify-full\"\nca_file = \"{file}\"\n");
        for (key, task, from, to) in [
            ("source.ca_file", "extract", TRUSTING, &source),
            ("bucket.ca_file", "load", &endpoint, &bucket),
            ("target.ca_file", "load", "tls = \"disable\"\n", &target),
        ] {
            let what = format!("{key} of the kind '{name}'");
            let (replace, says): (&[(&str, &str)], _) = (&[(from, to)], &[key, &file, why, "PEM"]);
            Wrong { what: &what, replace, says, code: 2, task: &[task], ..REFUSED }.expect(&mut stage).await?;
        }
    }
    Ok(())
}
