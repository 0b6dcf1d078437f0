//! What one worker has done and not yet sent. While requests wait it goes on to the next, and then writes the records of
//! all with one write and the answers for each peer with another: under load that is most of what a request costs beside
//! its cryptography. An answer that says what was done with a private key leaves after its record, or not at all.

use crate::connection::Place;
use crate::dispatch::{Keyd, Leaves};
use chancel_ledger::Batch;
use chancel_wire::frame;
use chancel_wire::keyd::{KeydError, KeydReply};
use std::mem;
use std::sync::Arc;
use std::time::Instant;
use zeroize::{Zeroize, Zeroizing};

/// Answers for one peer are copied together up to this size.
const MOST_TOGETHER: usize = 64 << 10;

/// What one worker has done since it last sent answers.
pub struct Round {
    keyd: Arc<Keyd>,
    records: Batch,
    answers: Vec<Answer>,
    /// Kept for its memory.
    together: Zeroizing<Vec<u8>>,
}

/// A request that is to be answered.
pub struct Question {
    /// Where it came from. Its place is free again when the answer has been sent.
    pub place: Place,
    /// Its number there.
    pub correlation: u64,
    /// When it was read.
    pub received: Instant,
    /// How long its peer waits.
    pub budget: std::time::Duration,
    /// The encoded request.
    pub body: Zeroizing<Vec<u8>>,
}

struct Answer {
    place: Place,
    correlation: u64,
    leaves: Leaves,
    frame: Zeroizing<Vec<u8>>,
}

impl Answer {
    fn refuse(&mut self, error: KeydError) {
        self.frame = seal(self.correlation, &KeydReply::Refused(error));
    }
}

impl Round {
    /// Nothing done yet.
    pub fn new(keyd: &Arc<Keyd>) -> Self {
        Self {
            keyd: Arc::clone(keyd),
            records: Batch::default(),
            answers: Vec::new(),
            together: Zeroizing::default(),
        }
    }

    /// Does what a request asks for.
    pub fn take_on(&mut self, question: Question) {
        let Question {
            place,
            correlation,
            received,
            budget,
            body,
        } = question;
        let mut answer = None;
        if received.elapsed() > budget {
            self.keyd.metrics().refused(KeydError::DeadlinePassed);
            answer = Some((
                Leaves::AtOnce,
                seal(correlation, &KeydReply::Refused(KeydError::DeadlinePassed)),
            ));
        } else {
            self.keyd
                .answer(place.peer(), &body, &mut self.records, &mut |leaves, reply| {
                    answer = Some((leaves, seal(correlation, reply)));
                });
        }
        if let Some((leaves, frame)) = answer {
            self.answers.push(Answer {
                place,
                correlation,
                leaves,
                frame,
            });
        }
    }

    /// Writes the records, then sends the answers.
    pub fn finish(&mut self) {
        // Taken first: after a panic below nothing of this round is left for the next.
        let (mut records, mut answers) = (mem::take(&mut self.records), mem::take(&mut self.answers));
        if let Err(error) = self.keyd.record(&records) {
            for answer in answers
                .iter_mut()
                .filter(|answer| answer.leaves == Leaves::Recorded)
            {
                self.keyd.metrics().refused(error);
                answer.refuse(error);
            }
        }
        answers.sort_by_key(|answer| answer.place.connection());
        for of_peer in answers.chunk_by(|one, other| one.place.connection() == other.place.connection()) {
            self.send(of_peer);
        }
        records.clear();
        answers.clear();
        (self.records, self.answers) = (records, answers);
    }

    /// Sends answers, all for one peer.
    fn send(&mut self, answers: &[Answer]) {
        let [first, others @ ..] = answers else { return };
        if others.is_empty() {
            return first.place.write(&first.frame);
        }
        for answer in answers {
            if self.together.len() + answer.frame.len() > MOST_TOGETHER {
                first.place.write(&self.together);
                self.together.zeroize();
            }
            self.together.extend_from_slice(&answer.frame);
        }
        first.place.write(&self.together);
        self.together.zeroize();
    }
}

fn seal(correlation: u64, reply: &KeydReply<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(frame::seal(correlation, 0, reply))
}
