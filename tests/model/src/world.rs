//! What stands outside the processes: a source with its log, a bucket, a target.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use delsert::ledger::decide::Place;
use delsert::ledger::layout::{self, Object};
use delsert::ledger::view::View;
use uuid::Uuid;

/// Keys of the one table.
pub const KEYS: usize = 2;

/// A row's value for each key; 0 is no row.
pub type Rows = [u8; KEYS];

/// What a batch does to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Change {
    /// Nothing.
    #[default]
    None,
    /// Deletes it.
    Delete,
    /// Deletes it, then inserts this.
    Upsert(u8),
}

/// What a batch's parts hold.
pub type Changes = [Change; KEYS];

/// One committed change at the source; its position is its place in the log, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which row; none for a commit that is another table's.
    pub key: Option<u8>,
    /// Its new value; 0 deletes it.
    pub value: u8,
    /// The source's life in which it was committed: what a commit time tells.
    pub life: u8,
}

/// The source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Source {
    /// Everything committed, in order.
    pub log: Vec<Entry>,
    /// The maximum position: how far the capture job has come.
    pub captured: u8,
    /// The minimum position: what lies before it, and is not it, is gone from the change table.
    pub minimum: u8,
    /// Restores so far; ends every connection, and is the fingerprint.
    pub life: u8,
}

impl Source {
    /// The table now.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        for entry in &self.log {
            if let Some(key) = entry.key {
                rows[usize::from(key)] = entry.value;
            }
        }
        rows
    }

    /// Commits a change: deletes the row, or gives it a value that no other change has.
    pub fn write(&mut self, key: Option<u8>, is_delete: bool) {
        let position = u8::try_from(self.log.len() + 1).expect("runs are short");
        let value = if is_delete { 0 } else { position + 16 * self.life };
        self.log.push(Entry { key, value, life: self.life });
    }

    /// Lets the capture job come to the end of the log.
    pub fn capture(&mut self) {
        self.captured = u8::try_from(self.log.len()).expect("runs are short");
    }

    /// The commit time at a position; none before the first commit.
    pub fn stamp(&self, position: u8) -> Option<u8> {
        Some(self.log.get(usize::from(position).checked_sub(1)?)?.life)
    }

    /// The changes in `(from, to]` that are still there, each with its position and key.
    pub fn window(&self, from: u8, to: u8) -> impl Iterator<Item = (u8, usize, Entry)> + '_ {
        let inside = move |position: u8| {
            position > from && position <= to && position >= self.minimum && position <= self.captured
        };
        let entries = (1..).zip(self.log.iter().copied()).filter(move |(position, _)| inside(*position));
        entries.filter_map(|(position, entry)| Some((position, usize::from(entry.key?), entry)))
    }
}

/// The name of an object in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Generation.
    pub generation: u8,
    /// Sequence; 0 for what opens a generation.
    pub sequence: u8,
    /// Which object there.
    pub name: Name,
}

/// The last component of an object's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// `open.json`.
    Open,
    /// `manifest.json`.
    Manifest,
    /// `applied.json`.
    Applied,
    /// The part of an attempt; one is enough.
    Part(u8),
}

/// An object's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// Opens a generation, with the source's fingerprint.
    Open(u8),
    /// A manifest.
    Manifest(Manifest),
    /// The mark that a batch was applied.
    Applied,
    /// A part as it was sent; `None` is one that the bucket stored otherwise.
    Part(Option<Changes>),
}

/// A manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// Whose batch it is.
    pub attempt: u8,
    /// The window's beginning; none for a snapshot.
    pub from: Option<u8>,
    /// The window's end.
    pub to: u8,
    /// Commit time of the end.
    pub stamp: Option<u8>,
    /// The source's fingerprint.
    pub life: u8,
    /// Whether it names a part.
    pub has_part: bool,
}

/// The bucket, sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Bucket(Vec<(Key, Body)>);

/// A listing: the keys that stood there at one moment.
pub type Listing = Vec<Key>;

impl Bucket {
    /// Reads an object.
    pub fn get(&self, key: Key) -> Option<Body> {
        let at = self.0.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(self.0[at].1)
    }

