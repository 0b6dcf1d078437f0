//! What one worker has done and not yet sent. While requests wait it goes on to the next, and then writes the records of
//! all with one write and the answers for each peer with another: under load, system calls are most of what a request costs
//! beside its cryptography. An answer that says what was done with a private key leaves after its record, or not at all.

use crate::connection::Place;
use crate::dispatch::{Answer, Keyd};
use chancel_ledger::Batch;
use chancel_wire::frame;
use chancel_wire::keyd::KeydError;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// Answers for one peer are copied together up to this size; a larger one is sent by itself.
const MOST_TOGETHER: usize = 64 << 10;

/// What one worker has done since it last sent answers.
pub struct Round {
    keyd: Arc<Keyd>,
    records: Batch,
    answers: Vec<Pending>,
    /// Never grows: a buffer that does leaves copies behind.
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
    pub budget: Duration,
    /// The encoded request.
    pub body: Zeroizing<Vec<u8>>,
}

struct Pending {
    place: Place,
    correlation: u64,
    answer: Answer,
}

impl Round {
    /// Nothing done yet.
    pub fn new(keyd: &Arc<Keyd>) -> Self {
        Self {
            keyd: Arc::clone(keyd),
            records: Batch::default(),
            answers: Vec::new(),
            together: Zeroizing::new(Vec::with_capacity(MOST_TOGETHER)),
        }
    }

    /// Does what a request asks for.
    pub fn take_on(&mut self, question: Question) {
        let answer = if question.received.elapsed() > question.budget {
            self.keyd.refusal(KeydError::DeadlinePassed)
        } else {
            let peer = question.place.peer();
            self.keyd.answer(peer, &question.body, &mut self.records)
        };
        self.answers.push(Pending {
            place: question.place,
            correlation: question.correlation,
            answer,
        });
    }

    /// Writes the records, then sends the answers.
    pub fn finish(&mut self) {
        // Taken first: after a panic below nothing of this round is left for the next.
        let (mut records, mut answers) = (mem::take(&mut self.records), mem::take(&mut self.answers));
        self.wipe();
        self.keyd
            .record(&records, answers.iter_mut().map(|pending| &mut pending.answer));
        for pending in &mut answers {
            frame::readdress(&mut pending.answer.frame, pending.correlation);
        }
        // Stable: what a peer asked first it hears first.
        answers.sort_by_key(|pending| pending.place.connection());
        let mut deaf = Vec::new();
        while let Some(first) = answers.first() {
            let connection = first.place.connection();
            let count = answers.partition_point(|pending| pending.place.connection() == connection);
            let is_only = deaf.is_empty() && count == answers.len();
            if is_only || first.place.takes_more() {
                self.send(answers.get(..count).unwrap_or_default());
                // Their places are free before the next peer is written to.
                answers.drain(..count);
            } else {
                // Whoever does not read comes last.
                deaf.push(answers.drain(..count).collect::<Vec<_>>());
            }
        }
        for of_peer in deaf {
            self.send(&of_peer);
        }
        records.clear();
        (self.records, self.answers) = (records, answers);
    }

    /// Sends answers, all for one peer.
    fn send(&mut self, answers: &[Pending]) {
        let Some(first) = answers.first() else {
            return;
        };
        for Pending { place, answer, .. } in answers {
            if self.together.len() + answer.frame.len() > MOST_TOGETHER {
                self.flush(place);
            }
            if answers.len() == 1 || answer.frame.len() > MOST_TOGETHER {
                place.write(&answer.frame);
            } else {
                self.together.extend_from_slice(&answer.frame);
            }
        }
        self.flush(&first.place);
    }

    fn flush(&mut self, place: &Place) {
        if !self.together.is_empty() {
            place.write(&self.together);
            self.wipe();
        }
    }

    /// Wipes what was used of the buffer; wiping all of it would cost more than most rounds.
    fn wipe(&mut self) {
        self.together.as_mut_slice().zeroize();
        self.together.clear();
    }
}
