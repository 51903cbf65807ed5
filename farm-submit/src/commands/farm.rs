//! `farm platforms`, `farm builders`: the farm itself.

use farm_api::{
    client::PeopleClient,
    people::{Builder, Platform},
};
use farm_types::BuilderState;
use jiff::Timestamp;

use crate::{
    exit::{Exit, Failure},
    output::Output,
    show::{DIM, Table, ago, elapsed, outcome_style, shown},
};

/// Lists the platforms.
pub async fn platforms(client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let platforms = client.platforms().await?;
    output.either(&platforms, || platform_table(&platforms))?;
    Ok(Exit::Done)
}

/// Lists the builders.
pub async fn builders(client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let builders = client.builders().await?;
    output.either(&builders, || builder_table(&builders, Timestamp::now()))?;
    Ok(Exit::Done)
}

fn platform_table(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "No platforms: an operator adds them with `farm-admin platform add`.\n".to_owned();
    }
    let mut table = Table::new(["PLATFORM", "STATE", "AUTO", ">PENDING", ">RUNNING", ">BUILDERS", "DESCRIPTION"]);
    for platform in platforms {
        let state = if platform.enabled { "enabled" } else { "disabled" };
        let plain = |text: String| (anstyle::Style::new(), text);
        table.styled([
            plain(platform.name.to_string()),
            (outcome_style(platform.enabled), state.to_owned()),
            plain(if platform.auto { "yes" } else { "no" }.to_owned()),
            plain(platform.pending.to_string()),
            plain(platform.running.to_string()),
            plain(platform.builders.to_string()),
            plain(platform.description.clone()),
        ]);
    }
    table.render()
}

fn builder_table(builders: &[Builder], now: Timestamp) -> String {
    if builders.is_empty() {
        return "No builders have ever called.\n".to_owned();
    }
    let mut table = Table::new(["BUILDER", "STATE", ">BUSY", "ARCHES", "LAST HEARD OF", "VERSION", "REASON"]);
    for builder in builders {
        let state = match (builder.state, builder.alive) {
            (BuilderState::Enabled, false) => "silent",
            (BuilderState::Enabled, true) if builder.takes_nothing.is_some() => "takes nothing",
            (state, _) => state.as_str(),
        };
        let well = state == BuilderState::Enabled.as_str();
        let reason = builder.reason.as_ref().or(builder.takes_nothing.as_ref());
        let plain = |text: String| (anstyle::Style::new(), text);
        table.styled([
            plain(builder.name.to_string()),
            (outcome_style(well), state.to_owned()),
            plain(format!("{}/{}", builder.used, builder.slots)),
            plain(builder.arches.join(",")),
            plain(builder.last_seen.map_or_else(|| "never".to_owned(), |then| ago(then, now))),
            plain(builder.version.clone().unwrap_or_else(|| "-".to_owned())),
            plain(reason.cloned().unwrap_or_default()),
        ]);
    }
    let mut text = table.render();
    for builder in builders.iter().filter(|builder| !builder.running.is_empty()) {
        text += &format!("\n{}:\n", builder.name);
        for task in &builder.running {
            let stage = task.stage.map_or("", |stage| stage.as_str());
            let time = elapsed(now.as_second() - task.started.as_second());
            let (platform, title) = (&task.platform, shown(&task.title));
            text += &format!("  {}:{platform}  {stage}  {time}  {DIM}{title}{DIM:#}\n", task.job);
        }
    }
    text
}
