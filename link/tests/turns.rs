//! Turns: requests that come together, and what is left to the end of them.

mod support;

use chancel_link::{AuthenticatedPeer, Handled, Handler, Incoming, Listener, Refusals, Reply};
use chancel_wire::frame::{FrameBuffer, seal};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use support::{Scratch, greeted, services};
use tokio::task::{self, JoinHandle};

/// Answers even numbers at the end of their turn, with much, and odd ones at once; whether turns end well is its own.
struct Turns {
    end_well: bool,
}

const HELD: u64 = 1;
const AT_ONCE: u64 = 2;
const INSTEAD: u64 = 3;

impl Handler for Turns {
    type Turn = usize;

    fn handle(&self, _: &AuthenticatedPeer, request: Incoming<'_>, turn: &mut usize) -> Handled {
        *turn += 1;
        let number: u64 = chancel_wire::decode(request.body).unwrap();
        if number % 2 == 1 {
            Handled::now(&AT_ONCE)
        } else {
            Handled::AtEnd(Reply::new(&(HELD, vec![7_u8; 40_000])))
        }
    }

    fn end_turn(&self, turn: usize) -> Result<(), Reply> {
        assert_ne!(turn, 0, "a turn without a request");
        if self.end_well {
            Ok(())
        } else {
            Err(Reply::new(&INSTEAD))
        }
    }

    fn overloaded(&self) -> Reply {
        Reply::new(&0_u64)
    }
}

/// Sends so many requests with one write; returns the first number of each answer, in the order of the requests.
fn asked_together(path: PathBuf, count: u64) -> JoinHandle<Vec<u64>> {
    task::spawn_blocking(move || {
        let mut stream = greeted(&path);
        let requests: Vec<u8> = (0..count)
            .flat_map(|number| seal(number, 1_000, &number))
            .collect();
        stream.write_all(&requests).unwrap();
        let (mut answers, mut found) = (
            FrameBuffer::new(chancel_wire::limits::MAX_BATCH_FRAME_BODY),
            Vec::new(),
        );
        while (found.len() as u64) < count {
            let read = stream.read(answers.spare()).expect("all are answered");
            assert_ne!(read, 0, "cut after {} answers", found.len());
            answers.filled(read);
            while let Some(answer) = answers.next_frame().unwrap() {
                found.push((answer.correlation, u64::from(answer.body[0])));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, first)| first).collect()
    })
}

async fn served(end_well: bool) -> Vec<u64> {
    let scratch = Scratch::new();
    let path = scratch.socket();
    let listener = Listener::bind(&path, 0o600).unwrap();
    let refusals = Arc::new(Refusals::new());
    let serving = tokio::spawn(listener.serve(
        services(),
        Arc::new(Turns { end_well }),
        refusals.clone(),
        std::future::pending::<()>(),
    ));
    // Answers of four megabytes: several turns, whatever is read at once.
    let found = asked_together(path, 200).await.unwrap();
    serving.abort();
    assert!(refusals.samples("refused").iter().all(|sample| sample.value == 0));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_left_to_the_end_of_a_turn_is_answered_when_it_ends_well() {
    let found = served(true).await;
    assert!(
        found
            .into_iter()
            .eq((0..200).map(|number| [HELD, AT_ONCE][number % 2]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_turn_fails_its_held_answers_are_replaced_and_no_request_is_left_lying() {
    let found = served(false).await;
    assert!(
        found
            .into_iter()
            .eq((0..200).map(|number| [INSTEAD, AT_ONCE][number % 2]))
    );
}
