//! The keys that requests are signed with: the inventory's, else those of the usual environment variables.

use secrecy::SecretString;

use crate::inventory::provider::Aws;
use crate::switch::api::ApiError;

/// What signs requests. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Names the keys; not secret.
    pub(super) access: String,
    pub(super) secret: SecretString,
    /// Of temporary keys.
    pub(super) session: Option<SecretString>,
}

impl Keys {
    /// The settings' keys; where they give none, those of `AWS_ACCESS_KEY_ID` and its like. The two are never mixed.
    pub(super) fn of(
        settings: &Aws,
        table: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Keys, ApiError> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let (access, secret, session, from) =
            if settings.access_key.is_some() || settings.secret_key.is_some() {
                (
                    settings.access_key.clone(),
                    settings.secret_key.clone(),
                    settings.session_token.clone(),
                    format!("`{table}`"),
                )
            } else {
                (
                    env("AWS_ACCESS_KEY_ID"),
                    env("AWS_SECRET_ACCESS_KEY").map(SecretString::from),
                    env("AWS_SESSION_TOKEN").map(SecretString::from),
                    "the environment".to_owned(),
                )
            };
        match (access, secret) {
            (Some(access), Some(secret)) => Ok(Keys {
                access,
                secret,
                session,
            }),
            (access, secret) => {
                let found = match (access, secret) {
                    (Some(_), _) => "only an access key",
                    (None, Some(_)) => "only a secret key",
                    (None, None) => "neither",
                };
                Err(ApiError::Refused {
                    problem: format!(
                        "expected an access key and a secret key of AWS, found {found} in {from}"
                    ),
                    hint: format!(
                        "give `{table}.access_key` and `{table}.secret_key`, or set AWS_ACCESS_KEY_ID and \
                         AWS_SECRET_ACCESS_KEY"
                    ),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn settings(access: Option<&str>, secret: Option<&str>) -> Aws {
        Aws {
            access_key: access.map(str::to_owned),
            secret_key: secret.map(|secret| SecretString::from(secret.to_owned())),
            session_token: None,
            region: "us-east-1".to_owned(),
            endpoint: None,
            hosted_zone: None,
            listener: None,
            blue: None,
            green: None,
        }
    }

    fn of(access: Option<&str>, secret: Option<&str>, env: &[(&str, &str)]) -> Result<Keys, ApiError> {
        let env = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Keys::of(&settings(access, secret), "switch.aws", &env)
    }

    #[test]
    fn the_inventory_goes_before_the_environment_and_is_not_mixed_with_it() {
        let env = [
            ("AWS_ACCESS_KEY_ID", "E"),
            ("AWS_SECRET_ACCESS_KEY", "es"),
            ("AWS_SESSION_TOKEN", "et"),
        ];
        let keys = of(Some("A"), Some("as"), &env).unwrap();
        assert_eq!((keys.access.as_str(), keys.secret.expose_secret()), ("A", "as"));
        assert!(keys.session.is_none());
        let keys = of(None, None, &env).unwrap();
        assert_eq!((keys.access.as_str(), keys.secret.expose_secret()), ("E", "es"));
        assert_eq!(keys.session.unwrap().expose_secret(), "et");
        let shown = of(Some("A"), None, &env).unwrap_err().to_string();
        insta::assert_snapshot!(shown, @"expected an access key and a secret key of AWS, found only an access key in `switch.aws`");
        assert!(of(None, None, &[]).is_err());
        assert!(
            of(
                None,
                None,
                &[("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "")]
            )
            .is_err()
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", of(Some("AKID"), Some("hush"), &[]).unwrap());
        assert!(shown.contains("AKID") && !shown.contains("hush"), "{shown}");
    }
}
