//! Tokens in file URLs: the nginx module's (`http.anti_steal.*`) and signed URLs.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::reader::KeyReader;

/// Tokens in file URLs (`http.anti_steal.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConf {
    /// Secret that tokens are made with.
    pub secret_key: String,
    /// How long a token is valid.
    pub token_ttl: Duration,
    /// How far a signer's clock may be ahead.
    pub max_skew: Duration,
    /// Whether a token of the time 0 is valid for ever, as in the module.
    pub allow_eternal: bool,
    /// A header and its value that open files without a token.
    pub bypass: Option<(String, String)>,
}

/// What a URL has to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofConf {
    /// The module's tokens, if they are taken.
    pub tokens: Option<TokenConf>,
    /// `http.signed_url.keys`: file with the keys of signed URLs, if those are taken.
    pub signed_url_keys: Option<PathBuf>,
    /// File that is sent to visitors without a good one.
    pub token_check_fail: Option<PathBuf>,
    /// What they are answered: 403, or 400 as the module does.
    pub status: u16,
}

impl ProofConf {
    /// Whether URLs have to prove anything.
    pub fn is_on(&self) -> bool {
        self.tokens.is_some() || self.signed_url_keys.is_some()
    }
}

impl Default for ProofConf {
    fn default() -> Self {
        Self { tokens: None, signed_url_keys: None, token_check_fail: None, status: 403 }
    }
}

impl ProofConf {
    /// `disabled` is the old switch that turns tokens off.
    pub(in crate::config) fn read(keys: &mut KeyReader<'_>, disabled: bool) -> Self {
        let check_token = keys.flag("http.anti_steal.check_token", false);
        if disabled && check_token {
            let why = "true turns the token check off; remove the line to have tokens checked";
            keys.warn("http.disabled", why);
        }
        let status_key = "http.anti_steal.status";
        let status = match keys.int(status_key, 403) {
            400 => 400,
            403 => 403,
            other => {
                keys.refuse(status_key, format_args!("{other} is neither 400 nor 403"));
                403
            }
        };
        Self {
            tokens: if check_token && !disabled { read_tokens(keys) } else { None },
            signed_url_keys: keys.text_or_none("http.signed_url.keys").map(|name| keys.ini.relative(name)),
            token_check_fail: keys.path("http.anti_steal.token_check_fail"),
            status,
        }
    }
}

fn read_tokens(keys: &mut KeyReader<'_>) -> Option<TokenConf> {
    let key = "http.anti_steal.secret_key";
    let token_ttl = keys.seconds("http.anti_steal.token_ttl", 600);
    let max_skew = keys.seconds_or_zero("http.anti_steal.max_skew", 300);
    let allow_eternal = keys.flag("http.anti_steal.allow_eternal", false);
    let bypass = read_bypass(keys);
    let Some(secret) = keys.text_or_none(key) else {
        keys.refuse(key, "missing; with check_token, write the secret that tokens are made with");
        return None;
    };
    Some(TokenConf { secret_key: secret.to_owned(), token_ttl, max_skew, allow_eternal, bypass })
}

fn read_bypass(keys: &mut KeyReader<'_>) -> Option<(String, String)> {
    let key = "anti_steal_bypass_header_name";
    let name = keys.text_or_none(key)?;
    if !super::is_token(name) {
        keys.refuse(key, format_args!("'{name}' is no name of a header"));
        return None;
    }
    let Some(value) = keys.text_or_none("anti_steal_bypass_header_value") else {
        let why = "without anti_steal_bypass_header_value nobody passes by it (the nginx module lets everybody pass who \
                   sends the header empty)";
        keys.warn(key, why);
        return None;
    };
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{refused, warned, web};
    use super::*;

    const ON: &str = "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = a secret";

    #[test]
    fn tokens_are_strict_unless_a_site_says_otherwise() {
        assert_eq!(web("").proof, ProofConf::default());
        let conf = web(ON).proof;
        let tokens = TokenConf {
            secret_key: "a secret".to_owned(),
            token_ttl: Duration::from_secs(600),
            max_skew: Duration::from_secs(300),
            allow_eternal: false,
            bypass: None,
        };
        assert_eq!(conf, ProofConf { tokens: Some(tokens), ..ProofConf::default() });
        let conf = web(&format!(
            "{ON}\nhttp.anti_steal.allow_eternal = 1\nhttp.anti_steal.max_skew = 0\nhttp.anti_steal.status = 400\n\
             anti_steal_bypass_header_name = X-Pass\nanti_steal_bypass_header_value = open sesame"
        ))
        .proof;
        assert_eq!(conf.status, 400);
        let tokens = conf.tokens.unwrap();
        assert!(tokens.allow_eternal && tokens.max_skew.is_zero());
        assert_eq!(tokens.bypass, Some(("X-Pass".to_owned(), "open sesame".to_owned())));
        refused(&format!("{ON}\nhttp.anti_steal.status = 404"), "neither 400 nor 403");
        refused("http.anti_steal.check_token = true", "write the secret");
    }

    #[test]
    fn an_empty_bypass_value_passes_nobody() {
        let text = format!("{ON}\nanti_steal_bypass_header_name = X-Pass");
        assert_eq!(warned(&text, "nobody passes").0.proof.tokens.unwrap().bypass, None);
        refused(&format!("{ON}\nanti_steal_bypass_header_name = a b"), "no name of a header");
    }

    #[test]
    fn keys_of_signed_urls_lie_beside_the_configuration() {
        let conf = web("http.signed_url.keys = url.keys").proof;
        assert!(conf.is_on() && conf.tokens.is_none());
        assert_eq!(conf.signed_url_keys.unwrap(), std::path::Path::new("url.keys"));
    }
}
