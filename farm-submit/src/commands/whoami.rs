//! `farm whoami`: who we are to the farm, what we may do there, and how much of it is used up.

use farm_api::{
    access::{Account, Whoami},
    client::PeopleClient,
};

use crate::{
    exit::{Exit, Failure},
    output::Output,
    show::{BOLD, Table, join, shown, size},
};

/// Says who we are to the server.
pub async fn run(client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let me = client.whoami().await?;
    output.either(&me, || text(&me, client.transport().base()))?;
    Ok(Exit::Done)
}

fn text(me: &Whoami, server: &str) -> String {
    let account = &me.account;
    let (principal, way) = (shown(&account.principal), me.way);
    let mut text = format!("{principal} (known by: {way}) at {server}, farm {}\n", shown(&me.version));
    let lists =
        [("scopes", join(&me.scopes)), ("groups", account.groups.join(", ")), ("rights", account.rights.join(", "))];
    for (name, list) in lists {
        let list = if list.is_empty() { "none" } else { &list };
        text += &format!("{BOLD}{name}:{BOLD:#} {}\n", shown(list));
    }
    text += &format!("{BOLD}share:{BOLD:#} {}\n", account.share);
    text + &limits(account)
}

/// The limits that the server told, under the names by which it refuses.
fn limits(account: &Account) -> String {
    let number = |number: i64| number.to_string();
    let bytes = |number: i64| size(number.unsigned_abs());
    let (used, most) = (&account.used, &account.limits);
    let rows = [
        ("jobs_waiting", used.jobs_waiting.map(number), most.jobs_waiting.map(number)),
        ("uploads", used.uploads.map(number), most.uploads.map(number)),
        ("bytes", used.bytes.map(bytes), most.bytes.map(bytes)),
        // Of one job: there is nothing that is used up.
        ("sources", None, most.sources.map(number)),
    ];
    let builds = account.build_limits.named();
    if rows.iter().all(|(_, _, most)| most.is_none()) && builds.iter().all(|(_, most)| most.is_none()) {
        return String::new();
    }
    let mut table = Table::new(["LIMIT", ">USED", ">AT MOST"]);
    for (name, used, most) in rows {
        let told = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        table.row([name.to_owned(), told(used), told(most)]);
    }
    // Of one build.
    for (name, most) in builds.iter().filter_map(|(name, most)| Some((*name, (*most)?))) {
        let most = if name.ends_with("_bytes") { size(most) } else { most.to_string() };
        table.row([name.to_owned(), "-".to_owned(), most]);
    }
    format!("\n{}", table.render())
}
