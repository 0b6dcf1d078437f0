//! The service socket: what the gateway may ask.

use crate::ask::Asks;
use crate::keyd::KeydState;
use crate::keys::Reconciler;
use crate::turn::Turn;
use chancel_ledger::Health as LedgerHealth;
use chancel_link::{AuthenticatedPeer, Handled, Handler, Incoming, Refusals, Reply};
use chancel_wire::metric::Sample;
use chancel_wire::policyd::{PolicydFailure, PolicydReply, PolicydRequest};
use std::sync::Arc;

/// Answers the gateway.
pub struct Service {
    /// Questions with an API key.
    pub asks: Asks,
    /// How keyd is.
    pub keyd: Arc<KeydState>,
    /// What became of the last comparison.
    pub reconciler: Arc<Reconciler>,
    /// Connections turned away on both sockets.
    pub refusals: Arc<Refusals>,
}

impl Handler for Service {
    type Turn = Turn;

    fn handle(&self, _peer: &AuthenticatedPeer, request: Incoming<'_>, turn: &mut Turn) -> Handled {
        match chancel_wire::decode(request.body) {
            Ok(PolicydRequest::Ask { caller, ask }) => self.asks.answer(&caller, ask, request.budget, turn),
            Ok(PolicydRequest::Identify(caller)) => self.asks.identify(&caller, turn),
            Ok(PolicydRequest::Health) => Handled::now(&self.health()),
            Ok(PolicydRequest::Metrics) => Handled::now(&PolicydReply::Metrics(self.samples())),
            Err(_) => {
                self.asks.metrics.not_answered(PolicydFailure::Malformed);
                Handled::now(&PolicydReply::Failed(PolicydFailure::Malformed))
            }
        }
    }

    fn end_turn(&self, turn: Turn) -> Result<(), Reply> {
        self.asks.end_turn(turn)
    }

    fn overloaded(&self) -> Reply {
        self.asks.metrics.not_answered(PolicydFailure::Overloaded);
        Reply::new(&PolicydReply::Failed(PolicydFailure::Overloaded))
    }
}

impl Service {
    fn health(&self) -> PolicydReply {
        if let Err(error) = self.asks.reader.look(|view| view.probe()) {
            tracing::error!(%error, "the database does not answer");
            return PolicydReply::Failed(PolicydFailure::Storage);
        }
        if self.keyd.is_present() {
            PolicydReply::Healthy
        } else {
            PolicydReply::Failed(PolicydFailure::KeydUnavailable)
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let mut samples = self.asks.metrics.samples();
        let issued = self.asks.issuer.issued();
        samples.push(Sample::new("chancel_policyd_permits_issued_total", None, issued));
        let present = u64::from(self.keyd.is_present());
        samples.push(Sample::new("chancel_policyd_keyd_up", None, present));
        let ledger = self.asks.recorder.ledger();
        let written = ledger.statistics();
        let state = ledger.health();
        samples.extend([
            Sample::new("chancel_policyd_ledger_records_total", None, written.records),
            Sample::new("chancel_policyd_ledger_bytes_total", None, written.bytes),
            Sample::new("chancel_policyd_ledger_refused_total", None, written.refused),
        ]);
        samples.extend(
            [
                LedgerHealth::Writable,
                LedgerHealth::Low,
                LedgerHealth::Unwritable,
            ]
            .map(|known| {
                Sample::new(
                    "chancel_policyd_ledger_state",
                    Some(("state", known.name())),
                    u64::from(known == state),
                )
            }),
        );
        samples.extend(self.refusals.samples("chancel_policyd_connections_refused_total"));
        if let Some(found) = self.reconciler.last() {
            let findings = [
                ("sound", found.sound),
                ("damaged", found.damaged),
                ("missing", found.missing),
                ("unclaimed", found.unclaimed),
                ("rolled-back", found.rolled_back),
            ];
            samples.extend(findings.map(|(finding, count)| {
                Sample::new(
                    "chancel_policyd_reconciliation_keys",
                    Some(("finding", finding)),
                    count,
                )
            }));
        }
        samples
    }
}
