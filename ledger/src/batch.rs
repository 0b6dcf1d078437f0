//! Events on their way into a ledger together: encoded where they happen, numbered and chained when they are written.

use crate::event::Event;

/// Events that are written with one write: all of them, or none.
#[derive(Debug, Default)]
pub struct Batch {
    /// What lies between the braces of each event's JSON object, one after the other.
    members: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Batch {
    /// One event alone.
    pub fn of(event: &Event<'_>) -> Self {
        let mut batch = Self::default();
        batch.add(event);
        batch
    }

    /// Adds an event.
    ///
    /// # Panics
    /// Never: writing to memory does not fail, and no event has a map whose keys are not text.
    pub fn add(&mut self, event: &Event<'_>) {
        let start = self.ends.last().copied().unwrap_or_default();
        // What a panic within an earlier call may have left.
        self.members.truncate(start);
        // NOTE(expect): as the section on panics says.
        serde_json::to_writer(&mut self.members, event).expect("an event is JSON");
        // The line has one pair of braces around all, so the event's own go.
        self.members.remove(start);
        self.members.pop();
        self.ends.push(self.members.len());
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Takes all out; keeps the memory.
    pub fn clear(&mut self) {
        self.members.clear();
        self.ends.clear();
    }

    /// About how many bytes its lines take: some more than a hundred each for number, time and hash.
    pub(crate) fn bytes(&self) -> u64 {
        self.members.len() as u64 + 128 * self.len() as u64
    }

    /// The members of each event.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            // NOTE(index): ends grow, up to the length of the members.
            let members = &self.members[start..end];
            start = end;
            members
        })
    }
}
