//! Faults that a test injects.

use std::time::Duration;

use parking_lot::Mutex;

/// An operation about to be done, or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation<'a> {
    /// S3's name for it, such as `PutObject`.
    pub name: &'static str,
    /// Bucket; empty for `ListBuckets`.
    pub bucket: &'a str,
    /// Key, or the prefix of a listing; empty for operations on the bucket itself.
    pub key: &'a str,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It takes longer.
    Delay(Duration),
    /// An error is answered.
    Error {
        /// HTTP status.
        status: u16,
        /// S3's code, such as `SlowDown` or `ConditionalRequestConflict`.
        code: String,
    },
    /// The connection breaks without an answer.
    Drop,
    /// The body of an answer is spoilt: that of `GetObject`, after its work.
    Body(Spoilt),
}

/// How the body of an answer is spoilt on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoilt {
    /// The connection breaks after so many bytes.
    Cut(usize),
    /// Nothing comes after so many bytes, and the connection stays.
    Stalled(usize),
    /// The byte at that place is another; the checksum in the header is that of what is stored.
    Flipped(usize),
    /// The same without a checksum in the header, as from servers that keep none.
    FlippedUnseen(usize),
    /// The body is what is stored, and the checksum in the header another's.
    WrongSum,
}

/// Called before and after each operation. Implementations may look into the store, even change it.
pub trait Faults: Send + Sync {
    /// Before the work: an error or a dropped connection means that it is not done.
    fn before(&self, _operation: &Operation<'_>) -> Fault {
        Fault::None
    }

    /// After the work: an error or a dropped connection hides that it was done.
    fn after(&self, _operation: &Operation<'_>) -> Fault {
        Fault::None
    }
}

/// When a rule's fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the work.
    Before,
    /// After it.
    After,
}

/// A fault for operations of a kind.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Operation's name, or empty for any.
    pub operation: String,
    /// A part of the key, or empty for any.
    pub key_part: String,
    /// When.
    pub moment: Moment,
    /// How many matches pass unharmed first.
    pub skip: u32,
    /// How many then are struck.
    pub times: u32,
    /// The fault.
    pub fault: Fault,
}

/// Faults from a list of rules; the first that matches and is not used up strikes.
#[derive(Debug, Default)]
pub struct Script {
    rules: Mutex<Vec<Rule>>,
}

impl Script {
    /// A script of these rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules: Mutex::new(rules) }
    }

    /// Adds a rule while the server runs.
    pub fn add(&self, rule: Rule) {
        self.rules.lock().push(rule);
    }

    /// How many strikes are left over all rules.
    pub fn left(&self) -> u32 {
        self.rules.lock().iter().map(|rule| rule.times).sum()
    }

    fn strike(&self, operation: &Operation<'_>, moment: Moment) -> Fault {
        let mut rules = self.rules.lock();
        let matching = rules.iter_mut().filter(|rule| {
            rule.moment == moment
                && rule.times > 0
                && (rule.operation.is_empty() || rule.operation == operation.name)
                && operation.key.contains(&rule.key_part)
        });
        for rule in matching {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else {
                rule.times -= 1;
                return rule.fault.clone();
            }
        }
        Fault::None
    }
}

impl Faults for Script {
    fn before(&self, operation: &Operation<'_>) -> Fault {
        self.strike(operation, Moment::Before)
    }

    fn after(&self, operation: &Operation<'_>) -> Fault {
        self.strike(operation, Moment::After)
    }
}
