//! Amazon Redshift under the contract, by its stand-in, and what only Redshift has.

use std::time::Duration;

use delsert::config::{self, Auth, Config, Engine, Login, RedshiftOptions, Tls};
use delsert::error::Result;
use delsert::target::Target;
use delsert::target::redshift::Redshift;
use tokio_postgres::Client;

use super::{Warehouse, contract};
use crate::support::{postgres, redshift};

/// A stand-in before a database of its own, and a connection beside `delsert`'s.
pub(super) struct Cluster {
    standin: redshift::Redshift,
    client: Client,
}

impl Cluster {
    fn login(&self) -> config::Target {
        config::Target {
            engine: Engine::Redshift,
            host: "127.0.0.1".to_owned(),
            port: self.standin.port,
            database: self.standin.database.clone(),
            auth: Auth::Password(Login {
                user: postgres::LOADER.to_owned(),
                password: Some(postgres::LOADER_PASSWORD.into()),
            }),
            tls: Tls::Disable,
            ca_file: None,
            connect_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_mins(1),
            redshift: RedshiftOptions { iam_role: Some(redshift::ROLE.to_owned()), ..RedshiftOptions::default() },
        }
    }
}

impl Warehouse for Cluster {
    type Target = Redshift;

    const ENGINE: Engine = Engine::Redshift;
    const TEXT: &str = "varchar(65535)";
    const SCALE: u8 = 37;
    const HEX: &str = "to_hex(v)";

    async fn create(bucket: &str) -> anyhow::Result<Self> {
        let standin = redshift::Redshift::start(bucket, &[]).await?;
        let client = standin.connect().await?;
        // The server's own default may be less, which rounds what is shown.
        client.batch_execute("SET extra_float_digits TO 2").await?;
        Ok(Self { standin, client })
    }

    async fn connect(&self, lock_timeout: Duration) -> Result<Redshift> {
        Redshift::connect(&config::Target { lock_timeout, ..self.login() }).await
    }

    fn config(&self, sync: &str, more: &str) -> Config {
        let text = format!("[sync]\nname = \"{sync}\"\n[source]\n[bucket]\n[target]\nengine = \"redshift\"\n{more}");
        Config::parse(&text).expect("a configuration")
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        postgres::rows(&self.client, sql).await
    }
}

contract! {
    Cluster:
    suite {
        prepare_makes_what_is_missing_and_nothing_twice,
        many_prepares_at_once_do_no_harm,
        another_sync_is_refused,
        a_snapshot_and_then_changes,
        r4_table_and_watermark_change_together_or_not_at_all,
        r4_a_batch_is_not_applied_twice,
        r4_waiting_for_the_lock_is_bounded,
        a_load_that_is_given_up_frees_the_table,
        an_existing_table_with_other_columns_is_refused_with_each_difference,
        an_existing_table_gets_its_missing_columns_and_keeps_its_own,
        staging_follows_the_batch,
        a_table_that_was_dropped_begins_anew,
    }
    damage {
        a_flipped_byte_anywhere_is_noticed,
        a_part_cut_short_grown_or_gone_is_noticed,
        a_part_that_is_anothers_is_noticed,
        wrong_counts_are_noticed,
    }
    values {
        texts_arrive_as_they_are,
        a_text_that_looks_like_another_batchs_null_stays_a_text,
        bytes_and_uuids_arrive_as_they_are,
        numbers_arrive_digit_by_digit,
        floats_arrive_bit_by_bit,
        times_arrive_whatever_the_servers_zone,
    }
}
