//! Route 53 and the load balancers of AWS: against moto (which checks signatures and policies), against a stand-in that
//! is as strict as AWS says it is where moto is not, and against answers that only a network or a busy AWS gives.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "figures are part of the test's output"
)]

#[path = "aws/elbv2.rs"]
mod elbv2;
#[path = "aws/moto.rs"]
mod moto;
#[path = "aws/route53.rs"]
mod route53;
#[path = "aws/strict.rs"]
mod strict;
#[path = "aws/wire.rs"]
mod wire;

use pointsman::inventory::provider::Aws;
use pointsman::switch::dns::{Kind, RecordSet, Replace};
use secrecy::SecretString;

/// Settings with keys that nobody checks.
fn settings(endpoint: &str) -> Aws {
    Aws {
        access_key: Some("AKIDEXAMPLE".to_owned()),
        secret_key: Some(SecretString::from("secret".to_owned())),
        session_token: None,
        region: "us-east-1".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        hosted_zone: None,
        listener: None,
        blue: None,
        green: None,
    }
}

fn set(name: &str, kind: Kind, values: &[&str]) -> RecordSet {
    RecordSet {
        name: name.to_owned(),
        kind,
        ttl: 60,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        share: None,
    }
}

fn replace(old: Option<&RecordSet>, new: Option<&RecordSet>) -> Replace {
    Replace {
        old: old.cloned(),
        new: new.cloned(),
    }
}
