//! A map that forgets: it holds the entries used last, at most so many, whoever fills it.
//!
//! Two generations, each of half the size. What is used moves to the young one; when that is full it becomes the
//! old one, and what the old one still held is gone.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// The map.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// An empty map that will hold at most `most` entries, and never forgets the latest half of them.
    pub fn new(most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (most / 2).max(1),
        }
    }

    /// An entry, which counts as used by that.
    pub fn find(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// Puts an entry in the place of any other of its key.
    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forgets an entry.
    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Changes every entry there is; none counts as used by that.
    pub fn for_each(&mut self, change: impl FnMut(&mut V)) {
        self.young
            .values_mut()
            .chain(self.old.values_mut())
            .for_each(change);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_size_is_bounded() {
        let mut recent = Recent::new(8);
        for key in 0..1000 {
            recent.insert(key, key);
            assert!(recent.find(&0).is_some(), "used all the time, after {key}");
            assert!(recent.len() <= 8);
        }
        assert!(recent.find(&999).is_some());
        assert!(recent.find(&500).is_none());
    }

    #[test]
    fn an_entry_is_there_once_and_gone_when_removed() {
        let mut recent = Recent::new(4);
        for key in [1, 2, 3, 1, 2, 3, 1] {
            recent.insert(key, key * 10);
        }
        assert_eq!(recent.find(&1).copied(), Some(10));
        recent.insert(1, 11);
        assert_eq!(recent.find(&1).copied(), Some(11));
        recent.remove(&1);
        assert_eq!(recent.find(&1), None);
    }
}
