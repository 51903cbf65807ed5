//! The templates, part of the program.

use std::sync::LazyLock;

use axum::response::Html;
use serde::Serialize;
use tera::{Context, Tera};

use super::{assets, filters};
use crate::{
    error::{AppError, Result},
    identity::Visitor,
};

macro_rules! templates {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/", $name)))),+]
    };
}

const SOURCES: [(&str, &str); 16] = templates![
    "base.html",
    "parts.html",
    "front.html",
    "jobs.html",
    "job.html",
    "task.html",
    "buildroot.html",
    "builders.html",
    "builder.html",
    "platforms.html",
    "platform.html",
    "login.html",
    "account.html",
    "audit.html",
    "set_aside.html",
    "error.html",
];

static TERA: LazyLock<Result<Tera, tera::Error>> = LazyLock::new(|| {
    let mut tera = Tera::new();
    filters::register(&mut tera);
    tera.add_raw_templates(SOURCES)?;
    tera.global_context().insert("site", &assets::site());
    Ok(tera)
});

/// Whether all templates can be read; for the start, so that a mistake is not found by a visitor.
pub fn check() -> anyhow::Result<()> {
    match &*TERA {
        Ok(_) => Ok(()),
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

/// Makes a page.
pub fn render(template: &str, visitor: &Visitor, page: &impl Serialize) -> Result<Html<String>> {
    let tera = TERA.as_ref().map_err(|error| AppError::Mistake(format!("templates: {error}")))?;
    let mut context = Context::from_serialize(page)?;
    context.insert("visitor", &visitor.shown());
    Ok(Html(tera.render(template, &context)?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_templates_can_be_read() {
        super::check().unwrap();
    }
}
