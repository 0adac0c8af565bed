//! What the AWS SDK says where no service answered.

/// A failure with all its causes, in one line.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut at = error.source();
    while let Some(cause) = at {
        texts.push(cause.to_string());
        at = cause.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// Whether a role's or profile's credentials were not lent for a reason that may pass, by the words of the SDK.
pub fn may_be_lent_later(said: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    any(&["loading credentials", "credentials provider timed out"])
        && !any(&["AccessDenied", "not authorized", "xpired", "InvalidClientTokenId", "InvalidIdentityToken"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_that_may_be_lent_later_are_tried_again() {
        for (said, later) in [
            ("dispatch failure: an error occurred while loading credentials: connection reset", true),
            ("dispatch failure: credentials provider timed out after 5 seconds", true),
            (
                "an error occurred while loading credentials: AccessDenied: not authorized to perform sts:AssumeRole",
                false,
            ),
            ("an error occurred while loading credentials: the SSO session has expired", false),
            ("the credential provider was not enabled: no providers in chain provided credentials", false),
        ] {
            assert_eq!(may_be_lent_later(said), later, "{said}");
        }
    }
}
