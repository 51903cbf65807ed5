//! `farm-admin platform`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use farm_api::recipe::Recipe;
use farm_db::{operator, read};
use farm_types::PlatformName;

use super::{connect, operator_account};
use crate::{farm::FarmArgs, output};

#[derive(Subcommand)]
pub(crate) enum PlatformCommand {
    /// Add platforms, or give known ones a new recipe
    Add {
        /// Recipes in TOML
        #[arg(required = true, value_name = "RECIPE.toml")]
        recipes: Vec<PathBuf>,
    },
    /// List all platforms
    List,
    /// Show the recipe of a platform
    Show { platform: PlatformName },
    /// Let a platform take new tasks
    Enable { platform: PlatformName },
    /// Let a platform take no new tasks; those that are there are built all the same
    Disable { platform: PlatformName },
}

pub(crate) fn run(farm: &FarmArgs, command: PlatformCommand) -> anyhow::Result<()> {
    // Bad input is refused before anything is touched.
    let recipes = match &command {
        PlatformCommand::Add { recipes } => read_recipes(recipes)?,
        _ => Vec::new(),
    };
    let mut conn = connect(farm)?;
    let actor = operator_account();
    match command {
        PlatformCommand::Add { .. } => {
            for recipe in recipes {
                let new = operator::put_platform(&mut conn, &actor, &recipe)?;
                println!("{} {}", if new { "added" } else { "changed" }, recipe.name);
            }
        }
        PlatformCommand::List => list(farm, &read::platforms(&mut conn)?)?,
        PlatformCommand::Show { platform } => {
            let recipe = operator::recipe(&mut conn, &platform)?;
            if farm.json { output::json(&recipe)? } else { print!("{}", toml::to_string_pretty(&recipe)?) }
        }
        PlatformCommand::Enable { platform } => {
            operator::enable_platform(&mut conn, &actor, &platform, true)?;
            println!("{platform} takes new tasks");
        }
        PlatformCommand::Disable { platform } => {
            operator::enable_platform(&mut conn, &actor, &platform, false)?;
            println!("{platform} takes no new tasks");
        }
    }
    Ok(())
}

fn list(farm: &FarmArgs, platforms: &[farm_api::people::Platform]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(platforms);
    }
    let rows: Vec<_> = platforms
        .iter()
        .map(|p| {
            let counts = [p.pending, p.running, p.builders].map(|n| n.to_string());
            let [pending, running, builders] = counts;
            vec![
                p.name.to_string(),
                output::yes(p.enabled),
                output::yes(p.auto),
                pending,
                running,
                builders,
                p.description.clone(),
            ]
        })
        .collect();
    output::table(&["PLATFORM", "ENABLED", "AUTO", "PENDING", "RUNNING", "BUILDERS", "DESCRIPTION"], &rows);
    Ok(())
}

/// Reads recipes; every problem of every file at once.
pub(crate) fn read_recipes(files: &[PathBuf]) -> anyhow::Result<Vec<Recipe>> {
    let mut recipes = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match read_recipe(file) {
            Ok(recipe) => {
                problems.extend(recipe.problems().iter().map(|p| format!("{}: {p}", file.display())));
                recipes.push(recipe);
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if !problems.is_empty() {
        bail!("the recipe is not right; nothing was changed:\n  {}", problems.join("\n  "));
    }
    Ok(recipes)
}

fn read_recipe(file: &Path) -> anyhow::Result<Recipe> {
    let text = fs_err::read_to_string(file)?;
    toml::from_str(&text).with_context(|| format!("{} is no recipe", file.display()))
}