    /// Reads a manifest.
    pub fn manifest(&self, place: Place) -> Option<Manifest> {
        match self.get(Key::of(place, Name::Manifest))? {
            Body::Manifest(manifest) => Some(manifest),
            _ => None,
        }
    }

    /// Writes an object if its key is free; `false` if it was not.
    pub fn create(&mut self, key: Key, body: Body) -> bool {
        match self.0.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, (key, body));
                true
            }
        }
    }

    /// Removes an object; one that is absent is no error.
    pub fn remove(&mut self, key: Key) {
        self.0.retain(|(there, _)| *there != key);
    }

    /// All keys.
    pub fn list(&self) -> Listing {
        self.0.iter().map(|(key, _)| *key).collect()
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = (Key, Body)> + '_ {
        self.0.iter().copied()
    }
}

impl Key {
    /// The object of that name at a batch's place.
    pub fn of(place: Place, name: Name) -> Self {
        let number = |number: u64| u8::try_from(number).expect("runs are short");
        Self { generation: number(place.0), sequence: number(place.1), name }
    }

    /// What opens a generation.
    pub fn open(generation: u64) -> Self {
        Self::of((generation, 0), Name::Open)
    }

    /// The batch it belongs to.
    pub fn place(self) -> Place {
        (self.generation.into(), self.sequence.into())
    }

    /// The key as the product writes it below a table's path.
    fn path(self) -> String {
        let (generation, sequence) = self.place();
        match self.name {
            Name::Open => layout::open_path("", generation),
            Name::Manifest => layout::manifest_path("", generation, sequence),
            Name::Applied => layout::applied_path("", generation, sequence),
            Name::Part(attempt) => {
                format!("{}{}-0000.csv", layout::batch_path("", generation, sequence), uuid(attempt))
            }
        }
    }

    /// The key that the product would write so.
    pub fn parse(path: &str) -> Self {
        match layout::parse(path).expect("only keys that this model wrote") {
            layout::Place::Open(generation) => Self::open(generation),
            layout::Place::Batch(generation, sequence, object) => {
                let name = match object {
                    Object::Manifest => Name::Manifest,
                    Object::Applied => Name::Applied,
                    Object::Attempt(attempt) => Name::Part(attempt.as_bytes()[15]),
                };
                Self::of((generation, sequence), name)
            }
        }
    }
}

/// An attempt as the product names it.
pub fn uuid(attempt: u8) -> Uuid {
    Uuid::from_u128(attempt.into())
}

/// The product's view of a listing; the few listings of a run are asked for again and again.
pub fn view(listing: &[Key]) -> Rc<View> {
    thread_local! {
        static VIEWS: RefCell<HashMap<Listing, Rc<View>>> = RefCell::default();
    }
    VIEWS.with_borrow_mut(|views| {
        if let Some(view) = views.get(listing) {
            return view.clone();
        }
        let view = Rc::new(View::from_keys("", listing.iter().map(|key| key.path())));
        views.insert(listing.to_vec(), view.clone());
        view
    })
}

/// The target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Target {
    /// The table.
    pub rows: Rows,
    /// The watermark: generation and sequence.
    pub at: Place,
    /// The watermark: the source's position.
    pub position: Option<u8>,
    /// The life of the source that the last batch came from; not in the product, only for what is purged.
    pub life: u8,
    /// The process whose transaction holds the table's lock.
    pub lock: Option<u8>,
}

impl Target {
    /// Commits a batch: delete, then insert, and the watermark.
    pub fn commit(&mut self, place: Place, manifest: Manifest, changes: Changes) {
        if manifest.from.is_none() {
            self.rows = Rows::default();
        }
        for (row, change) in self.rows.iter_mut().zip(changes) {
            match change {
                Change::None => {}
                Change::Delete => *row = 0,
                Change::Upsert(value) => *row = value,
            }
        }
        self.at = place;
        self.position = Some(manifest.to);
        self.life = manifest.life;
        self.lock = None;
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct World {
    /// The source.
    pub source: Source,
    /// The bucket.
    pub bucket: Bucket,
    /// The target.
    pub target: Target,
    /// For each gap that was mended, the generation that had it and the one opened for it.
    pub mended: Vec<(u64, u64)>,
}
