//! The certificate of a server, which changes while it runs.

use std::{
    convert::Infallible,
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        Error, InconsistentKeys, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{Error as PemError, PemObject as _},
        },
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};
use tracing::{error, info};

use crate::secret::{self, Readers};

/// What is spoken inside: Negotiate authenticates a connection, which HTTP/2 shares among requests.
const ALPN: &[u8] = b"http/1.1";

/// The certificate to serve HTTPS with: the table `[http.tls]`. Both files are read anew at SIGHUP and when they change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the certificate of this server, then those between it and the root.
    pub certificate: PathBuf,
    /// PEM: the private key of the first of them, not encrypted, readable by its owner and group at most.
    pub key: PathBuf,
}

impl TlsConfig {
    /// What is wrong with it: a sentence at most, as one thing hides the next.
    pub(super) fn problems(&self) -> Vec<String> {
        let problem = secret::problem("the key of the certificate", &self.key, Readers::Group);
        problem.or_else(|| self.load(&ring::default_provider()).err().map(|e| format!("{e:#}"))).into_iter().collect()
    }

    fn load(&self, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| unreadable("certificate", &self.certificate, e))?;
        if chain.is_empty() {
            return Err(unreadable("certificate", &self.certificate, PemError::NoItemsFound));
        }
        let private = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| unreadable("private key", &self.key, e))?;
        CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => anyhow!(
                "the key {key} is not that of the certificate {certificate}: the server's own certificate has to be the \
                 first in that file"
            ),
            error => anyhow!("the certificate {certificate} with the key {key} cannot be used: {error}"),
        })
    }

    /// Changes whenever one of the files does, also when a link points elsewhere.
    fn stamp(&self) -> Stamp {
        let file = |path: &Path| std::fs::metadata(path).ok().as_ref().map(file_stamp);
        [file(&self.certificate), file(&self.key)]
    }
}

fn unreadable(what: &str, path: &Path, error: PemError) -> anyhow::Error {
    let path = path.display();
    match error {
        PemError::Io(error) => anyhow!("the {what} {path} cannot be read: {error}"),
        PemError::NoItemsFound => {
            anyhow!("{path} holds no {what} in PEM form (-----BEGIN …); a key must not be encrypted")
        }
        error => anyhow!("the {what} {path} is damaged: {error}"),
    }
}

type Stamp = [Option<(u64, u64, u64, i64, i64)>; 2];

fn file_stamp(file: &Metadata) -> (u64, u64, u64, i64, i64) {
    (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec())
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Certificates {
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// The files as they were when they were last read, for good or ill, so that each fault is logged once.
    seen: Mutex<Stamp>,
}

impl Certificates {
    /// Reads them for the first time.
    pub(super) fn read(config: TlsConfig) -> anyhow::Result<Arc<Self>> {
        let provider = Arc::new(ring::default_provider());
        let seen = Mutex::new(config.stamp());
        let current = RwLock::new(Arc::new(config.load(&provider)?));
        Ok(Arc::new(Self { config, provider, current, seen }))
    }

    /// What answers handshakes, always with the certificate of the moment.
    pub(super) fn acceptor(self: &Arc<Self>) -> anyhow::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .context("this build has no TLS")?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files. If they are not right, all stays as it is.
    pub(super) fn reload(&self) {
        // Before they are read: what changes meanwhile is seen next time.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.config.stamp();
        match self.config.load(&self.provider) {
            Ok(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                info!("the certificate {} was read anew", self.config.certificate.display());
            }
            Err(error) => error!("the certificate stays as it was, as the new one is not right: {error:#}"),
        }
    }

    /// Whether they had changed.
    fn reload_if_changed(&self) -> bool {
        let changed = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != self.config.stamp();
        if changed {
            self.reload();
        }
        changed
    }

    /// Looks at the files again and again.
    pub(super) async fn watch(self: Arc<Self>, every: Duration) -> Infallible {
        loop {
            tokio::time::sleep(every).await;
            let certificates = self.clone();
            // An error is a panic, which its hook has logged.
            let _ = tokio::task::spawn_blocking(move || certificates.reload_if_changed()).await;
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn write(config: &TlsConfig) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs_err::write(&config.certificate, made.cert.pem()).unwrap();
        fs_err::write(&config.key, made.signing_key.serialize_pem()).unwrap();
        fs_err::set_permissions(&config.key, Permissions::from_mode(0o600)).unwrap();
        made.cert.der().to_vec()
    }

    fn used(certificates: &Certificates) -> Vec<u8> {
        certificates.current.read().unwrap().cert[0].to_vec()
    }

    #[tokio::test]
    async fn files_that_change_are_read_anew_by_themselves_and_broken_ones_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let config = TlsConfig { certificate: dir.path().join("c"), key: dir.path().join("k") };
        let first = write(&config);
        let certificates = Certificates::read(config.clone()).unwrap();
        assert_eq!(used(&certificates), first);

        fs_err::write(&config.certificate, "broken").unwrap();
        assert!(certificates.reload_if_changed());
        assert_eq!(used(&certificates), first);
        assert!(!certificates.reload_if_changed(), "the fault would be logged again and again");

        let second = write(&config);
        let watch = tokio::spawn(certificates.clone().watch(Duration::from_millis(5)));
        farm_testing::eventually("the new certificate", farm_testing::DEADLINE, async || {
            (used(&certificates) == second).then_some(())
        })
        .await;
        watch.abort();
    }
}
