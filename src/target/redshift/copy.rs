//! The parts on their way into staging: the server reads them itself, by a list that extract wrote beside them.

use aws_sdk_s3::config::ProvideCredentials;
use serde::Serialize;
use tokio_postgres::Transaction;

use super::detail;
use crate::bucket::Bucket;
use crate::config::{Compression, RedshiftOptions};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Manifest, Part};
use crate::target::TargetTable;
use crate::target::batch::damaged;
use crate::target::delsert::{OPERATION, Objects, column_list};
use crate::target::pgwire::failure::Server;

/// The end of the key of an attempt's list of parts.
pub const LIST: &str = "copy.json";

/// What a part is whose bytes are others than were written.
const OTHER_SUM: &str = "is not what was written: its SHA-256 differs from the manifest's";

/// "Using a manifest to specify data files".
#[derive(Serialize)]
struct List {
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    url: String,
    /// A part that is missing is else passed over.
    mandatory: bool,
}

/// The list of an attempt's parts, as COPY reads it.
pub fn list(bucket: &str, parts: &[Part]) -> Vec<u8> {
    let entry = |part: &Part| Entry { url: format!("s3://{bucket}/{}", part.key), mandatory: true };
    let list = List { entries: parts.iter().map(entry).collect() };
    // Texts alone: that is always JSON.
    serde_json::to_vec(&list).unwrap_or_default()
}

/// The key of a batch's list; `None` where it has no parts.
fn list_key(manifest: &Manifest) -> Option<String> {
    let (folder, _) = manifest.parts.first()?.key.rsplit_once('/')?;
    Some(format!("{folder}/{}.{LIST}", manifest.attempt))
}

/// A text as an expression. A backslash may begin an escape in a literal, or not: it is given by its number.
pub fn literal(text: &str) -> String {
    let pieces: Vec<_> = text.split('\\').map(|piece| format!("'{}'", piece.replace('\'', "''"))).collect();
    pieces.join(" || CHR(92) || ")
}

