//! `chancel break-glass …`: over keyd's own socket, which lets in root alone. keyd decides; this asks and explains.

use crate::arguments::BreakGlassCommand;
use crate::client::Keyd;
use crate::failure::Failure;
use crate::output::{Output, seconds};
use chancel_wire::keyd::{self, BreakGlassState, KeydError, KeydReply, KeydRequest};
use serde::Serialize;
use std::fmt;

/// Break-glass in JSON.
#[derive(Serialize)]
struct State {
    open: bool,
    remaining_ms: u64,
    uses: u64,
    longest_ms: u64,
}

pub(super) async fn run(keyd: &Keyd, output: Output, command: BreakGlassCommand) -> Result<(), Failure> {
    let request = match command {
        BreakGlassCommand::Open { time, reason } => keyd::BreakGlassCommand::Open {
            for_ms: time.as_millis(),
            reason,
        },
        BreakGlassCommand::Status => keyd::BreakGlassCommand::Status,
        BreakGlassCommand::Close => keyd::BreakGlassCommand::Close,
    };
    let state = match ask(keyd, request).await {
        Err(Failure::KeydRefused {
            error: KeydError::BreakGlassTime,
        }) => {
            let state = ask(keyd, keyd::BreakGlassCommand::Status).await?;
            return Err(Failure::BreakGlassTime {
                longest_s: state.longest_ms / 1000,
            });
        }
        answered => State::from(answered?),
    };
    output.print(&state, || &state)
}

async fn ask(keyd: &Keyd, command: keyd::BreakGlassCommand) -> Result<BreakGlassState, Failure> {
    keyd.ask(&KeydRequest::BreakGlass(command), |reply| match reply {
        KeydReply::BreakGlass(state) => Some(state),
        _ => None,
    })
    .await
}

impl From<BreakGlassState> for State {
    fn from(state: BreakGlassState) -> Self {
        Self {
            open: state.remaining_ms > 0,
            remaining_ms: state.remaining_ms,
            uses: state.uses,
            longest_ms: state.longest_ms,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.open {
            return writeln!(
                f,
                "break-glass is closed: every use of a private key needs policyd's permit\nuses while it was last open: {}",
                self.uses
            );
        }
        writeln!(
            f,
            "BREAK-GLASS IS OPEN for another {} s: keyd uses private keys without permits, and the gateway is trusted\n\
             uses so far: {}\n\
             close it:    chancel break-glass close\n\
             see them:    chancel audit tail --ledger uses",
            seconds(self.remaining_ms),
            self.uses
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_state_is_loud_and_says_how_to_close_it() {
        let said = |remaining_ms| {
            State::from(BreakGlassState {
                remaining_ms,
                uses: 3,
                longest_ms: 300_000,
            })
            .to_string()
        };
        assert!(said(1).starts_with("BREAK-GLASS IS OPEN for another 1 s"));
        assert!(said(1).contains("chancel break-glass close"));
        assert!(said(0).starts_with("break-glass is closed"));
    }
}
