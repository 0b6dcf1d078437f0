//! Work with one key on many items: one decision, one permit over all of them, one hop to keyd. Each item has a result of
//! its own, in the order in which they came; one that makes no sense spoils no other.

use super::key_use::Selection;
use super::kind::{Item, Kind};
use super::output::{Output, Shape};
use super::private_item::PrivateItem;
use super::public_item::PublicItem;
use super::{Body, Field};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::keyd_client::Use;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::batch::{MAX_BATCH, MAX_SLOW_BATCH, MAX_SLOW_VERIFICATIONS};
use chancel_domain::operation::Place;
use chancel_domain::{BatchSize, Family, RequestId};
use chancel_pqc::envelope::overhead;
use chancel_wire::encode_list;
use chancel_wire::limits::MAX_BATCH_BYTES;
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, KeyView};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of text of a result beside its values.
const RESULT: usize = 192;

/// A request to do one thing with a key to many items.
pub struct Batch {
    kind: &'static Kind,
    selection: Selection,
    size: BatchSize,
    items: Items,
    /// Bytes that its items may come to, together.
    outputs: usize,
    /// What is wrong with those that are no items, by their places.
    faults: Vec<(usize, ApiError)>,
}

/// The items that make sense.
enum Items {
    /// For the gateway.
    Public(Vec<Arc<PublicItem>>),
    /// For keyd: how each result is said, and all inputs together.
    Private(Vec<Shape>, Zeroizing<Vec<u8>>),
}

type Outcome = Result<Output, ApiError>;

/// What a request for a batch turns out to be.
pub enum Read {
    /// Some work.
    Work(Batch),
    /// Nothing but faults: there is nothing to ask policyd for.
    Faults(Faults),
}

/// A batch without an item that makes sense.
pub struct Faults {
    kind: &'static Kind,
    faults: Vec<(usize, ApiError)>,
}

