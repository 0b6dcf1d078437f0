//! `chancel algorithms`: the registry. Asks nobody.

use crate::failure::Failure;
use crate::output::{Output, Table};
use chancel_domain::Family;
use chancel_domain::algorithm::{SPECS, Spec};
use serde::Serialize;

/// The registry in JSON. Sizes are bytes.
#[derive(Serialize)]
struct Algorithms {
    algorithms: Vec<Algorithm>,
}

#[derive(Serialize)]
struct Algorithm {
    name: &'static str,
    client_name: &'static str,
    family: &'static str,
    standard: &'static str,
    status: &'static str,
    oid: &'static str,
    public_key: usize,
    /// KEM ciphertext, or the longest signature.
    output: usize,
}

impl From<&Spec> for Algorithm {
    fn from(spec: &Spec) -> Self {
        Self {
            name: spec.standard_name,
            client_name: spec.client_name,
            family: match spec.family {
                Family::Kem => "kem",
                Family::Signature => "signature",
            },
            standard: spec.standard,
            status: spec.maturity.name(),
            oid: spec.oid,
            public_key: spec.public_key_len,
            output: spec.output_len,
        }
    }
}

pub(super) fn run(output: Output) -> Result<(), Failure> {
    let all = Algorithms {
        algorithms: SPECS.iter().map(Algorithm::from).collect(),
    };
    output.print(&all, || {
        let mut table = Table::new(&[
            "NAME",
            "CLIENTS' NAME",
            "FAMILY",
            "PUBLIC KEY",
            "OUTPUT",
            "STATUS",
            "OID",
            "STANDARD",
        ]);
        for algorithm in &all.algorithms {
            table.row(&[
                algorithm.name,
                algorithm.client_name,
                algorithm.family,
                &algorithm.public_key.to_string(),
                &algorithm.output.to_string(),
                algorithm.status,
                algorithm.oid,
                algorithm.standard,
            ]);
        }
        table
    })
}
