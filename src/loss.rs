//! Values that the target cannot hold exactly: how that can be, what the configuration says of it, and how often it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A way in which a value cannot be carried exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// More digits of a second, or after a number's point, than the target's type has.
    Digits,
    /// The offset of a moment: the moment stays.
    Offset,
    /// A NUL character in a text.
    Nul,
    /// Half of a surrogate pair in a text.
    Surrogate,
    /// A text longer than the target's type.
    Length,
    /// A number beyond the target's type.
    Range,
}

impl Loss {
    /// All of them, each at its own number.
    pub const ALL: [Self; 6] = [Self::Digits, Self::Offset, Self::Nul, Self::Surrogate, Self::Length, Self::Range];

    /// Its name, as configuration, manifest and summary have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Offset => "offset",
            Self::Nul => "nul",
            Self::Surrogate => "surrogate",
            Self::Length => "length",
            Self::Range => "range",
        }
    }

    /// What the configuration calls going on in spite of it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Digits | Self::Length => "truncate",
            Self::Offset => "utc",
            Self::Nul | Self::Surrogate => "replace",
            Self::Range => "null",
        }
    }
}

/// Which losses are taken; all others fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policies([bool; 6]);

impl Policies {
    /// None is taken, as in a key: two rows could become one.
    pub const STRICT: Self = Self([false; 6]);

    /// What holds unless the configuration says otherwise: digits that no target has, and offsets, whose moment stays.
    pub fn usual() -> Self {
        Self::default().with(Loss::Digits, true).with(Loss::Offset, true)
    }

    /// The same, but for one loss.
    #[must_use]
    pub fn with(mut self, loss: Loss, taken: bool) -> Self {
        self.0[loss as usize] = taken;
        self
    }

    /// Whether a loss is taken.
    pub fn takes(self, loss: Loss) -> bool {
        self.0[loss as usize]
    }
}

/// How often each loss was taken, by column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Losses(BTreeMap<String, BTreeMap<Loss, u64>>);

impl Losses {
    /// Whether every value was carried exactly.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often a loss was taken in a column.
    pub fn of(&self, column: &str, loss: Loss) -> u64 {
        self.0.get(column).and_then(|losses| losses.get(&loss)).copied().unwrap_or_default()
    }

    /// Counts more of a loss in a column; none leaves no trace.
    pub fn count(&mut self, column: &str, loss: Loss, times: u64) {
        if times > 0 {
            *self.0.entry(column.to_owned()).or_default().entry(loss).or_default() += times;
        }
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, u64::saturating_add);
    }

    /// Keeps the greater count of both, where both tell of the same values.
    pub fn widen(&mut self, other: &Self) {
        self.merge(other, u64::max);
    }

    fn merge(&mut self, other: &Self, both: impl Fn(u64, u64) -> u64) {
        for (column, losses) in &other.0 {
            for (loss, times) in losses {
                let mine = self.0.entry(column.clone()).or_default().entry(*loss).or_default();
                *mine = both(*mine, *times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_its_own_policy() {
        for (at, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, at);
            let policies = Policies::STRICT.with(loss, true);
            let taken: Vec<_> = Loss::ALL.into_iter().filter(|other| policies.takes(*other)).collect();
            assert_eq!(taken, [loss]);
            assert_eq!(serde_json::to_string(&loss).unwrap(), format!("\"{}\"", loss.name()));
        }
    }

    #[test]
    fn counts_are_added_by_column_and_loss() {
        let mut losses = Losses::default();
        losses.count("At", Loss::Digits, 2);
        losses.count("At", Loss::Offset, 0);
        let mut more = Losses::default();
        more.count("At", Loss::Digits, 3);
        more.count("Note", Loss::Nul, 1);
        let mut widened = losses.clone();
        widened.widen(&more);
        losses.add(&more);
        assert_eq!(serde_json::to_string(&losses).unwrap(), r#"{"At":{"digits":5},"Note":{"nul":1}}"#);
        assert_eq!(serde_json::to_string(&widened).unwrap(), r#"{"At":{"digits":3},"Note":{"nul":1}}"#);
    }
}
