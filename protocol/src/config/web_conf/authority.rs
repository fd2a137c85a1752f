//! Who may do what over HTTP: files with tokens, keys and secrets, and the rules for those who show none.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::reader::KeyReader;

/// Longest difference of clocks that a site means.
const MAX_LEEWAY_SECONDS: u64 = 600;

/// Who may do what. What the files hold is read by the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityConf {
    /// `http.tokens_file`: a bearer token a line, hashed.
    pub tokens_file: Option<PathBuf>,
    /// JSON Web Tokens, if they are taken.
    pub jwt: Option<JwtConf>,
    /// `http.cluster_secret_file`: what trackers and nodes of a cluster share.
    pub cluster_secret_file: Option<PathBuf>,
    /// `http.loopback_writes`: whether programs on this machine need no token.
    pub loopback_writes: bool,
    /// `http.private_reads`: whether metadata, holders and lists need a token; file URLs do not. On where tokens are taken.
    pub private_reads: bool,
    /// `http.limit_failed_auth`: bad tokens that an address may send in a minute; 0 is no limit.
    pub failures_per_minute: u32,
    /// `http.audit_log`: a line for each write and admin call; a relative name in the configuration is below `base_path`.
    pub audit_log: Option<PathBuf>,
}

/// Which JSON Web Tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConf {
    /// `http.jwt_keys_file`: a JWK set (RFC 7517).
    pub keys_file: PathBuf,
    /// `http.jwt_issuer`: the `iss` that they have to have.
    pub issuer: Option<String>,
    /// `http.jwt_audience`: what has to be in their `aud`.
    pub audience: Option<String>,
    /// `http.jwt_leeway`: how far the issuer's clock may be off.
    pub leeway: Duration,
}

impl Default for AuthorityConf {
    fn default() -> Self {
        Self {
            tokens_file: None,
            jwt: None,
            cluster_secret_file: None,
            loopback_writes: true,
            private_reads: false,
            failures_per_minute: 10,
            audit_log: None,
        }
    }
}

impl AuthorityConf {
    /// `remote_writes` is the switch that lets everybody write.
    pub(super) fn read(keys: &mut KeyReader<'_>, remote_writes: bool) -> Self {
        let tokens_file = keys.text_or_none("http.tokens_file").map(|name| keys.ini.relative(name));
        let jwt = read_jwt(keys);
        let cluster_secret_file =
            keys.text_or_none("http.cluster_secret_file").map(|name| keys.ini.relative(name));
        let takes_tokens = tokens_file.is_some() || jwt.is_some();
        if takes_tokens && remote_writes {
            let why = "true lets everybody write without a token; remove the line, since tokens are taken";
            keys.warn("http.allow_remote_writes", why);
        }
        let loopback_writes = keys.flag("http.loopback_writes", true);
        if !loopback_writes && !takes_tokens && cluster_secret_file.is_none() {
            let why = "false, and no tokens are taken: nobody can write over HTTP; name http.tokens_file too";
            keys.warn("http.loopback_writes", why);
        }
        let audit_log = keys.text_or_none("http.audit_log").filter(|path| *path != "off");
        let base = keys.path("base_path").unwrap_or_default();
        Self {
            tokens_file,
            jwt,
            cluster_secret_file,
            loopback_writes,
            private_reads: keys.flag("http.private_reads", takes_tokens),
            failures_per_minute: keys.count("http.limit_failed_auth", 10),
            audit_log: audit_log.map(|path| base.join(path)),
        }
    }
}

fn read_jwt(keys: &mut KeyReader<'_>) -> Option<JwtConf> {
    let key = "http.jwt_leeway";
    let leeway = keys.seconds_or_zero(key, 60);
    let leeway = Duration::from_secs(keys.clamp(key, leeway.as_secs(), 0, MAX_LEEWAY_SECONDS));
    let issuer = keys.text_or_none("http.jwt_issuer").map(str::to_owned);
    let audience = keys.text_or_none("http.jwt_audience").map(str::to_owned);
    let Some(name) = keys.text_or_none("http.jwt_keys_file") else {
        for key in ["http.jwt_issuer", "http.jwt_audience", "http.jwt_leeway"] {
            if keys.is_given(key) {
                keys.warn(key, "not read, since no http.jwt_keys_file is named");
            }
        }
        return None;
    };
    Some(JwtConf { keys_file: keys.ini.relative(name), issuer, audience, leeway })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{warned, web};
    use super::*;

    #[test]
    fn nothing_written_is_loopback_only() {
        assert_eq!(web("").authority, AuthorityConf::default());
    }

    #[test]
    fn files_lie_beside_the_configuration_and_logs_below_the_base() {
        let conf = web(
            "http.tokens_file = tokens\nhttp.jwt_keys_file = jwks.json\nhttp.jwt_issuer = https://id.example.com\n\
             http.jwt_audience = files\nhttp.jwt_leeway = 5\nhttp.cluster_secret_file = secret\n\
             http.loopback_writes = false\nhttp.limit_failed_auth = 0\nhttp.audit_log = logs/audit.log",
        )
        .authority;
        let jwt = JwtConf {
            keys_file: "jwks.json".into(),
            issuer: Some("https://id.example.com".to_owned()),
            audience: Some("files".to_owned()),
            leeway: Duration::from_secs(5),
        };
        let expected = AuthorityConf {
            tokens_file: Some("tokens".into()),
            jwt: Some(jwt),
            cluster_secret_file: Some("secret".into()),
            loopback_writes: false,
            private_reads: true,
            failures_per_minute: 0,
            audit_log: Some("/tmp/logs/audit.log".into()),
        };
        assert_eq!(conf, expected);
        assert!(!web("http.tokens_file = t\nhttp.private_reads = off").authority.private_reads);
        assert!(web("http.private_reads = on").authority.private_reads);
    }

    #[test]
    fn rules_that_lock_out_or_let_in_everybody_are_warned_about() {
        warned("http.loopback_writes = false", "nobody can write");
        warned("http.tokens_file = t\nhttp.allow_remote_writes = true", "without a token");
        warned("http.jwt_issuer = me", "no http.jwt_keys_file");
        warned("http.jwt_keys_file = k\nhttp.jwt_leeway = 1d", "http.jwt_leeway");
    }
}