impl Read {
    /// Reads the request; its work is one of those for keys of a family.
    ///
    /// # Errors
    /// What is wrong with it as a whole.
    pub fn parse(body: &Body<'_>, family: Family) -> Result<Self, ApiError> {
        let name = body
            .text(Field::Operation)?
            .ok_or(ApiError::MissingField(Field::Operation))?;
        let kind = Kind::named(name)
            .filter(|kind| kind.family == family)
            .ok_or(ApiError::UnknownOperation(Field::Operation))?;
        let selection = Selection::read(body, kind)?;
        let given = body.items(Field::Items)?;
        let is_private = kind.operation.place() == Place::PrivateKey;
        let most = match (selection.key.algorithm.is_slow(), is_private) {
            (true, true) => MAX_SLOW_BATCH,
            (true, false) => MAX_SLOW_VERIFICATIONS,
            (false, _) => MAX_BATCH,
        };
        if given.is_empty() || given.len() > most.into() {
            return Err(ApiError::BatchSize(most));
        }
        let (mut publics, mut privates, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (place, text) in given.iter().enumerate() {
            match read_item(text.get(), kind, &selection) {
                Ok(Item::Public(item)) => publics.push(item),
                Ok(Item::Private(item)) => privates.push(item),
                Err(error) => faults.push((place, error)),
            }
        }
        let Ok(size) = BatchSize::try_from(given.len() - faults.len()) else {
            return Ok(Self::Faults(Faults { kind, faults }));
        };
        let inputs: usize = privates.iter().map(|item| item.input.len()).sum();
        let of_privates = privates.iter().map(|item| output_len(item, &selection));
        let of_publics = publics
            .iter()
            .map(|item| item.output_len(selection.key.algorithm));
        let outputs = of_privates.chain(of_publics).sum();
        if inputs.max(outputs) > MAX_BATCH_BYTES {
            return Err(ApiError::BatchTooLarge);
        }
        Ok(Self::Work(Batch {
            kind,
            selection,
            size,
            items: if is_private {
                join(&privates)
            } else {
                Items::Public(publics)
            },
            outputs,
            faults,
        }))
    }
}

fn read_item(text: &str, kind: &Kind, selection: &Selection) -> Result<Item, ApiError> {
    let body = Body::parse(text.as_bytes())?;
    // All items are for one key; one that names another would be done with the wrong one.
    for field in [
        Field::Algorithm,
        Field::KeyVersion,
        Field::TargetAlgorithm,
        Field::TargetKeyVersion,
    ] {
        if body.names(field) {
            return Err(ApiError::WrongField {
                field,
                expected: "outside of 'items': a batch is for one key",
            });
        }
    }
    let item = (kind.read)(&body, selection.key)?;
    if item.operation() == kind.operation {
        Ok(item)
    } else {
        Err(ApiError::OtherOperation)
    }
}

/// Puts all inputs together.
fn join(items: &[PrivateItem]) -> Items {
    Items::Private(
        items.iter().map(|item| item.shape).collect(),
        Zeroizing::new(encode_list(items.iter().map(|item| item.input.as_slice()))),
    )
}

/// Bytes that a private item may come to.
fn output_len(item: &PrivateItem, selection: &Selection) -> usize {
    let algorithm = selection.key.algorithm;
    match (algorithm.family(), selection.target_algorithm()) {
        (Family::Signature, _) => algorithm.spec().output_len,
        (Family::Kem, None) => item.input.len(),
        // The envelope of the one goes, that of the other comes.
        (Family::Kem, Some(target)) => {
            (item.input.len() + overhead(target)).saturating_sub(overhead(algorithm))
        }
    }
}

impl Batch {
    /// Bytes that it may come to hold, beside its body: inputs and outputs as they are and in their frames, and the answer.
    pub fn memory(&self) -> usize {
        let inputs = match &self.items {
            Items::Public(_) => 0,
            Items::Private(_, inputs) => 2 * inputs.len(),
        };
        inputs + 4 * self.outputs
    }
}

impl Operation for Batch {
    fn ask(&self) -> Ask {
        let payload = match &self.items {
            Items::Public(_) => None,
            Items::Private(_, inputs) => Some(PayloadDigest::of(inputs)),
        };
        self.selection.ask(self.kind.operation, payload, Some(self.size))
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let (request, tenant) = (context.request, context.tenant);
        let (key, target, outcomes) = match &self.items {
            Items::Public(items) => {
                let key = grant.public_key()?;
                let (items, used) = (items.clone(), key.clone());
                let work = move || -> Vec<Outcome> {
                    let perform = |item: &Arc<PublicItem>| item.perform(&used, tenant, request);
                    items.iter().map(perform).collect()
                };
                (key, None, context.helpers.run(context.deadline, work).await?)
            }
            Items::Private(shapes, inputs) => {
                let granted = grant.private_key()?;
                self.selection.check_target(granted.target.as_ref())?;
                let what = Use {
                    authority: granted.authority,
                    input: inputs,
                    operation: self.kind.operation,
                    request,
                };
                let outputs = context
                    .keyd
                    .use_key_on_batch(what, context.deadline, shapes.len());
                let outcomes = shapes
                    .iter()
                    .zip(outputs.await?)
                    .map(|(shape, output)| output.map(|bytes| Output::Bytes(*shape, bytes)));
                (granted.key, granted.target, outcomes.collect())
            }
        };
        let keys = (&self.selection, &*key, target.as_ref());
        Ok(answer(
            request,
            self.kind,
            in_order(outcomes, self.faults.clone()),
            Some(keys),
        ))
    }
}

impl Faults {
    /// The answer to it.
    pub fn answer(self, request: RequestId) -> Json {
        answer(request, self.kind, in_order(Vec::new(), self.faults), None)
    }
}

/// Puts results and faults back into the order of the items.
fn in_order(outcomes: Vec<Outcome>, faults: Vec<(usize, ApiError)>) -> Vec<Outcome> {
    let (mut outcomes, mut faults) = (outcomes.into_iter(), faults.into_iter().peekable());
    let mut ordered = Vec::with_capacity(outcomes.len() + faults.len());
    loop {
        let here = ordered.len();
        let next = match faults.next_if(|(place, _)| *place == here) {
            Some((_, fault)) => Some(Err(fault)),
            None => outcomes.next(),
        };
        match next {
            Some(outcome) => ordered.push(outcome),
            None => return ordered,
        }
    }
}

fn answer(
    request: RequestId,
    kind: &Kind,
    outcomes: Vec<Outcome>,
    keys: Option<(&Selection, &KeyView, Option<&KeyView>)>,
) -> Json {
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let room = |outcome: &Outcome| RESULT + outcome.as_ref().map_or(0, Output::room);
    let room = outcomes.iter().map(room).sum();
    envelope::success(request, room, |data| {
        data.text("operation", kind.name);
        data.list("results", &outcomes, |result, outcome| match outcome {
            Ok(output) => output.write(result),
            Err(error) => result.object("error", |object| envelope::write_error(object, error)),
        });
        data.number("succeeded", succeeded as u64);
        data.number("failed", (outcomes.len() - succeeded) as u64);
        if let Some((selection, key, target)) = keys {
            selection.write(data, key, target);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_pqc::Verdict;

    #[test]
    fn results_and_faults_come_in_the_order_of_the_items() {
        let done = || Ok(Output::Verified(Verdict::Valid, None));
        let fault = |place| (place, ApiError::NotAnObject);
        for (faults, expected) in [
            (vec![], "vvv"),
            (vec![fault(0)], "fvvv"),
            (vec![fault(1), fault(2)], "vffvv"),
            (vec![fault(3), fault(4)], "vvvff"),
        ] {
            let ordered = in_order(vec![done(), done(), done()], faults);
            let said: String = ordered
                .iter()
                .map(|outcome| if outcome.is_ok() { 'v' } else { 'f' })
                .collect();
            assert_eq!(said, expected);
        }
    }
}
