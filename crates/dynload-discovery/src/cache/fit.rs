//! Which records remain if they do not all fit.

use std::collections::BTreeMap;

/// At least the bytes of the header of the cache file, and of the lengths before a key and a value.
const HEADER: usize = 1024;
const LENGTHS: usize = 20;

/// Removes the largest records until the others take at most `most` bytes in the cache file, and returns their keys.
///
/// The author of a plugin chooses the size of its record: many small records are worth more than a few large ones.
pub(super) fn drop_largest<'a>(records: &mut BTreeMap<&'a [u8], &'a [u8]>, most: usize) -> Vec<&'a [u8]> {
    let size = |key: &[u8], value: &[u8]| key.len() + value.len() + LENGTHS;
    let mut total = HEADER + records.iter().map(|(key, value)| size(key, value)).sum::<usize>();
    if total <= most {
        return Vec::new();
    }
    let mut by_size: Vec<(usize, &[u8])> = records
        .iter()
        .map(|(key, value)| (size(key, value), *key))
        .collect();
    by_size.sort_unstable();
    let mut dropped = Vec::new();
    while total > most
        && let Some((size, key)) = by_size.pop()
    {
        total -= size;
        records.remove(key);
        dropped.push(key);
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    use crate::cache::store::{MAX_BYTES, MAX_RECORD, Store};

    #[test]
    fn the_largest_records_are_dropped_until_the_others_fit() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plugins.cache");
        let mut store = Store::default();
        let small: Vec<PathBuf> = (0..100).map(|at| dir.path().join(format!("small{at}"))).collect();
        let large: Vec<PathBuf> = (0..300).map(|at| dir.path().join(format!("large{at}"))).collect();
        let mut left_out = Vec::new();
        for path in &large {
            left_out.extend(store.put(path, vec![7; MAX_RECORD]));
        }
        for path in &small {
            assert!(store.put(path, vec![7; 100]).is_empty());
        }
        assert_eq!(store.put(&small[0], vec![7; MAX_RECORD + 1]), [small[0].clone()]);
        left_out.extend(store.save(&file, "stamp").unwrap());
        assert!(!left_out.is_empty() && left_out.iter().all(|path| large.contains(path)));
        assert!(fs::metadata(&file).unwrap().len() <= MAX_BYTES as u64);
        let loaded = Store::load(&file, "stamp").unwrap().unwrap();
        assert!(small.iter().all(|path| loaded.get(path).is_some()));
        let kept = large.iter().filter(|path| loaded.get(path).is_some()).count();
        assert_eq!(kept + left_out.len(), large.len());
    }

    #[test]
    fn no_more_than_necessary_is_dropped() {
        let record = |size: usize| vec![7; size];
        let values = [record(10), record(300), record(20), record(200)];
        let all: BTreeMap<&[u8], &[u8]> = [b"a", b"b", b"c", b"d"]
            .map(|key| key.as_slice())
            .into_iter()
            .zip(values.iter().map(Vec::as_slice))
            .collect();
        let total = HEADER + 530 + 4 + 4 * LENGTHS;
        for (most, expected) in [
            (total, &[][..]),
            (total - 1, &[b"b".as_slice()]),
            (total - 321 - 1, &[b"b", b"d"]),
        ] {
            let mut records = all.clone();
            assert_eq!(drop_largest(&mut records, most), expected, "{most}");
            assert_eq!(records.len() + expected.len(), 4);
        }
    }
}
