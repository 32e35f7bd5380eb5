//! TLS to PostgreSQL: what each `sslmode` looks at in the server's certificate, as libpq has it.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::inventory::state::{PostgresState, SslMode};
use crate::state::StoreError;

/// What makes TLS of a connection; `None` for `sslmode=disable`.
pub(super) fn connector(settings: &PostgresState) -> Result<Option<MakeRustlsConnect>, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let config = match (settings.ssl_mode, &settings.ca_file) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::VerifyFull, None) => builder
            .with_platform_verifier()
            .map_err(broken)?
            .with_no_client_auth(),
        (SslMode::VerifyFull, Some(path)) => {
            builder.with_root_certificates(roots(path)?).with_no_client_auth()
        }
        (SslMode::Prefer, _) | (SslMode::Require, None) => {
            let verifier = Lax {
                chain: None,
                provider,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
        (SslMode::Require, Some(path)) => {
            let chain =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path)?), Arc::clone(&provider))
                    .build()
                    .map_err(|error| ca_problem(path, error.to_string()))?;
            let verifier = Lax {
                chain: Some(chain),
                provider,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
    };
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn roots(path: &camino::Utf8Path) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| ca_problem(path, error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| ca_problem(path, error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| ca_problem(path, error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(ca_problem(
            path,
            "expected a certificate in PEM, found none".to_owned(),
        ));
    }
    Ok(roots)
}

fn ca_problem(path: &camino::Utf8Path, problem: String) -> StoreError {
    StoreError::Refused {
        problem: format!("{path}: {problem}"),
        hint: "let `state.ca_file` name the PEM file of the CA".to_owned(),
    }
}

fn broken(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused {
        problem: format!("TLS cannot be set up: {error}"),
        hint: "name a CA in `state.ca_file`".to_owned(),
    }
}

/// Looks at less than all of a certificate: at its chain but not its name, or at nothing. Who can stand
/// between is still caught by SCRAM's channel binding, where the server asks for a password.
#[derive(Debug)]
struct Lax {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lax {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: the chain was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
