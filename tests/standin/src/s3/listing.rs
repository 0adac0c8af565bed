//! Pages of keys.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Keys begin with it.
    pub prefix: &'a str,
    /// Keys alike up to it, behind the prefix, are one common prefix; empty for none.
    pub delimiter: &'a str,
    /// Keys come after it.
    pub after: &'a str,
    /// At most so many keys and common prefixes.
    pub limit: usize,
}

/// A page.
#[derive(Debug)]
pub struct Page<'a, T> {
    /// Keys with what stands at them.
    pub entries: Vec<(&'a str, &'a T)>,
    /// Common prefixes.
    pub prefixes: Vec<String>,
    /// Where the next page begins, if there is one: pass it as `after`.
    pub next: Option<String>,
}

/// Takes a page from a map in the order of its keys.
pub fn page<'a, T>(map: &'a BTreeMap<String, T>, wanted: &Wanted<'_>) -> Page<'a, T> {
    let mut page = Page { entries: Vec::new(), prefixes: Vec::new(), next: None };
    let mut last = String::new();
    // A marker that ends a common prefix hides all keys below it.
    let mut after = wanted.after.to_owned();
    let mut skip = skipped(&after, wanted);
    loop {
        let lower = if after.as_str() < wanted.prefix {
            Bound::Included(wanted.prefix)
        } else {
            Bound::Excluded(after.as_str())
        };
        let next = map
            .range::<str, _>((lower, Bound::Unbounded))
            .find(|(key, _)| skip.as_ref().is_none_or(|skip| !key.starts_with(skip.as_str())));
        let Some((key, value)) = next.filter(|(key, _)| key.starts_with(wanted.prefix)) else {
            return page;
        };
        if page.entries.len() + page.prefixes.len() >= wanted.limit {
            page.next = (wanted.limit > 0).then_some(last);
            return page;
        }
        if let Some(common) = common_prefix(key, wanted) {
            last.clone_from(&common);
            page.prefixes.push(common.clone());
            after.clone_from(&common);
            skip = Some(common);
        } else {
            last.clone_from(key);
            page.entries.push((key, value));
            after.clone_from(key);
            skip = None;
        }
    }
}

fn common_prefix(key: &str, wanted: &Wanted<'_>) -> Option<String> {
    if wanted.delimiter.is_empty() {
        return None;
    }
    let rest = &key[wanted.prefix.len()..];
    let end = rest.find(wanted.delimiter)? + wanted.delimiter.len();
    Some(key[..wanted.prefix.len() + end].to_owned())
}

fn skipped(after: &str, wanted: &Wanted<'_>) -> Option<String> {
    let ends_common = after.starts_with(wanted.prefix) && common_prefix(after, wanted).as_deref() == Some(after);
    ends_common.then(|| after.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(keys: &[&str], prefix: &str, delimiter: &str, limit: usize) -> Vec<String> {
        let map: BTreeMap<String, u8> = keys.iter().map(|key| ((*key).to_owned(), 0)).collect();
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = page(&map, &Wanted { prefix, delimiter, after: &after, limit });
            assert!(page.entries.len() + page.prefixes.len() <= limit);
            all.extend(page.entries.iter().map(|(key, _)| (*key).to_owned()));
            all.extend(page.prefixes.iter().map(|prefix| format!("{prefix}…")));
            match page.next {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    #[test]
    fn every_page_size_gives_the_same_listing() {
        let keys = ["a", "a/1", "a/2", "a/b/1", "a/b/2", "a0", "b/1", "ž/1"];
        for limit in 1..=9 {
            let mut flat = collect(&keys, "", "", limit);
            flat.sort();
            assert_eq!(flat, keys, "limit {limit}");
            let mut grouped = collect(&keys, "", "/", limit);
            grouped.sort();
            assert_eq!(grouped, ["a", "a/…", "a0", "b/…", "ž/…"], "limit {limit}");
            let mut below = collect(&keys, "a/", "/", limit);
            below.sort();
            assert_eq!(below, ["a/1", "a/2", "a/b/…"], "limit {limit}");
        }
        assert!(collect(&keys, "c", "/", 3).is_empty());
    }
}
