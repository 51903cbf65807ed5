//! Sends notices to the operators by mail. A notice is taken for some minutes, sent, and then marked; whoever dies in between has it sent again,
//! under the same number.

use anyhow::Context as _;
use farm_db::notices;
use tracing::info;

use super::{Report, Tools};

/// For how long a notice is taken: longer than a server may take to answer.
const HOLD_SECONDS: u32 = 300;

/// Sends the next notice. Without a mail server nobody is told, and old notices are forgotten all the same.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let Some(mail) = &tools.config.mail else {
        tools.pool.run(notices::forget).await?;
        return Ok(Report::default());
    };
    let Some(notice) = tools.pool.run(|conn| notices::take(conn, HOLD_SECONDS)).await? else {
        tools.pool.run(notices::forget).await?;
        return Ok(Report { alarms: alarms(&tools).await?, ..Report::default() });
    };
    let (id, about) = (notice.id, notice.about.clone());
    let error = mail.send(&notice).await.err().map(|error| format!("{error:#}"));
    let sent = error.is_none();
    tools
        .pool
        .run(move |conn| notices::end(conn, id, error.as_deref()))
        .await
        .context("it is unknown what was sent")?;
    if sent {
        metrics::counter!("farm_notices_sent_total").increment(1);
        info!(notice.id = id, about, "told the operators of {about}");
        return Ok(Report { done: 1, more: true, ..Report::default() });
    }
    // The next one would fare no better now.
    Ok(Report { alarms: alarms(&tools).await?, ..Report::default() })
}

async fn alarms(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let unsent = tools.pool.run(notices::unsent).await?;
    metrics::gauge!("farm_notices_unsent").set(u32::try_from(unsent.count).unwrap_or(u32::MAX));
    let Some(error) = unsent.error.filter(|_| unsent.count > 0) else { return Ok(Vec::new()) };
    let (notices, are) = if unsent.count == 1 { ("notice", "is") } else { ("notices", "are") };
    Ok(vec![format!("{} {notices} to the operators {are} not sent: {error}", unsent.count)])
}
