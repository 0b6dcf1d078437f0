//! A key's life from outside: every change the table of transitions has and none other, destruction that destroys, what
//! is done once although it is asked for twice, and ciphertexts that change their key without being opened anywhere else.

mod destruction;
mod idempotency;
mod party;
mod rewrap;
mod states;