/// A text where only a literal can stand.
fn plain(what: &str, text: &str) -> Result<String> {
    if text.contains(['\\', '\0']) {
        let message = format!("{what} holds a backslash, which COPY cannot be told");
        return Err(Error::new(Kind::Config, message).advice("Choose another bucket.prefix"));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

/// Whether a part's bytes are those that were written. What was spoilt only on its way here is right the second time.
async fn is_whole(bucket: &Bucket, part: &Part) -> Result<bool> {
    Ok(bucket.verify(&part.key, &part.sha256).await? || bucket.verify(&part.key, &part.sha256).await?)
}

/// Copies the parts of one batch.
pub struct Copier<'a> {
    transaction: &'a Transaction<'a>,
    server: &'a Server,
    options: &'a RedshiftOptions,
    table: &'a TargetTable,
    objects: &'a Objects,
}

impl<'a> Copier<'a> {
    /// A copier into a table's staging.
    pub fn new(
        transaction: &'a Transaction<'a>,
        server: &'a Server,
        options: &'a RedshiftOptions,
        table: &'a TargetTable,
        objects: &'a Objects,
    ) -> Self {
        Self { transaction, server, options, table, objects }
    }

    /// Copies all parts. After a refusal the transaction is rolled back, since only then the server tells what it met.
    ///
    /// # Errors
    /// [`Kind::PartDamaged`] when a part is not what the manifest says, also where the server stumbled over it first;
    /// the server's refusal, with file, line and column.
    pub async fn copy(&self, manifest: &Manifest, bucket: &Bucket) -> Result<()> {
        let Some(list) = list_key(manifest) else { return Ok(()) };
        for part in &manifest.parts {
            let stored = bucket.head(&part.key).await?;
            let bytes = stored.ok_or_else(|| damaged(&part.key, "is not in the bucket"))?.bytes;
            if bytes != part.bytes {
                let what = format!("has {bytes} bytes, the manifest says {}", part.bytes);
                return Err(damaged(&part.key, &what));
            }
            // A compressed part has a checksum within it, which the server checks.
            if manifest.encoding.compression == Compression::None && !is_whole(bucket, part).await? {
                return Err(damaged(&part.key, OTHER_SUM));
            }
        }
        let statement = self.statement(manifest, bucket, &list).await?;
        if let Err(error) = self.transaction.batch_execute(&statement).await {
            return Err(self.refused(manifest, bucket, &error).await);
        }
        let asked = self.transaction.query_typed_one("SELECT CAST(pg_last_copy_count() AS bigint)", &[]).await;
        let copied: i64 = asked
            .and_then(|row| row.try_get(0))
            .map_err(|error| self.server.failed("count what was copied", &error))?;
        let rows: u64 = manifest.parts.iter().map(|part| part.rows).sum();
        if u64::try_from(copied) != Ok(rows) {
            return Err(damaged(&list, &format!("brought {copied} rows, the manifest says {rows}")));
        }
        tracing::debug!(table = %self.table.source_name, parts = manifest.parts.len(), rows, "parts copied");
        Ok(())
    }

    /// "COPY". No EMPTYASNULL: an empty text is no NULL. No statistics of staging, and no analysis of its compression.
    async fn statement(&self, manifest: &Manifest, bucket: &Bucket, list: &str) -> Result<String> {
        let from = plain("bucket.prefix", &format!("s3://{}/{list}", bucket.name()))?;
        let compression = match manifest.encoding.compression {
            Compression::Zstd => " ZSTD",
            Compression::Gzip => " GZIP",
            Compression::None => "",
        };
        let region = bucket.region().map(|region| plain("bucket.region", region)).transpose()?;
        let region = region.map(|region| format!(" REGION {region}")).unwrap_or_default();
        Ok(format!(
            "COPY {} ({OPERATION}, {}) FROM {from} {} MANIFEST FORMAT CSV{compression} NULL AS {}{region} \
             DATEFORMAT 'auto' TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF",
            self.objects.staging,
            column_list(self.table),
            self.authorization(bucket).await?,
            plain("the NULL sentinel", &manifest.encoding.dialect.null)?,
        ))
    }

    /// A role where one is configured, else our own keys, which go into the statement and nowhere else.
    async fn authorization(&self, bucket: &Bucket) -> Result<String> {
        match self.options.iam_role.as_deref() {
            Some("default") => return Ok("IAM_ROLE default".to_owned()),
            Some(role) => return Ok(format!("IAM_ROLE {}", plain("target.iam_role", role)?)),
            None => {}
        }
        let none = |what: &str| {
            Error::new(Kind::BucketRights, format!("there are no keys of the bucket to give to COPY: {what}"))
                .advice("Set target.iam_role to a role that the cluster may take and that may read the bucket, which is better than keys; or see that the AWS chain has credentials")
        };
        let provider = bucket.credentials().ok_or_else(|| none("the bucket is reached without any"))?;
        let keys = provider.provide_credentials().await;
        let keys = keys.map_err(|error| none("the AWS chain has none for now").because(error))?;
        let mut authorization = format!(
            "ACCESS_KEY_ID {} SECRET_ACCESS_KEY {}",
            plain("an access key", keys.access_key_id())?,
            plain("a secret key", keys.secret_access_key())?
        );
        if let Some(token) = keys.session_token() {
            authorization = format!("{authorization} SESSION_TOKEN {}", plain("a session token", token)?);
        }
        Ok(authorization)
    }

    /// What COPY met. Of a damaged part the server says something else each time: whether one is, is seen here.
    async fn refused(&self, manifest: &Manifest, bucket: &Bucket, error: &tokio_postgres::Error) -> Error {
        let failed = self.server.failed("copy the parts into staging", error);
        if failed.kind() != Kind::TargetRefused {
            return failed;
        }
        let rolled_back = self.transaction.batch_execute("ROLLBACK").await;
        let told = match rolled_back {
            Ok(()) => detail::of_last_copy(self.transaction, self.options.log_values).await,
            Err(_) => None,
        };
        for part in &manifest.parts {
            match is_whole(bucket, part).await {
                Ok(true) => {}
                Ok(false) => {
                    return damaged(&part.key, OTHER_SUM);
                }
                Err(error) => return error,
            }
        }
        match told {
            Some(told) => {
                self.server.error(Kind::TargetRefused, &format!("cannot copy the parts into staging: {told}"))
            }
            None => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_has_no_backslash() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "'a' || CHR(92) || 'b'");
        assert_eq!(plain("x", "it's").unwrap(), "'it''s'");
        assert_eq!(plain("bucket.prefix", "a\\b").unwrap_err().kind(), Kind::Config);
    }

    #[test]
    fn the_list_of_parts_lets_none_be_missing() {
        let part = |key: &str| Part { key: key.to_owned(), rows: 1, bytes: 7, sha256: String::new() };
        let list = String::from_utf8(list("b", &[part("p/1.csv"), part("p/\"2\".csv")])).unwrap();
        assert_eq!(
            list,
            r#"{"entries":[{"url":"s3://b/p/1.csv","mandatory":true},{"url":"s3://b/p/\"2\".csv","mandatory":true}]}"#
        );
    }
}
