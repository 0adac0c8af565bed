//! What may mend itself within a task, by the server's number, and how long to wait for it.
//!
//! Every read may be begun again, since its bounds stay the same; so may enabling, and purging with the same mark.

use std::time::Duration;

use crate::config::Source;
use crate::error::{Error, Kind};

/// The longest wait.
const LONGEST: Duration = Duration::from_mins(1);

/// What is quickly over waits this part of the configured wait.
const QUICK: u32 = 25;

/// How long to wait before what failed is tried again, after so many tries in vain; `None` if that would not help, or not
/// any more.
pub fn wait(config: &Source, error: &Error, tries: u32) -> Option<Duration> {
    // What was given up where it happened is not tried again around it.
    if error.tries() > 0 || tries >= most(config, error) {
        return None;
    }
    let quick = config.retry_wait / QUICK;
    let wait = match error.number() {
        // Deadlocks, locks, snapshots that met a writer, memory.
        Some(1204 | 1205 | 1222 | 3958 | 3960 | 3961 | 3966 | 3967 | 701 | 802 | 8628 | 8645 | 8651) => {
            double(quick, tries)
        }
        Some(22840 | 22851..=22853 | 22920 | 22954) => double(quick, tries),
        // The server asks for ten seconds where others need five.
        Some(40501) => double(config.retry_wait * 2, tries),
        Some(_) => double(config.retry_wait, tries),
        // A connection that was lost is most often there again at once.
        None if tries == 0 => quick,
        None => double(config.retry_wait, tries - 1),
    };
    Some(wait.min(LONGEST))
}

fn double(wait: Duration, tries: u32) -> Duration {
    wait.saturating_mul(1 << tries.min(10))
}

/// How often what failed so is tried again.
fn most(config: &Source, error: &Error) -> u32 {
    match (error.kind(), error.number()) {
        // A failover, or a name that is wrong: soon it is certain.
        (_, Some(4060 | 615 | 3971)) => config.retries.min(2),
        (Kind::SourceBusy, Some(_)) | (Kind::SourceUnreachable, _) => config.retries,
        _ => 0,
    }
}

/// What the summary calls a failure that was mended.
pub fn name(error: &Error) -> String {
    error.number().map_or_else(|| "connection".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CONFIG: &str = "[sync]\nname = \"s\"\n[source]\nengine = \"sqlserver\"\nhost = \"h\"\ndatabase = \"d\"\nuser = \"u\"\npassword = \"p\"\ninclude = [\"*\"]\n[bucket]\n[target]\n";

    #[test]
    fn waits_grow_and_end() {
        let config = Config::parse(CONFIG).unwrap().source().unwrap();
        let seconds = |error: &Error| -> Vec<f32> {
            (0..20).map_while(|tries| wait(&config, error, tries)).map(|wait| wait.as_secs_f32()).collect()
        };
        let busy = |number| Error::new(Kind::SourceBusy, "busy").numbered(number);
        assert_eq!(seconds(&busy(1205)), [0.2, 0.4, 0.8, 1.6]);
        assert_eq!(seconds(&busy(40501)), [10.0, 20.0, 40.0, 60.0]);
        assert_eq!(seconds(&busy(615)), [5.0, 10.0]);
        let away = Error::new(Kind::SourceUnreachable, "away");
        assert_eq!(seconds(&away), [0.2, 5.0, 10.0, 20.0]);
        assert_eq!(seconds(&away.tried(5)), [0.0; 0], "given up");
        assert_eq!(seconds(&Error::new(Kind::SourceBusy, "purged meanwhile")), [0.0; 0], "no fault of the server");
        assert_eq!(seconds(&Error::new(Kind::SourceRights, "denied").numbered(229)), [0.0; 0]);
    }
}
