//! Sending notices by mail.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use farm_db::notices::Notice;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use serde::Deserialize;

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where notices are sent: `[mail]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The server that takes mail to be sent.
    pub host: String,
    /// Its port; by default 25, 587 or 465, as the security is.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected; `starttls` by default.
    #[serde(default)]
    pub security: Security,
    /// Who logs in to the server; nobody by default.
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Who writes: `Farm <farm@example.org>`.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// Address of the farm's pages, which are then named in full.
    #[serde(default)]
    pub url: Option<String>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS, which the server has to offer.
    #[default]
    Starttls,
    /// Not at all.
    None,
}

impl MailConfig {
    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.host.trim().is_empty() {
            problems.push("[mail] host is empty: name the server that takes mail".to_owned());
        }
        if self.to.is_empty() {
            problems.push("[mail] to is empty: name who is to be told".to_owned());
        }
        for address in std::iter::once(&self.from).chain(&self.to) {
            if let Err(error) = address.parse::<Mailbox>() {
                problems.push(format!("[mail] “{}” is no address of a person: {error}", address.escape_debug()));
            }
        }
        if self.user.is_some() != self.password_file.is_some() {
            problems.push("[mail] user and password_file go together".to_owned());
        }
        if self.security == Security::None && self.password_file.is_some() {
            problems.push("[mail] with security = \"none\" everybody on the way could read the password".to_owned());
        }
        problems
    }

    /// Sends a notice. Its number makes the message's own, so that one that comes twice, because we died before we could write down that
    /// it was sent, is known as the same.
    pub async fn send(&self, notice: &Notice) -> anyhow::Result<()> {
        let message = self.message(notice)?;
        self.transport()?.send(message).await.with_context(|| format!("{} does not take the mail", self.host))?;
        Ok(())
    }

    fn message(&self, notice: &Notice) -> anyhow::Result<Message> {
        let from: Mailbox = self.from.parse()?;
        let id = format!("<farm-notice-{}-{}@{}>", notice.id, notice.at.as_millisecond(), from.email.domain());
        let mut message = Message::builder()
            .from(from)
            .subject(format!("[farm] {}", notice.subject))
            .message_id(Some(id))
            .date(notice.at.into())
            .header(ContentType::TEXT_PLAIN);
        for address in &self.to {
            message = message.to(address.parse()?);
        }
        Ok(message.body(format!("{}{}", notice.body, self.page(notice)))?)
    }

    /// Where there is more about it.
    fn page(&self, notice: &Notice) -> String {
        let page = match notice.about.split_once(' ') {
            Some(("task", number)) => format!("tasks/{number}"),
            Some(("builder", name)) => format!("builders/{name}"),
            _ => return String::new(),
        };
        let base = self.url.as_deref().unwrap_or_default().trim_end_matches('/');
        format!("Its page: {base}/{page}\n")
    }

    fn transport(&self) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
        let parameters = || TlsParameters::new(self.host.clone());
        let (tls, port) = match self.security {
            Security::Tls => (Tls::Wrapper(parameters()?), 465),
            Security::Starttls => (Tls::Required(parameters()?), 587),
            Security::None => (Tls::None, 25),
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(PATIENCE));
        let (Some(user), Some(file)) = (&self.user, &self.password_file) else { return Ok(transport.build()) };
        let password = std::fs::read_to_string(file)
            .with_context(|| format!("the password for the mail server cannot be read from {}", file.display()))?;
        Ok(transport.credentials(Credentials::new(user.clone(), password.trim_end().to_owned())).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<MailConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn everything_wrong_with_it_is_said_at_once() {
        let good = config("host = 'm'\nfrom = 'Farm <farm@example.org>'\nto = ['ops@example.org']").unwrap();
        assert!(good.problems().is_empty() && good.security == Security::Starttls);
        let bad = "host = ' '\nfrom = 'nobody'\nto = []\nuser = 'u'";
        assert_eq!(config(bad).unwrap().problems().len(), 4);
        let open = "host = 'm'\nfrom = 'a@b'\nto = ['c@d']\nsecurity = 'none'\nuser = 'u'\npassword_file = '/f'";
        assert!(config(open).unwrap().problems()[0].contains("could read the password"));
        assert!(config("host = 'm'\nfrom = 'a@b'\nto = []\nsubject = 'x'").is_err());
    }

    #[test]
    fn the_page_is_named_in_full_where_it_is_known() {
        let mut mail = config("host = 'm'\nfrom = 'a@b.c'\nto = ['c@d.e']").unwrap();
        let notice = Notice {
            id: 7,
            at: jiff::Timestamp::UNIX_EPOCH,
            about: "task 42".to_owned(),
            subject: "s".to_owned(),
            body: "b\n".to_owned(),
            tries: 1,
        };
        assert_eq!(mail.page(&notice), "Its page: /tasks/42\n");
        mail.url = Some("https://farm/".to_owned());
        assert_eq!(mail.page(&notice), "Its page: https://farm/tasks/42\n");
        let text = String::from_utf8(mail.message(&notice).unwrap().formatted()).unwrap();
        assert!(text.contains("Message-ID: <farm-notice-7-0@b.c>\r\n"), "{text}");
    }
}
