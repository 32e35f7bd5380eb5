//! How the APIs that move traffic are reached: `[switch.rfc2136]`, `[switch.aws]` and their like.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::grammar::Grammar;

/// A DNS server that takes dynamic updates (RFC 2136) signed by a shared key (TSIG): BIND, Knot, PowerDNS.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rfc2136 {
    /// The zone's primary, `host` or `host:port` (53 unless given). Updates and the questions before them go there.
    #[schemars(extend("grammar" = Grammar::HostPort), example = &"ns1.example.com")]
    pub server: Option<String>,
    /// The key's name.
    #[schemars(extend("grammar" = Grammar::DnsName), example = &"pointsman.example.com")]
    pub key: Option<String>,
    /// The key's algorithm.
    #[schemars(extend("default" = "hmac-sha256"))]
    pub algorithm: Hmac,
    /// The key itself, in base64.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${TSIG_SECRET}")]
    pub secret: Option<SecretString>,
}

/// A TSIG algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[allow(
    missing_docs,
    reason = "documented variants are no plain list in the schema, which the reader needs"
)]
pub enum Hmac {
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// Keys and places of AWS, for Route 53 and its load balancers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// Access key.
    #[schemars(extend("grammar" = Grammar::Login), example = &"${AWS_ACCESS_KEY_ID}")]
    pub access_key: Option<String>,
    /// Secret key.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${AWS_SECRET_ACCESS_KEY}")]
    pub secret_key: Option<SecretString>,
    /// Session token, for temporary keys.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${AWS_SESSION_TOKEN}")]
    pub session_token: Option<SecretString>,
    /// Region. Route 53 has but one.
    #[schemars(extend("grammar" = Grammar::Label, "default" = "us-east-1"))]
    pub region: String,
    /// Another address of the API.
    #[schemars(extend("grammar" = Grammar::Url), example = &"http://127.0.0.1:5000")]
    pub endpoint: Option<String>,
    /// For Route 53: the hosted zone's id. Without it the public zone of that name is looked for.
    #[schemars(extend("grammar" = Grammar::Label), example = &"Z0123456789ABCDEFGHIJ")]
    pub hosted_zone: Option<String>,
    /// For load balancers: ARN of the listener, or of the rule, that sends requests to one of the two target groups.
    #[schemars(extend("grammar" = Grammar::Line), example = &"arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shop/0123456789abcdef/0123456789abcdef")]
    pub listener: Option<String>,
    /// For load balancers: ARN of the target group of blue's hosts.
    #[schemars(extend("grammar" = Grammar::Line), example = &"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop-blue/0123456789abcdef")]
    pub blue: Option<String>,
    /// For load balancers: ARN of the target group of green's hosts.
    #[schemars(extend("grammar" = Grammar::Line), example = &"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop-green/0123456789abcdef")]
    pub green: Option<String>,
}

/// A DNS provider that is told by HTTP with a token: Cloudflare, DigitalOcean, PowerDNS.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token, or PowerDNS's API key.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${DNS_TOKEN}")]
    pub token: Option<SecretString>,
    /// The API's address; the provider's own unless given. PowerDNS has none.
    #[schemars(extend("grammar" = Grammar::Url), example = &"http://127.0.0.1:8081")]
    pub endpoint: Option<String>,
    /// For PowerDNS: the server's id.
    #[schemars(extend("grammar" = Grammar::Label, "default" = "localhost"))]
    pub server: String,
}
